"""What a replica uses: from control groups and ``/proc`` where the daemon is on this machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from probes import cgroup
from probes.aside import Aside
from probes.base import Frozen, ReplicaId
from probes.model import UNKNOWN_LIMIT, Cpu, Limit, Listener, Memory, Server, Worker
from probes.procfs import ProcFs, Tree
from probes.servers import ServerCommand
from probes.workers import CpuMeter, measure

LISTENERS_SECONDS = 30.0
"""Between two looks at the sockets of what is not focused."""
DRIVERS_SECONDS = 300.0
"""Between two looks at a worker's memory map: what it has loaded it keeps."""


class Reading(Frozen, frozen=True):
    """One measurement of one replica."""

    at: datetime
    memory: Memory | None = None
    cpu: Cpu | None = None
    workers: tuple[Worker, ...] | None = None
    """Of all servers in it."""
    listeners: tuple[Listener, ...] | None = None
    drivers: tuple[str, ...] | None = None
    log_bytes: int | None = None
    open_files_most: int | None = None


class Subject(Frozen, frozen=True):
    """What is to be measured."""

    replica: ReplicaId
    pid: int
    server: Server | None
    memory_limit: Limit
    cpu_limit: Limit
    shared_network: bool
    """The network namespace has other users: only sockets of the replica's own processes count."""
    command: ServerCommand | None = None
    """Which of several servers is meant."""
    details_seconds: float = 0.0
    """How old PSS and the number of open files may be: they cost ten times what the rest does."""
    log_path: str = ""
    """Where the engine keeps its output; empty where it keeps none in a file."""


class _Kept:
    """What is remembered of one replica between two measurements."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.paths: cgroup.Paths | None = None
        self.sample: cgroup.Sample | None = None
        self.workers: tuple[Worker, ...] = ()
        self.listeners: tuple[Listener, ...] | None = None
        self.drivers: tuple[str, ...] | None = None
        self.log_bytes: int | None = None
        self.open_files_most: int | None = None
        self.detailed_at = -1e9
        self.heard_at = -1e9
        self.drivers_at = -1e9


class LocalMeter:
    """Measures containers of a daemon on this machine. Blocking: :attr:`aside` calls it in one thread at a time."""

    def __init__(self, procfs: ProcFs) -> None:
        self.procfs = procfs
        self.aside = Aside("fastops-proc")
        self._cpu = CpuMeter()
        self._kept: dict[ReplicaId, _Kept] = {}

    def forget(self, alive: set[ReplicaId]) -> None:
        """Drops replicas that are no more."""
        for gone in self._kept.keys() - alive:
            del self._kept[gone]

    def belongs(self, pid: int, container: str) -> bool:
        """Whether this process is the container's: its control groups carry the container's id."""
        if pid <= 0:
            return False
        text = self.procfs.cgroup(pid)
        if text is None:
            return False
        # With a private cgroup namespace of our own the text may be a bare "/": the mounts name the container too.
        return container in text

    def sweep(self, subjects: list[Subject]) -> dict[ReplicaId, Reading | None]:
        """All subjects with one look at the process table; ``None`` for one that has vanished."""
        tree = self.procfs.tree()
        found = {one.replica: self._measure(one, tree) for one in subjects}
        self._cpu.forget(tree)
        return found

    def _measure(self, subject: Subject, tree: Tree) -> Reading | None:
        if subject.pid not in tree.stats:
            return None
        kept = self._kept.get(subject.replica)
        if kept is None or kept.pid != subject.pid:
            kept = self._kept[subject.replica] = _Kept(subject.pid)
            kept.open_files_most = self._most(tree.stats[subject.pid].ppid)
        now = time.monotonic()
        memory, cpu = self._group(subject, kept)
        detailed = now - kept.detailed_at >= subject.details_seconds
        workers = measure(
            self.procfs,
            tree,
            subject.pid,
            subject.replica,
            self._cpu,
            subject.server,
            detailed=detailed,
            command=subject.command,
            others=True,
        )
        if detailed:
            kept.detailed_at = now
            kept.log_bytes = _size(subject.log_path)
        else:
            workers = _with_details(workers, kept.workers)
        if not kept.listeners or now - kept.heard_at >= min(subject.details_seconds, LISTENERS_SECONDS):
            kept.heard_at = now
            owners = (subject.pid, *tree.descendants(subject.pid)) if subject.shared_network else None
            kept.listeners = self.procfs.listeners(subject.pid, owners)
        kept.workers = workers
        if workers and now - kept.drivers_at >= DRIVERS_SECONDS:
            kept.drivers_at = now
            kept.drivers = self._drivers(workers)
        return Reading(
            at=datetime.now(UTC),
            memory=memory,
            cpu=cpu,
            workers=workers,
            listeners=kept.listeners,
            drivers=kept.drivers,
            log_bytes=kept.log_bytes,
            open_files_most=kept.open_files_most,
        )

    def _group(self, subject: Subject, kept: _Kept) -> tuple[Memory | None, Cpu | None]:
        if kept.paths is None:
            kept.paths = cgroup.locate(subject.pid, self.procfs.root)
        sample = cgroup.read(kept.paths) if kept.paths is not None else None
        if sample is None:
            kept.paths = None
            return None, None
        cpu = cgroup.cpu(sample, kept.sample)
        kept.sample = sample
        return sample.memory, cpu

    def _most(self, starter: int) -> int | None:
        """Of open files, by the process that started the container (the engine's shim) and has the engine's rights.

        Process 1 has adopted the container: its limits tell nothing of the engine's.
        """
        return self.procfs.open_files_most(starter) if starter > 1 else None

    def _drivers(self, workers: tuple[Worker, ...]) -> tuple[str, ...] | None:
        own = [one for one in workers if one.beside is None]
        serving = [one for one in own if one.role != "master"] or own
        return self.procfs.drivers(serving[-1].pid) if serving else None


def _with_details(workers: tuple[Worker, ...], before: tuple[Worker, ...]) -> tuple[Worker, ...]:
    """Costly figures of the previous detailed reading, kept beside the new cheap ones of the same process."""
    import msgspec

    known = {(one.pid, one.started_at): one for one in before}
    merged: list[Worker] = []
    for worker in workers:
        old = known.get((worker.pid, worker.started_at))
        if old is None:
            merged.append(worker)
            continue
        kept = {
            name: getattr(old, name)
            for name in ("pss_bytes", "open_files", "open_files_limit", "open_files_hard_limit")
            if getattr(worker, name) is None
        }
        merged.append(msgspec.structs.replace(worker, **kept) if kept else worker)
    return tuple(merged)


def limited(found: Limit, configured: Limit) -> Limit:
    """The limit that was read, or what the engine was told where it could not be."""
    return configured if found == UNKNOWN_LIMIT else found


def _size(path: str) -> int | None:
    """Of a file of the engine's; ``None`` where it cannot be seen from here."""
    try:
        return Path(path).stat().st_size if path.startswith("/") else None
    except OSError:
        return None
