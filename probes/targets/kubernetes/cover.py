"""Whose logs are followed, and what is thereby covered of a deployment's. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from probes.base import DeploymentId, ReplicaId
from probes.loghits import LogCoverage
from probes.model import Deployment, Interest
from probes.targets.kubernetes.choice import sick

FOLLOWED = 64
"""Logs that are followed at most; of the deployment that is looked at, and of each other one:"""
FOLLOWED_FOCUSED = 16
FOLLOWED_EACH = 2


def to_follow(
    deployments: Mapping[DeploymentId, Deployment], interest: Interest, ill: Collection[DeploymentId]
) -> dict[ReplicaId, DeploymentId]:
    """The replicas of what is looked at, then of what is in trouble, then of what is seen; sick ones first."""
    wanted: dict[ReplicaId, DeploymentId] = {}
    focused = [interest.focused] if interest.focused is not None else []
    for key in dict.fromkeys((*focused, *sorted({*interest.troubled, *ill}), *sorted(interest.visible))):
        deployment = deployments.get(key)
        room = FOLLOWED - len(wanted)
        if deployment is None or room <= 0:
            continue
        running = sorted(deployment.running, key=lambda one: (not sick(one), one.id))
        most = FOLLOWED_FOCUSED if key == interest.focused else FOLLOWED_EACH
        wanted.update(dict.fromkeys((one.id for one in running[: min(most, room)]), key))
    return wanted


def together(coverages: list[LogCoverage | None]) -> LogCoverage:
    """What holds for a deployment, of whose replicas some were read."""
    read = [one for one in coverages if one is not None and one.state != "unread"]
    if not read:
        why = next((one.why for one in coverages if one is not None and one.why), None)
        return LogCoverage(state="unread", why=why or ("not read yet" if coverages else "no container of it has run"))
    followed = len(read) == len(coverages) and all(one.state == "followed" for one in read)
    ends = [one.until for one in read if one.until is not None]
    why = next((one.why for one in read if one.why), None)
    if not followed and why is None:
        many = f"{len(read)} of {len(coverages)} replicas' logs are read, now and then"
        why = many if len(read) < len(coverages) else "read now and then"
    return LogCoverage(
        state="followed" if followed else "sampled",
        since=max((one.since for one in read if one.since is not None), default=None),
        until=min(ends) if ends and (not followed or len(ends) == len(read)) else None,
        why=why,
    )
