"""What is measured next. Pure: time, deployments, interest and what was done before in; jobs out."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from probes import doubt
from probes.base import DeploymentId, Frozen, ReplicaId
from probes.model import Deployment, Interest, Replica

JobKind = Literal["sample", "loop", "health"]
KINDS: tuple[JobKind, ...] = ("sample", "loop", "health")


SLOW_SECONDS = 1.0
DOUBT_SECONDS = 2.0
"""Between two requests while one slow answer may be a blocked loop or nothing at all."""


SMALL_DEPLOYMENTS = 20
SMALL_REPLICAS = 40


class Job(NamedTuple):
    """One measurement of one replica."""

    kind: JobKind
    deployment: DeploymentId
    replica: ReplicaId


class Periods(Frozen, frozen=True):
    """Seconds between two jobs of one kind."""

    focused: float
    near: float
    """Visible or in trouble."""
    far: float


class Budget(Frozen, frozen=True):
    """How often, and how much at once."""

    sample: Periods = Periods(2.0, 5.0, 15.0)
    """Files of ``/proc`` and of control groups, or the engine's statistics."""
    probe: Periods = Periods(5.0, 5.0, 30.0)
    """Requests to the service itself; what is merely visible is asked as seldom as the rest."""
    jobs: int = 32
    """At most so many are given at one time; the others come with the next call."""


def budget(interval_seconds: float, *, local: bool = True) -> Budget:
    """The budget for an interval of what is looked at; where each sample costs the engine work, it is asked less."""
    factor = 1.0 if local else 2.0
    focused = max(interval_seconds, 0.5) * factor
    near = max(5.0, interval_seconds)
    return Budget(
        sample=Periods(focused, max(5.0 * factor, focused), max(15.0 * factor, focused)),
        probe=Periods(near, near, max(30.0, near)),
        jobs=32 if local else 8,
    )


def due(
    now: float,
    deployments: Iterable[Deployment],
    interest: Interest,
    allowance: Budget,
    done: Mapping[tuple[JobKind, ReplicaId], float],
    young: frozenset[ReplicaId] = frozenset(),
    kinds: Sequence[JobKind] = KINDS,
    replicas: Callable[[Deployment], Sequence[Replica]] = lambda deployment: deployment.replicas,
    small: bool = False,
) -> tuple[Job, ...]:
    """The jobs whose time has come at ``now`` (monotonic seconds), the most urgent first.

    ``done`` says when each was begun last. What was never done is due at once; what is ``young`` (its workers are still
    being born) is measured as if it were focused. Periods of replicas differ by up to a
    tenth either way, so that what began together spreads out. ``kinds`` and ``replicas`` limit what is done: of a
    deployment of hundreds a few tell for all. In a ``small`` fleet (:func:`is_small`) answers that do not tell yet
    whether the loop is held (:func:`probes.doubt.unsettled`) are followed by others soon.
    """
    found: list[tuple[float, Job]] = []
    for deployment in deployments:
        for replica in replicas(deployment):
            if replica.state != "running":
                continue
            for kind in kinds:
                period = _period(kind, deployment.id, interest, allowance)
                if kind == "loop":
                    period = min(period, _of_loop(replica, small, interest.observed, allowance))
                if kind == "sample" and answers_slowly(replica):
                    unread = small and not doubt.looked_into(replica)
                    period = min(period, allowance.sample.focused if unread else allowance.sample.near)
                if replica.id in young:
                    period = min(period, _periods(kind, allowance).focused)
                last = done.get((kind, replica.id))
                job = Job(kind, deployment.id, replica.id)
                if last is None:
                    found.append((-1.0 if kind == "sample" else 0.0, job))
                elif now - last >= period * _spread(kind, replica.id):
                    found.append((period / (now - last), job))
    found.sort()
    return tuple(job for _, job in found[: allowance.jobs])


def is_small(deployments: Collection[Deployment]) -> bool:
    """Whether so few run that some requests more for each cost nobody anything."""
    if len(deployments) > SMALL_DEPLOYMENTS:
        return False
    return sum(replica.state == "running" for one in deployments for replica in one.replicas) <= SMALL_REPLICAS


def in_doubt(replica: Replica) -> bool:
    """Whether the latest answer was slow and the ones before it were not all: asking again soon settles it."""
    slow = _slow(replica)
    return bool(slow) and slow[-1] and not (len(slow) == 3 and all(slow))


def answers_slowly(replica: Replica) -> bool:
    """Whether one of the latest answers was slow: what its workers did meanwhile tells why."""
    return any(_slow(replica))


def _slow(replica: Replica) -> list[bool]:
    return [one.took_seconds >= SLOW_SECONDS or one.error == "timeout" for one in replica.loop_probes[-3:]]


def _of_loop(replica: Replica, small: bool, observed: bool, allowance: Budget) -> float:
    """How soon a loop is asked again for the sake of what it answered, or of who watches."""
    soon = doubt.again_seconds(replica.id, replica.loop_probes) if small and replica.loop_probes else 0.0
    if small and doubt.unsettled(replica.loop_probes):
        return soon
    if in_doubt(replica):
        return max(DOUBT_SECONDS, soon)
    return allowance.probe.near if small and observed else allowance.probe.far


def _period(kind: JobKind, deployment: DeploymentId, interest: Interest, allowance: Budget) -> float:
    periods = _periods(kind, allowance)
    if deployment == interest.focused:
        return periods.focused
    if deployment in interest.troubled or (kind == "sample" and deployment in interest.visible):
        return periods.near
    return periods.far


def _periods(kind: JobKind, allowance: Budget) -> Periods:
    return allowance.sample if kind == "sample" else allowance.probe


def _spread(kind: JobKind, replica: ReplicaId) -> float:
    """0.9 … 1.1, always the same for one replica."""
    return 0.9 + (zlib.crc32(f"{kind}{replica}".encode()) % 201) / 1000
