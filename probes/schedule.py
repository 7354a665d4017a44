"""What is measured next. Pure: time, deployments, interest and what was done before in; jobs out."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from probes.model import Deployment, DeploymentId, Frozen, Interest, ReplicaId

JobKind = Literal["sample", "loop", "health"]
Rank = Literal["focused", "near", "far"]


class Job(NamedTuple):
    """One measurement of one replica."""

    kind: JobKind
    deployment: DeploymentId
    replica: ReplicaId


class Budget(Frozen, frozen=True):
    """How often, and how much at once."""

    sample_seconds: Mapping[Rank, float] = {"focused": 2.0, "near": 5.0, "far": 15.0}
    """Files of ``/proc`` and of control groups, or the engine's statistics."""
    probe_seconds: Mapping[Rank, float] = {"focused": 5.0, "near": 5.0, "far": 30.0}
    """Requests to the service itself; what is merely visible is asked as seldom as the rest."""
    jobs: int = 32
    """At most so many are given at one time; the others come with the next call."""


def budget(interval_seconds: float, *, local: bool = True) -> Budget:
    """The budget for an interval of what is looked at; where each sample costs the engine work, it is asked less."""
    factor = 1.0 if local else 2.0
    focused = max(interval_seconds, 0.5) * factor
    return Budget(
        sample_seconds={"focused": focused, "near": max(5.0 * factor, focused), "far": max(15.0 * factor, focused)},
        probe_seconds={"focused": max(5.0, interval_seconds), "near": max(5.0, interval_seconds), "far": 30.0},
        jobs=32 if local else 8,
    )


def due(
    now: float,
    deployments: Iterable[Deployment],
    interest: Interest,
    allowance: Budget,
    done: Mapping[tuple[JobKind, ReplicaId], float],
) -> tuple[Job, ...]:
    """The jobs whose time has come at ``now`` (monotonic seconds), the most urgent first.

    ``done`` says when each was begun last. What was never done is due at once. Periods of replicas differ by up to a
    tenth either way, so that what began together spreads out.
    """
    found: list[tuple[float, Job]] = []
    for deployment in deployments:
        for replica in deployment.replicas:
            if replica.state != "running":
                continue
            for kind in ("sample", "loop", "health"):
                period = _period(kind, _rank(kind, deployment.id, interest), allowance)
                last = done.get((kind, replica.id))
                job = Job(kind, deployment.id, replica.id)
                if last is None:
                    found.append((-1.0 if kind == "sample" else 0.0, job))
                elif now - last >= period * _spread(kind, replica.id):
                    found.append((period / (now - last), job))
    found.sort()
    return tuple(job for _, job in found[: allowance.jobs])


def _rank(kind: JobKind, deployment: DeploymentId, interest: Interest) -> Rank:
    if deployment == interest.focused:
        return "focused"
    if deployment in interest.troubled or (kind == "sample" and deployment in interest.visible):
        return "near"
    return "far"


def _period(kind: JobKind, rank: Rank, allowance: Budget) -> float:
    return allowance.sample_seconds[rank] if kind == "sample" else allowance.probe_seconds[rank]


def _spread(kind: JobKind, replica: ReplicaId) -> float:
    """0.9 … 1.1, always the same for one replica."""
    return 0.9 + (zlib.crc32(f"{kind}{replica}".encode()) % 201) / 1000
