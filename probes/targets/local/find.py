"""Finds the servers among the processes of this machine, once per process, by reading and never by executing."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

from probes import framework, proctext, servers, several
from probes.base import Frozen, ReplicaId
from probes.framework import Recognition
from probes.procfs import ProcFs, Stat, Tree
from probes.servers import ServerCommand
from probes.targets.local.names import Key
from probes.targets.local.origin import Origin, origin
from probes.targets.local.supervised import SOCKET_VARIABLE, Supervised, supervised

SETTLE_SECONDS = 15.0
"""A young process may still become a server (``exec``) or begin to listen: it is looked at again in each sweep."""
REREAD_SECONDS = 30.0
"""How long what the files of a service say is believed: settings and packages change under a running server."""
_PYTHON = re.compile(r"^(?:python|pypy)[0-9.]*t?$")
_PACKAGES = re.compile(rb" (/[^\n]*?)/lib(?:64)?/(?:python|pypy)[^/\n]*/(?:site|dist)-packages/")


class Master(Frozen, frozen=True):
    """A server's top process: a master with its workers, or a lone server."""

    pid: int
    start_ticks: int
    argv: tuple[str, ...]
    """As it is; secrets stand in it: redact before it is kept elsewhere."""
    working_dir: str | None
    command: ServerCommand | None
    recognition: Recognition
    origin: Origin
    supervised: Supervised | None
    key: Key
    environment: Mapping[str, str]
    """Redacted."""
    readable: bool
    """Whether its environment and files could be read."""

    @property
    def replica(self) -> ReplicaId:
        """``PID:START``."""
        return ReplicaId(f"{self.pid}:{self.start_ticks}")


class Finder:
    """Remembers what each process is, by pid, start and name: only what is new is looked at."""

    def __init__(self, procfs: ProcFs, *, unknown: bool = False, supervisor: str | None = None) -> None:
        """``supervisor`` limits the search to what the supervisor at this socket started."""
        self._procfs = procfs
        self._unknown = unknown
        self._supervisor = supervisor
        self._known: dict[tuple[int, int, str], tuple[float, Master | None]] = {}
        self._own_cgroup = procfs.cgroup(os.getpid())

    def masters(self, tree: Tree) -> tuple[Master, ...]:
        """The servers of this sweep, oldest first."""
        found: dict[int, Master] = {}
        known: dict[tuple[int, int, str], tuple[float, Master | None]] = {}
        up = _uptime()
        for stat in sorted(tree.stats.values(), key=lambda one: (one.start_ticks, one.pid)):
            if stat.state == "Z" or stat.pid == os.getpid() or not stat.start_ticks:
                continue
            identity = (stat.pid, stat.start_ticks, stat.command)
            at, master = self._known.get(identity, (0.0, None))
            if identity not in self._known or self._is_due(
                up - stat.start_ticks / proctext.TICKS_PER_SECOND, tree.at - at, master
            ):
                at, master = tree.at, None if self._is_helper(tree, stat, found) else self._look(stat)
            known[identity] = (at, master)
            if master is not None and not self._is_helper(tree, stat, found):
                found[stat.pid] = master
        self._known = known
        return tuple(found.values())

    def _is_helper(self, tree: Tree, stat: Stat, masters: Mapping[int, Master]) -> bool:
        """Whether a server stands above it, and it is no other one that a script started before it became the first."""
        if not _has_ancestor(tree, stat, masters):
            return False
        above = masters.get(stat.ppid)
        return above is None or not several.is_another(self._procfs.argv(stat.pid) or (), above.argv)

    @staticmethod
    def _is_due(age: float, known_for: float, master: Master | None) -> bool:
        return known_for >= REREAD_SECONDS if master is not None else age < SETTLE_SECONDS

    def _look(self, stat: Stat) -> Master | None:
        """What one process is; ``None`` when it is not a server to list."""
        pid, procfs = stat.pid, self._procfs
        argv = procfs.argv(pid)
        if not argv:
            return None
        serves = servers.is_server_process(argv)
        if not serves and not _PYTHON.match(posixpath.basename(procfs.executable(pid) or "")):
            return None
        environ = procfs.environ(pid)
        if self._supervisor is not None and (environ or {}).get(SOCKET_VARIABLE) != self._supervisor:
            return None
        of = origin(procfs.cgroup(pid), self._own_cgroup)
        if of.runtime == "docker":
            return None
        directory = procfs.working_dir(pid)
        return self._recognise(stat, argv, environ, directory, of, serves)

    def _recognise(
        self,
        stat: Stat,
        argv: tuple[str, ...],
        environ: dict[str, str] | None,
        directory: str | None,
        of: Origin,
        serves: bool,
    ) -> Master | None:
        pid, procfs = stat.pid, self._procfs

        def read_file(path: str) -> bytes | None:
            return procfs.read_file(pid, path)

        def list_dir(path: str) -> list[str] | None:
            return procfs.list_dir(pid, path)

        seen = environ or {}
        place = directory or "/"
        command = servers.parse(argv, seen, read_file, place) if serves else None
        found = framework.recognise(command, self._interpreted(pid, argv), seen, place, list_dir, read_file)
        wanted = found.framework == "fastapi" or (serves and self._unknown and found.framework == "unknown")
        # A program that imports FastAPI serves it only when it listens, too.
        if not wanted or (not serves and not procfs.listeners(pid, (pid,))):
            return None
        return Master(
            pid=pid,
            start_ticks=stat.start_ticks,
            argv=argv,
            working_dir=directory,
            command=command,
            recognition=found,
            origin=of,
            supervised=supervised(environ),
            key=self._key(pid, directory, command),
            environment=_redacted(seen),
            readable=environ is not None and directory is not None,
        )

    def _interpreted(self, pid: int, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The arguments, begun with the interpreter by its path where they do not say it.

        A bare ``python``, or a process title, hides whose packages are imported; compiled modules in the memory map
        tell. (``/proc/PID/exe`` does not: in a virtual environment it is the interpreter that the environment is of.)
        """
        if argv[0].startswith("/"):
            return argv
        found = _PACKAGES.search(self._procfs.maps(pid) or b"")
        if found is None:
            return argv
        interpreter = found[1].decode("utf-8", "replace") + "/bin/python"
        return (interpreter, *argv[1:]) if _PYTHON.match(argv[0]) else (interpreter, *argv)

    def _key(self, pid: int, directory: str | None, command: ServerCommand | None) -> Key:
        status = self._procfs.status(pid)
        binds = tuple(f"{host}:{port}" for host, port in command.binds()) if command is not None else ()
        app = command.app if command is not None else None
        return Key(uid=status.uid if status else None, directory=directory, app=app, binds=binds)


def _has_ancestor(tree: Tree, stat: Stat, masters: Mapping[int, Master]) -> bool:
    """Whether a server stands above: then this process is its worker, or a helper of one."""
    seen: set[int] = set()
    parent = stat.ppid
    while parent > 1 and parent not in seen:
        if parent in masters:
            return True
        seen.add(parent)
        above = tree.stats.get(parent)
        parent = above.ppid if above is not None else 0
    return False


def _uptime() -> float:
    """Seconds since the machine started; 0 when that cannot be told."""
    try:
        return float(Path("/proc/uptime").read_bytes().split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0


def _redacted(environ: Mapping[str, str]) -> dict[str, str]:
    from probes import text

    return text.environment(environ)
