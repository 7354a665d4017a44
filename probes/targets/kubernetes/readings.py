"""What was measured of each replica; a source that tells less never overwrites one that tells more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from probes.base import Failure, ReplicaId
from probes.model import Cpu, HttpSample, Memory, Replica, StackSample
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.workers import Inside

PROBES = 12
STACKS = 6
INSIDE, CADVISOR, LIST = 3, 2, 1
"""Ranks of sources: the container's own control group, its node's counters, a list that lags."""
_STALE_SECONDS = 150.0
"""A source that has told nothing for so long gives way to a lesser one."""
_LATE_SECONDS = 30.0
"""Containers that nobody looks at are looked into every two minutes: so long after a look, their node's counters begin
to tell of the CPU. They are the same numbers of the kernel, every 15 s. Memory stays with one source, as its count of
kills must."""


class Readings:
    """Keeps :attr:`Fleet.measured`; changed by the target's event loop alone."""

    def __init__(self, measured: dict[ReplicaId, Measured], touch: Callable[[Iterable[ReplicaId]], None]) -> None:
        self.measured = measured
        self._touch = touch
        self._rank: dict[ReplicaId, tuple[int, float]] = {}
        self._runs: dict[ReplicaId, datetime | None] = {}
        self._failures: dict[ReplicaId, dict[str, Failure]] = {}

    def of(self, replica: ReplicaId) -> Measured:
        """What is known."""
        return self.measured.get(replica, Measured())

    def known(self) -> set[ReplicaId]:
        """Of whom something is kept."""
        return {*self._runs, *self.measured}

    def begin(self, replica: Replica) -> bool:
        """Takes note of a replica; whether it is a new run of it, of which nothing is known yet."""
        if self._runs.get(replica.id, replica) == replica.started_at:
            return False
        self._runs[replica.id] = replica.started_at
        self._rank.pop(replica.id, None)
        self._failures.pop(replica.id, None)
        if self.measured.pop(replica.id, None) is not None:
            self._touch((replica.id,))
        return True

    def forget(self, replicas: Iterable[ReplicaId]) -> None:
        """Drops replicas that are no more."""
        for one in replicas:
            for kept in (self._runs, self._rank, self._failures, self.measured):
                kept.pop(one, None)

    def figure(self, replica: ReplicaId, rank: int, at: datetime, memory: Memory | None, cpu: Cpu | None) -> None:
        """Takes memory and CPU that a source measured at ``at``; what is older than what is known is dropped."""
        now = time.monotonic()
        best, since = self._rank.get(replica, (0, 0.0))
        outranked = best > rank and now - since < _STALE_SECONDS
        if outranked and (rank != CADVISOR or now - since < _LATE_SECONDS):
            return
        known = self.of(replica)
        if known.sampled_at is not None and at <= known.sampled_at:
            return
        if outranked:
            known = msgspec.structs.replace(known, cpu=msgspec.structs.replace(cpu, at=at) if cpu else known.cpu)
        else:
            self._rank[replica] = (rank, now)
            known = msgspec.structs.replace(known, memory=memory or known.memory, cpu=cpu or known.cpu, sampled_at=at)
        self.measured[replica] = known
        self._failures.get(replica, {}).pop("figures", None)
        self._put(replica)

    def inside(self, replica: ReplicaId, found: Inside) -> None:
        """Takes what a look inside the container told; the control group's figures where it shows them."""
        known = self.of(replica)
        self.measured[replica] = msgspec.structs.replace(
            known,
            workers=found.workers,
            listeners=found.listeners,
            drivers=found.drivers if found.drivers is not None else known.drivers,
        )
        self._failures.get(replica, {}).pop("inside", None)
        if found.memory is not None or found.cpu is not None:
            self.figure(replica, INSIDE, found.at, found.memory, found.cpu)
        self._put(replica)

    def probed(self, replica: ReplicaId, *, loop: HttpSample | None = None, health: HttpSample | None = None) -> None:
        """Takes an answer of the service itself."""
        known = self.of(replica)
        loops, healths = known.loop_probes, known.health_probes
        self.measured[replica] = msgspec.structs.replace(
            known,
            loop_probes=(*loops, loop)[-PROBES:] if loop is not None else loops,
            health_probes=(*healths, health)[-PROBES:] if health is not None else healths,
        )
        self._put(replica)

    def stacked(self, replica: ReplicaId, stack: StackSample) -> None:
        """Takes a stack."""
        known = self.of(replica)
        self.measured[replica] = msgspec.structs.replace(known, stacks=(*known.stacks, stack)[-STACKS:])
        self.failed(replica, "stack", None)
        self._put(replica)

    def failed(self, replica: ReplicaId, part: str, failure: Failure | None) -> None:
        """Notes that a part cannot be read, or can again."""
        failures = self._failures.setdefault(replica, {})
        if failures.get(part) == failure:
            return
        if failure is None:
            failures.pop(part)
        else:
            failures[part] = failure
        self._put(replica)

    def _put(self, replica: ReplicaId) -> None:
        unreadable = tuple(self._failures.get(replica, {}).values())
        known = self.of(replica)
        if known.unreadable != unreadable:
            known = msgspec.structs.replace(known, unreadable=unreadable)
        self.measured[replica] = known
        self._touch((replica,))
