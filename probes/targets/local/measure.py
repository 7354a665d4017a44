"""What a local service uses: read from ``/proc`` and, under systemd, from its unit's control group."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from probes import cgroup, workers
from probes.base import Frozen, NodeId
from probes.model import UNLIMITED, Cpu, Listener, Memory, Node, Worker
from probes.procfs import ProcFs, Tree
from probes.targets.local.find import Master
from probes.workers import CpuMeter

DRIVER_SECONDS = 60.0
"""Between two looks at the drivers that a worker has loaded."""


class Measured(Frozen, frozen=True):
    """One sample of one master and its workers."""

    at: datetime
    workers: tuple[Worker, ...]
    memory: Memory
    cpu: Cpu
    listeners: tuple[Listener, ...] | None
    drivers: tuple[str, ...]
    started_at: datetime | None = None


class Meter:
    """Remembers the counters of the sample before."""

    def __init__(self, procfs: ProcFs) -> None:
        self._procfs = procfs
        self._cpu = CpuMeter()
        self._groups: dict[str, cgroup.Sample] = {}
        self._loaded: dict[tuple[int, int], tuple[float, tuple[str, ...]]] = {}

    def measure(self, tree: Tree, master: Master) -> Measured | None:
        """One sample; ``None`` when the master has ended."""
        stat = tree.stats.get(master.pid)
        if stat is None or stat.start_ticks != master.start_ticks:
            return None
        procfs = self._procfs
        server = master.command.server if master.command is not None else None
        found = workers.measure(procfs, tree, master.pid, master.replica, self._cpu, server)
        if not found:
            return None
        pids = [one.pid for one in found]
        memory, cpu = self._usage(master, found)
        return Measured(
            at=datetime.now(UTC),
            workers=found,
            memory=memory,
            cpu=cpu,
            listeners=procfs.listeners(master.pid, pids),
            drivers=self._drivers(tree, found),
            started_at=procfs.started_at(stat),
        )

    def forget(self, tree: Tree) -> None:
        """Drops what no longer lives."""
        self._cpu.forget(tree)
        living = {(one.pid, one.start_ticks) for one in tree.stats.values()}
        self._loaded = {key: found for key, found in self._loaded.items() if key in living}

    def _drivers(self, tree: Tree, found: tuple[Worker, ...]) -> tuple[str, ...]:
        """The drivers that the workers have loaded; a memory map takes long to read, and seldom changes."""
        names: set[str] = set()
        for one in found:
            stat = tree.stats.get(one.pid)
            if stat is None or one.role == "master":
                continue
            key = (one.pid, stat.start_ticks)
            at, loaded = self._loaded.get(key, (float("-inf"), ()))
            if tree.at - at >= DRIVER_SECONDS:
                loaded = self._procfs.drivers(one.pid) or ()
                self._loaded[key] = (tree.at, loaded)
            names.update(loaded)
        return tuple(sorted(names))

    def _usage(self, master: Master, found: tuple[Worker, ...]) -> tuple[Memory, Cpu]:
        group = self._unit(master)
        sizes = [one.pss_bytes for one in found]
        source = "PSS"
        if any(size is None for size in sizes):
            sizes, source = [one.rss_bytes for one in found], "RSS"
        known = [size for size in sizes if size is not None]
        percents = [one.cpu_percent for one in found if one.cpu_percent is not None]
        used = sum(percents) / 100 if percents else None
        memory = Memory(used_bytes=sum(known) if known else None, limit=UNLIMITED, source=source)
        if group is None:
            return memory, Cpu(used_cores=used, limit=UNLIMITED)
        now, before = group
        memory = Memory(
            used_bytes=memory.used_bytes,
            limit=now.memory.limit,
            peak_bytes=now.memory.peak_bytes if now.memory.limit.limited else None,
            oom_kills=now.memory.oom_kills,
            source=source,
        )
        return memory, cgroup.cpu(now, before)

    def _unit(self, master: Master) -> tuple[cgroup.Sample, cgroup.Sample | None] | None:
        """The counters of the systemd unit, now and before; those of a whole session would say nothing of a service."""
        if master.origin.unit is None:
            return None
        paths = cgroup.locate(master.pid)
        now = cgroup.read(paths) if paths is not None else None
        if now is None:
            return None
        before = self._groups.get(master.replica)
        self._groups[master.replica] = now
        return now, before


def node(meminfo: Path = Path("/proc/meminfo")) -> Node:
    """What this machine has."""
    name = socket.gethostname()
    sizes = _meminfo(meminfo)
    try:
        cpus: int | None = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        cpus = os.cpu_count()
    return Node(
        id=NodeId(name),
        name=name,
        cpus=cpus,
        memory_total_bytes=sizes.get("MemTotal"),
        memory_available_bytes=sizes.get("MemAvailable"),
    )


def _meminfo(path: Path) -> Mapping[str, int]:
    try:
        rows = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[str, int] = {}
    for row in rows:
        name, _, value = row.partition(":")
        number = value.split()[:1]
        if number and number[0].isdigit():
            found[name] = int(number[0]) * 1024
    return found
