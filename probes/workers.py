"""The processes of a replica that serve requests: who they are and what they use."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Literal

from probes import servers, several
from probes.base import ReplicaId
from probes.model import Server, Worker, WorkerRole
from probes.procfs import ProcFs, Stat, Tree
from probes.proctext import Limits, Status
from probes.servers import ServerCommand

_MOST = 256
"""Workers of one replica that are measured; more would be an accident."""
_TITLE = re.compile(r"gunicorn: worker |granian worker|.* worker-\d+$")
_WRAPPERS = frozenset(
    {"sh", "bash", "dash", "ash", "tini", "docker-init", "dumb-init", "catatonit", "s6-svscan", "uv", "su"}
)


Spent = Literal["cpu", "queued"]


class CpuMeter:
    """CPU of processes between two samples, keyed by pid and start so that a reused pid begins anew."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, int, Spent], tuple[float, float]] = {}

    def percent(self, pid: int, start_ticks: int, spent_seconds: float, at: float, what: Spent = "cpu") -> float | None:
        """Percent of wall time since the previous sample of the same process; ``at`` is monotonic seconds.

        ``None`` the first time, and when no time has passed.
        """
        key = (pid, start_ticks, what)
        before = self._before.get(key)
        if before is not None and at <= before[1]:
            return None
        self._before[key] = (spent_seconds, at)
        return None if before is None else max(0.0, (spent_seconds - before[0]) / (at - before[1]) * 100)

    def forget(self, alive: Tree) -> None:
        """Drops what no longer lives."""
        self._before = {
            (pid, ticks, what): value
            for (pid, ticks, what), value in self._before.items()
            if pid in alive.stats and alive.stats[pid].start_ticks == ticks
        }


def find_servers(tree: Tree, procfs: ProcFs, root: int) -> tuple[int, ...]:
    """The servers' processes at or below ``root`` (a container's first process): past shells, tini and the like.

    A script that starts one in the background and becomes another (``exec``) is the parent of the first. A product that
    starts a server inside its own program is the first process that is no shell or init. Empty when ``root`` has
    vanished or nothing but shells is left.
    """
    if root not in tree.stats:
        return ()
    product: int | None = None
    found: list[int] = []
    below: set[int] = set()
    for pid in (root, *tree.descendants(root)[:_MOST]):
        if pid in below or (argv := procfs.argv(pid)) is None or not argv:
            continue
        if servers.is_server_process(argv):
            found.append(pid)
            children = {child: procfs.argv(child) or () for child in tree.children(pid)}
            others = {child for child, own in children.items() if several.is_another(own, argv)}
            below.update(set(tree.descendants(pid)) - others.union(*(tree.descendants(child) for child in others)))
        elif product is None and argv[0].rsplit("/", 1)[-1].lstrip("-") not in _WRAPPERS:
            product = pid
    return tuple(found) or (() if product is None else (product,))


def measure(
    procfs: ProcFs,
    tree: Tree,
    root: int,
    replica: ReplicaId,
    meter: CpuMeter,
    server: Server | None = None,
    *,
    detailed: bool = True,
    command: ServerCommand | None = None,
    others: bool = False,
) -> tuple[Worker, ...]:
    """The master (first) and workers, or the lone server, at or below ``root``; empty when it has vanished.

    ``server`` is what :func:`probes.servers.parse` said; without it the command line of the process tells. ``command``
    tells which of several servers is meant, else it is the first; with ``others`` the processes of the others come
    last and have ``beside`` set. ``detailed`` reads PSS too (milliseconds for a large process); without it a worker
    costs four small reads.
    """
    tops = find_servers(tree, procfs, root)
    if not tops:
        return ()
    alone: tuple[int, Mapping[int, str]] = (tops[0], {})
    own, named = alone if len(tops) == 1 else several.told_apart(tops, procfs, command)
    them: list[tuple[int, WorkerRole, str | None]]
    them = [(pid, role, None) for pid, role in roles(procfs, tree, own, server)]
    if others:
        them += [(pid, role, name) for top, name in named.items() for pid, role in roles(procfs, tree, top)][:_MOST]
    found = (_worker(procfs, tree, pid, role, replica, meter, detailed, name) for pid, role, name in them)
    return tuple(worker for worker in found if worker is not None)


