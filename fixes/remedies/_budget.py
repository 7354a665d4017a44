"""How many connections of a database a deployment may open: the budget of ``pool-oversubscribed``, with a margin."""

from __future__ import annotations

import math

from fixes.model import Finding
from fixes.remedies import _facts
from probes.model import Deployment

SHARE_OF_SERVER = 0.8
"""Of what a server lets in: the rest is for migrations, people, and a rollout's overlap."""


def room(deployment: Deployment, finding: Finding) -> int | None:
    """80 % of what the server lets in, less what others hold now; ``None`` where the server's limit is not known.

    The limit is the server's own word where it was asked, else the one that the finding read in the log.
    """
    held = deployment.pool.held if deployment.pool is not None else None
    if held is not None and held.server.usable is not None:
        others = max(0, (held.server.in_use or 0) - (held.connections or 0))
        return max(0, math.floor(SHARE_OF_SERVER * held.server.usable) - others)
    told = _facts.whole(finding.facts.get("limit")) if finding.signature == "pool-oversubscribed" else None
    return None if told is None else math.floor(SHARE_OF_SERVER * told)


def each(deployment: Deployment, finding: Finding) -> int | None:
    """What one worker's pool may open; ``None`` where that is not known, or has no bound."""
    known = deployment.pool.per_worker if deployment.pool is not None else None
    if known is None and finding.signature.startswith("pool-"):
        known = _facts.whole(finding.facts.get("capacity"))
    return known or None


def workers(deployment: Deployment, finding: Finding) -> int | None:
    """For how many workers' pools of each replica the server has room; ``None`` where that is not known."""
    left, one = room(deployment, finding), each(deployment, finding)
    return None if left is None or one is None else left // (one * replicas(deployment))


def replicas(deployment: Deployment) -> int:
    """Replicas that may run at once: those of a rollout's surge, too."""
    around, pool = deployment.orchestrated, deployment.pool
    rollout = around.rollout if around is not None else None
    surge = (rollout.max_surge or 0) if rollout is not None else 0
    counted = pool.replicas if pool is not None else None
    return max(1, counted or max(len(deployment.running), deployment.desired or 0)) + max(
        surge, pool.surge if pool else 0
    )
