"""The processes of a container as one ``exec`` told them: who serves, what each uses, what the control group counts."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from probes import cgroup, proctext
from probes.base import Failure, Frozen, ReplicaId
from probes.drivers import loaded
from probes.model import UNKNOWN_LIMIT, Cpu, Listener, Memory, Worker
from probes.procfs import ProcFs, Tree
from probes.servers import ServerCommand
from probes.target import Unreadable
from probes.targets.kubernetes import inside
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.headroom import readers
from probes.workers import CpuMeter, measure

DEADLINE_SECONDS = 10.0
DETAILS_SECONDS = 30.0
"""How old PSS and the loaded drivers may be where nobody looks closely."""
_V1, _V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"


class Inside(Frozen, frozen=True):
    """What one look inside a container told."""

    at: datetime
    memory: Memory | None = None
    cpu: Cpu | None = None
    workers: tuple[Worker, ...] = ()
    listeners: tuple[Listener, ...] | None = None
    drivers: tuple[str, ...] | None = None


class Told(ProcFs):
    """The files that were printed, seen as the proc filesystem of the container; nothing else is in it."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__("/proc")
        self._files = files

    def _read(self, path: str) -> bytes | None:
        return self._files.get(f"/proc/{path}")

    def text_of(self, path: str) -> bytes | None:
        """A file by its whole path."""
        return self._files.get(path)

    def tree(self) -> Tree:
        """The processes that were told of."""
        pids = [path.split("/")[2] for path in self._files if path.startswith("/proc/") and path.endswith("/stat")]
        found = (self.stat(int(pid)) for pid in pids if pid.isdecimal() and pid.isascii())
        return Tree({one.pid: one for one in found if one is not None}, time.monotonic())

    def open_files(self, pid: int) -> int | None:
        """As counted there."""
        return proctext.number((self._read(f"{pid}/fd") or b"").partition(b" ")[0])

    def sockets(self, pid: int) -> frozenset[int] | None:
        """As listed there; a shell lists none."""
        words = (self._read(f"{pid}/fd") or b"").split()[1:]
        numbers = (proctext.number(word[8:-1]) for word in words)
        return frozenset(one for one in numbers if one is not None) if words else None

    def _link(self, path: str) -> str | None:
        del path
        return None


