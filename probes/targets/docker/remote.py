"""What a replica uses, as the engine tells it: for daemons on other machines, and where ``/proc`` is closed to us."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import msgspec

from probes.base import Frozen, ReplicaId
from probes.model import Cpu, Memory, Worker
from probes.procfs import ProcFs, Tree
from probes.proctext import Stat, Status
from probes.target import Unreadable
from probes.targets.docker.client import EngineClient
from probes.targets.docker.measure import Reading, Subject
from probes.workers import CpuMeter, Spent, measure

_COLUMNS = "pid,ppid,rss,cputimes,etimes,nlwp,args"
_TIMEOUT_SECONDS = 5.0
COARSE_SECONDS = 10.0


class _Top(Frozen, frozen=True):
    processes: tuple[tuple[str, ...], ...] | None = msgspec.field(default=None, name="Processes")


class _CpuUsage(Frozen, frozen=True):
    total_usage: int = 0


class _Throttling(Frozen, frozen=True):
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class _CpuStats(Frozen, frozen=True):
    cpu_usage: _CpuUsage = _CpuUsage()
    throttling_data: _Throttling = _Throttling()


class _MemoryStats(Frozen, frozen=True):
    usage: int | None = None
    max_usage: int | None = None
    stats: dict[str, int] | None = None


class _Stats(Frozen, frozen=True):
    read: str = ""
    cpu_stats: _CpuStats = _CpuStats()
    memory_stats: _MemoryStats = _MemoryStats()


class TopProcesses(ProcFs):
    """The processes of one ``top``, seen as a proc filesystem that tells nothing else."""

    def __init__(self, rows: tuple[tuple[str, ...], ...]) -> None:
        super().__init__("/nonexistent")
        self._stats: dict[int, Stat] = {}
        self._rss: dict[int, int] = {}
        self._argv: dict[int, tuple[str, ...]] = {}
        self._started: dict[int, datetime] = {}
        now = datetime.now(UTC)
        for row in rows:
            if len(row) < 7 or not all(one.isdecimal() for one in row[:6]):
                continue
            pid, ppid, rss, cpu, age, threads = (int(one) for one in row[:6])
            self._stats[pid] = Stat(pid, ppid, row[6][:64], "S", float(cpu), threads, 0)
            self._rss[pid] = rss * 1024
            self._argv[pid] = tuple(" ".join(row[6:]).split())
            self._started[pid] = now - timedelta(seconds=age)

    def tree(self) -> Tree:
        """All of them."""
        return Tree(self._stats, time.monotonic())

    def root_pid(self) -> int | None:
        """The container's first process: the one whose parent is not in the container."""
        return next((pid for pid, one in sorted(self._stats.items()) if one.ppid not in self._stats), None)

    def stat(self, pid: int) -> Stat | None:
        """Parent, CPU time (in whole seconds) and threads."""
        return self._stats.get(pid)

    def status(self, pid: int) -> Status | None:
        """Resident memory."""
        return Status(rss_bytes=self._rss[pid]) if pid in self._rss else None

    def argv(self, pid: int) -> tuple[str, ...] | None:
        """The command line, split at spaces."""
        return self._argv.get(pid)

    def started_at(self, stat: Stat) -> datetime | None:
        """When the process started, to the second."""
        return self._started.get(stat.pid)


class CoarseMeter(CpuMeter):
    """CPU of processes whose times come in whole seconds: over less than ten a tick would look like a burst."""

    def __init__(self) -> None:
        super().__init__()
        self._latest: dict[int, tuple[float, float, float | None]] = {}

    def percent(self, pid: int, start_ticks: int, spent_seconds: float, at: float, what: Spent = "cpu") -> float | None:
        """Percent of one core over the latest ten seconds or more; ``None`` until so much was seen."""
        if what != "cpu":
            return super().percent(pid, start_ticks, spent_seconds, at, what)
        cpu_seconds = spent_seconds
        before = self._latest.get(pid)
        if before is None or cpu_seconds < before[1]:
            self._latest[pid] = (at, cpu_seconds, None)
            return None
        if at - before[0] < COARSE_SECONDS:
            return before[2]
        found = 100 * (cpu_seconds - before[1]) / (at - before[0])
        self._latest[pid] = (at, cpu_seconds, found)
        return found

    def forget(self, alive: Tree) -> None:
        """Drops what no longer lives."""
        self._latest = {pid: seen for pid, seen in self._latest.items() if pid in alive.stats}


class RemoteMeter:
    """Measures replicas by ``top`` and ``stats``: two requests each."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._meters: dict[ReplicaId, CoarseMeter] = {}
        self._before: dict[ReplicaId, tuple[float, _CpuStats]] = {}

    def forget(self, alive: set[ReplicaId]) -> None:
        """Drops replicas that are no more."""
        for gone in (self._meters.keys() | self._before.keys()) - alive:
            self._meters.pop(gone, None)
            self._before.pop(gone, None)

    async def measure(self, subject: Subject) -> Reading | None:
        """One reading; ``None`` when the container has vanished or stopped. Raises :class:`Unreadable`."""
        path = f"/containers/{subject.replica}"
        try:
            stats = await self._client.get(
                f"{path}/stats", _Stats, params={"stream": 0, "one-shot": 1}, timeout_seconds=_TIMEOUT_SECONDS
            )
            top = await self._client.get(
                f"{path}/top", _Top, params={"ps_args": f"-eo {_COLUMNS}"}, timeout_seconds=_TIMEOUT_SECONDS
            )
        except Unreadable as unreadable:
            if unreadable.failure.code in {"not-found", "conflict"}:
                return None
            raise
        if stats.read.startswith("0001-") and not top.processes:
            return None
        processes = TopProcesses(top.processes or ())
        root = processes.root_pid()
        meter = self._meters.setdefault(subject.replica, CoarseMeter())
        tree = processes.tree()
        workers: tuple[Worker, ...] = ()
        if root is not None:
            workers = measure(
                processes, tree, root, subject.replica, meter, subject.server, command=subject.command, others=True
            )
        meter.forget(tree)
        return Reading(
            at=datetime.now(UTC),
            memory=_memory(stats.memory_stats, subject),
            cpu=self._rates(stats.cpu_stats, subject),
            workers=workers,
        )

    def _rates(self, now: _CpuStats, subject: Subject) -> Cpu:
        at = time.monotonic()
        before = self._before.get(subject.replica)
        self._before[subject.replica] = (at, now)
        throttled = now.throttling_data
        cpu = Cpu(limit=subject.cpu_limit, periods=throttled.periods, throttled_periods=throttled.throttled_periods)
        if before is None or at <= before[0] or now.cpu_usage.total_usage < before[1].cpu_usage.total_usage:
            return cpu
        seconds, old = at - before[0], before[1].throttling_data
        periods = throttled.periods - old.periods
        return msgspec.structs.replace(
            cpu,
            used_cores=(now.cpu_usage.total_usage - before[1].cpu_usage.total_usage) / 1e9 / seconds,
            throttled_ratio=(throttled.throttled_periods - old.throttled_periods) / periods if periods > 0 else None,
            throttled_time_ratio=(throttled.throttled_time - old.throttled_time) / 1e9 / seconds,
        )


def _memory(found: _MemoryStats, subject: Subject) -> Memory:
    """Working set: usage less inactive file cache, under the names of both versions of control groups."""
    if found.usage is None:
        return Memory(limit=subject.memory_limit)
    stats = found.stats or {}
    cache = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    return Memory(
        used_bytes=max(0, found.usage - cache),
        limit=subject.memory_limit,
        peak_bytes=found.max_usage,
        source="docker stats",
    )
