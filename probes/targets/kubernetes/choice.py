"""Which of a deployment's replicas are looked at: with ten thousand of them, a few tell for all. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from probes.base import DeploymentId, ReplicaId
from probes.model import Deployment, Interest, Replica

FOCUSED, TROUBLED, REST = 8, 4, 1
"""Replicas that are asked: of what is looked at, of what is in trouble, of the rest (and one that is not ready)."""
FEW = 60
"""With no more deployments than this, of each as many are asked as if it were in trouble."""
_FRESH_CRASH = timedelta(minutes=15)
_STARTING = timedelta(seconds=60)


def sick(replica: Replica, now: datetime | None = None) -> bool:
    """Whether a replica has crashed lately, waits for what does not come, or runs without being ready."""
    now = now or datetime.now(UTC)
    if replica.terminating:
        return False
    if replica.state == "restarting":
        return True
    end = replica.last_end
    if end is not None and end.at is not None and now - end.at < _FRESH_CRASH:
        return True
    young = replica.started_at is not None and now - replica.started_at < _STARTING
    return replica.state == "running" and replica.ready is False and not young


def worth_reading(replica: Replica) -> bool:
    """Whether there is a log: a container of it has run."""
    return replica.state in {"running", "restarting", "exited"} or replica.last_end is not None


def to_sample(deployment: Deployment | None, known: Collection[ReplicaId], most: int) -> list[Replica]:
    """Whose logs are read of a deployment: of what is sick first, then of what was ``known`` already."""
    readable = [one for one in deployment.replicas if worth_reading(one)] if deployment is not None else []
    readable.sort(key=lambda one: (not sick(one), one.id not in known, one.id))
    return readable[:most]


def chosen(deployment: Deployment, interest: Interest, *, few: bool = False) -> tuple[Replica, ...]:
    """The running replicas that are asked and looked into, always the same ones while they run.

    ``few``: there are no more deployments than :data:`FEW`.
    """
    running = [one for one in deployment.replicas if one.state == "running" and not one.terminating]
    if deployment.id == interest.focused:
        most = FOCUSED
    elif few or deployment.id in interest.troubled:
        most = TROUBLED
    else:
        most = REST
    if len(running) <= most:
        return tuple(running)
    unready = [one for one in running if one.ready is False]
    ready = [one for one in running if one.ready is not False]
    kept = (*unready[: max(1, most // 2)], *ready[:most])
    return kept[: most + 1] if most == REST else kept[:most]


def key_of(deployment: DeploymentId, interest: Interest) -> bool:
    """Whether somebody looks at it, or it is in trouble."""
    return deployment == interest.focused or deployment in interest.visible or deployment in interest.troubled