class Reader:
    """Looks into containers; remembers of each what rates and costly figures need."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._kept: dict[ReplicaId, _Kept] = {}

    def forget(self, alive: set[ReplicaId]) -> None:
        """Drops containers that are no more."""
        for gone in self._kept.keys() - alive:
            del self._kept[gone]

    async def read(
        self, replica: ReplicaId, command: ServerCommand | None, *, memory: Memory, close: bool = False
    ) -> Inside:
        """One look. Raises :class:`Unreadable` (``ReadOnly`` in read-only mode, from the client).

        ``command`` tells which of several servers in the container is meant; ``memory`` is what the container may use,
        and uses; ``close`` reads PSS each time.
        """
        kept = self._kept.setdefault(replica, _Kept())
        now = time.monotonic()
        details = close or now - kept.detailed_at >= DETAILS_SECONDS
        files, way = await self._run(replica, kept, readers(memory), details=details)
        if details and way != "sh":  # which tells none
            kept.detailed_at = now
        return kept.take(replica, files, command)

    async def _run(
        self, replica: ReplicaId, kept: _Kept, ways: Sequence[str], *, details: bool
    ) -> tuple[Mapping[str, bytes], str]:
        """What was printed, and by what."""
        namespace, pod, container = replica.split("/", 2)
        scarce = ways[0] == "sh"
        if kept.way is not None and not scarce:
            ways = (kept.way, *(one for one in ways if one != kept.way))
        missing: Unreadable | None = None
        for way in ways:
            program = inside.Program(details=details, shell=way == "sh", interpreter=way)
            try:
                output = await self._client.execute(
                    namespace,
                    pod,
                    container,
                    program.argv,
                    stdin=program.stdin,
                    timeout_seconds=DEADLINE_SECONDS,
                    limit=inside.OUTPUT_LIMIT,
                )
            except Unreadable as unreadable:
                if unreadable.failure.code != "no-command":
                    raise
                missing = unreadable
                continue
            files = program.files(output)
            if files is not None:
                kept.way = kept.way if scarce else way
                return files, way
        if len(ways) == 1:
            why = "too little memory is left, or known to be left, for more than a shell, and that did not answer"
        else:
            why = "neither Python nor a shell answered inside the container" if missing is None else missing.failure.why
        raise Unreadable(Failure("unreadable", f"the processes of {pod}", why, "its image may have neither"))


class _Kept:
    """Of one container, from one look to the next."""

    def __init__(self) -> None:
        self.way: str | None = None
        self.detailed_at = -1e9
        self.meter = CpuMeter()
        self.sample: cgroup.Sample | None = None
        self.workers: tuple[Worker, ...] = ()
        self.drivers: tuple[str, ...] | None = None

    def take(self, replica: ReplicaId, files: Mapping[str, bytes], command: ServerCommand | None) -> Inside:
        """What the files mean."""
        told = Told(files)
        tree = told.tree()
        root = _root(tree)
        server = command.server if command is not None else None
        workers = (
            () if root is None else measure(told, tree, root, replica, self.meter, server, command=command, others=True)
        )
        workers = _with_details(workers, self.workers)
        self.meter.forget(tree)
        self.workers = workers
        own = [one for one in workers if one.beside is None and one.role != "master"]
        mapped = [found for one in own if (found := told.maps(one.pid)) is not None]
        if mapped:
            self.drivers = tuple(sorted({driver for one in mapped for driver in loaded(one)}))
        sample = cgroup.read(_groups(files), told.text_of)
        cpu = cgroup.cpu(sample, self.sample) if sample is not None else None
        self.sample = sample or self.sample
        tables = [one for one in (told.text_of("/proc/self/net/tcp"), told.text_of("/proc/self/net/tcp6")) if one]
        return Inside(
            at=datetime.now(UTC),
            memory=_own(sample.memory) if sample is not None and sample.memory.used_bytes is not None else None,
            cpu=cpu,
            workers=workers,
            listeners=proctext.listeners(*tables) if tables else None,
            drivers=self.drivers,
        )


def _own(memory: Memory) -> Memory:
    """Without the limit: control groups know that of all pods of a node too, which is none of the container's.

    Its own stands in the pod's description.
    """
    return replace(memory, limit=UNKNOWN_LIMIT)


def _root(tree: Tree) -> int | None:
    """The container's first process: the oldest whose parent is not among them (what was exec'd is younger)."""
    tops = [one for one in tree.stats.values() if one.ppid not in tree.stats and one.state != "Z"]
    return min(tops, key=lambda one: (one.start_ticks, one.pid)).pid if tops else None


def _groups(files: Mapping[str, bytes]) -> cgroup.Paths:
    """Where the container sees its own control groups: version 1's stand in folders by their controllers' names."""
    if any(path.startswith(f"{_V1}/") for path in files):
        base = posixpath.dirname(_V1)
        return cgroup.Paths(memory=_V1, cpu=f"{base}/cpu", cpuacct=f"{base}/cpuacct", memory_version=1, cpu_version=1)
    return cgroup.Paths(memory=_V2, cpu=_V2, cpuacct=_V2)


def _with_details(workers: tuple[Worker, ...], before: tuple[Worker, ...]) -> tuple[Worker, ...]:
    """PSS of the look before, where this one did not read it, for the same process."""
    import msgspec

    known = {(one.pid, one.started_at): one.pss_bytes for one in before}
    return tuple(
        msgspec.structs.replace(one, pss_bytes=known.get((one.pid, one.started_at))) if one.pss_bytes is None else one
        for one in workers
    )