def roles(procfs: ProcFs, tree: Tree, top: int, server: Server | None = None) -> tuple[tuple[int, WorkerRole], ...]:
    """The processes of a server and their roles, the master first.

    gunicorn forks (granian too, where that is Python's way): workers share the command line, or have titles.
    uvicorn and hypercorn spawn theirs by ``multiprocessing``, whose resource tracker is none; so does an application
    with a process pool, whose children do not hold the listening socket.
    """
    argv = procfs.argv(top) or ()
    if server is None:
        command = servers.parse(argv, {})
        server = command.server if command is not None else None
    workers = _workers(procfs, tree, top, argv, server)
    if not workers:
        lone: WorkerRole = "master" if server == "gunicorn" else "server"
        return ((top, lone),)
    found: list[tuple[int, WorkerRole]] = [(top, "master")]
    for pid in workers[:_MOST]:
        # After USR2 the old master's child is the new master.
        below = _workers(procfs, tree, pid, procfs.argv(pid) or (), server) if server == "gunicorn" else ()
        found.append((pid, "master" if below else "worker"))
        found.extend((one, "worker") for one in below)
    return tuple(found)


def _workers(procfs: ProcFs, tree: Tree, top: int, argv: tuple[str, ...], server: Server | None) -> tuple[int, ...]:
    children = [(pid, procfs.argv(pid) or ()) for pid in tree.children(top)]
    if server in ("gunicorn", "granian"):
        forked = tuple(pid for pid, own in children if own and (own == argv or _TITLE.match(own[0])))
        if forked or server == "gunicorn":
            return forked
    spawned = [pid for pid, own in children if any("spawn_main" in one for one in own)]
    if server is None or server == "uvicorn":
        held = procfs.sockets(top)
        if spawned and held:
            spawned = [pid for pid in spawned if (own := procfs.sockets(pid)) is None or own & held]
    return tuple(spawned)


def _worker(
    procfs: ProcFs,
    tree: Tree,
    pid: int,
    role: WorkerRole,
    replica: ReplicaId,
    meter: CpuMeter,
    detailed: bool,
    name: str | None,
) -> Worker | None:
    stat = tree.stats.get(pid)
    if stat is None:
        return None
    status, limits = procfs.status(pid) or Status(), procfs.limits(pid) or Limits()
    open_files = procfs.open_files(pid)
    pss, pss_anonymous = procfs.proportional(pid) if detailed else (None, None)
    now = procfs.stat(pid)
    if now is None or now.start_ticks != stat.start_ticks or now.state == "Z":
        return None  # it ended, or its number belongs to another process by now
    return _filled(procfs, now, status, limits, role, replica, meter, open_files, pss, pss_anonymous, name)


def _filled(
    procfs: ProcFs,
    stat: Stat,
    status: Status,
    limits: Limits,
    role: WorkerRole,
    replica: ReplicaId,
    meter: CpuMeter,
    open_files: int | None,
    pss: int | None,
    pss_anonymous: int | None,
    name: str | None,
) -> Worker:
    started = procfs.started_at(stat)
    queued, at = procfs.queued_seconds(stat.pid), time.monotonic()
    return Worker(
        pid=stat.pid,
        replica=replica,
        role=role,
        inner_pid=status.inner_pid,
        rss_bytes=status.rss_bytes,
        pss_bytes=pss,
        anonymous_bytes=status.anonymous_bytes if status.anonymous_bytes is not None else pss_anonymous,
        cpu_seconds=stat.cpu_seconds,
        cpu_percent=meter.percent(stat.pid, stat.start_ticks, stat.cpu_seconds, at),
        queued_percent=None if queued is None else meter.percent(stat.pid, stat.start_ticks, queued, at, "queued"),
        threads=stat.threads,
        open_files=open_files,
        open_files_limit=limits.open_files,
        open_files_hard_limit=limits.open_files_hard,
        memory_limit=limits.memory,
        started_at=started,
        age_seconds=None if started is None else max(0.0, time.time() - started.timestamp()),
        beside=name,
        peak_rss_bytes=status.peak_rss_bytes,
    )
