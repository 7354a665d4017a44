"""Reading ``/proc``: small readers over bytes. What is forbidden is ``None``, what has vanished is ``None``, nothing raises."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from probes.model import Frozen, Limit, Listener
from probes.model import UNKNOWN_LIMIT


class Stat(Frozen, frozen=True):
    """``/proc/PID/stat``: proc_pid_stat(5)."""

    pid: int
    ppid: int
    command: str
    state: str
    """One letter: R, S, D, T, Z, …"""
    cpu_seconds: float
    """User and system time of the process alone, without its children."""
    threads: int
    start_ticks: int
    """Clock ticks since boot: with the pid, the identity of a process."""


class Status(Frozen, frozen=True):
    """``/proc/PID/status``: proc_pid_status(5). Sizes in bytes."""

    rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    anonymous_bytes: int | None = None
    inner_pid: int | None = None
    """The pid in its innermost PID namespace (the last number of ``NSpid``)."""
    uid: int | None = None
    """The real user id, as the reader's user namespace numbers it."""


class Limits(Frozen, frozen=True):
    """``/proc/PID/limits``. ``None``: unlimited or unknown."""

    open_files: int | None = None
    open_files_hard: int | None = None
    memory: Limit = UNKNOWN_LIMIT
    """The smaller of RLIMIT_DATA and RLIMIT_AS, in bytes."""


class Process(Frozen, frozen=True):
    """One line of the tree."""

    stat: Stat
    argv: tuple[str, ...]


class Tree:
    """All processes of one sweep: parents and children, built once."""

    stats: Mapping[int, Stat]

    def children(self, pid: int) -> tuple[int, ...]:
        """Direct children, oldest first."""
        raise NotImplementedError

    def descendants(self, pid: int) -> tuple[int, ...]:
        """Everything below ``pid``, parents before children, without ``pid`` itself."""
        raise NotImplementedError


class ProcFs:
    """A mounted proc filesystem."""

    def __init__(self, root: str = "/proc") -> None:
        self.root = root

    def tree(self) -> Tree:
        """Reads every ``stat`` once (about 10 µs per process): one call per sweep, shared by all replicas."""
        raise NotImplementedError

    def stat(self, pid: int) -> Stat | None:
        """State, times and parent of a process."""
        raise NotImplementedError

    def status(self, pid: int) -> Status | None:
        """Memory, inner pid and user."""
        raise NotImplementedError

    def proportional(self, pid: int) -> tuple[int | None, int | None]:
        """PSS and anonymous PSS in bytes (``smaps_rollup``; costs milliseconds for large processes)."""
        raise NotImplementedError

    def limits(self, pid: int) -> Limits | None:
        """Resource limits."""
        raise NotImplementedError

    def open_files(self, pid: int) -> int | None:
        """How many descriptors are open; ``None`` without permission."""
        raise NotImplementedError

    def argv(self, pid: int) -> tuple[str, ...] | None:
        """The command line; empty for kernel threads and zombies."""
        raise NotImplementedError

    def environ(self, pid: int) -> dict[str, str] | None:
        """The environment at start, with its secrets: redact before it is kept."""
        raise NotImplementedError

    def working_dir(self, pid: int) -> str | None:
        """The current directory as the process sees it."""
        raise NotImplementedError

    def listeners(self, pid: int) -> tuple[Listener, ...] | None:
        """Listening TCP sockets of the process's network namespace, with their established connections."""
        raise NotImplementedError

    def drivers(self, pid: int) -> tuple[str, ...] | None:
        """Database drivers that are loaded into the process (:mod:`probes.drivers`)."""
        raise NotImplementedError

    def read_file(self, pid: int, path: str, limit: int = 1 << 20) -> bytes | None:
        """A file as the process sees it (through ``/proc/PID/root``, symbolic links resolved inside it)."""
        raise NotImplementedError

    def list_dir(self, pid: int, path: str) -> list[str] | None:
        """Names in a directory as the process sees it."""
        raise NotImplementedError

    def started_at(self, stat: Stat) -> datetime | None:
        """When the process started (boot time and start ticks), UTC."""
        raise NotImplementedError
