"""Memory and CPU of a control group, versions 1, 2 and both at once."""

from __future__ import annotations

from probes.model import UNKNOWN_LIMIT, Cpu, Frozen, Limit, Memory


class Paths(Frozen, frozen=True):
    """Where the controllers of one process are mounted; absolute directories, ``None`` where there is none."""

    memory: str | None = None
    cpu: str | None = None
    cpuacct: str | None = None
    memory_version: int = 2
    cpu_version: int = 2


class Sample(Frozen, frozen=True):
    """The counters of one control group at one time."""

    at: float
    """Monotonic seconds."""
    memory: Memory = Memory()
    cpu_seconds: float | None = None
    cpu_limit: Limit = UNKNOWN_LIMIT
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_seconds: float | None = None


def locate(pid: int, proc: str = "/proc") -> Paths | None:
    """The control groups of a process as this machine has them mounted; ``None`` when it has vanished. Cache it per process."""
    raise NotImplementedError


def read(paths: Paths) -> Sample | None:
    """The counters now; ``None`` when the group is gone. What cannot be read is unknown."""
    raise NotImplementedError


def cpu(now: Sample, before: Sample | None) -> Cpu:
    """CPU of a replica from two samples; rates are unknown without an earlier one."""
    raise NotImplementedError
