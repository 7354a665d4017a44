"""Reading ``/proc``: what is forbidden is ``None``, what has vanished is ``None``, nothing raises."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from probes import drivers, proctext, rooted
from probes.model import Listener
from probes.proctext import TICKS_PER_SECOND, Limits, Stat, Status

__all__ = ["Limits", "ProcFs", "Stat", "Status", "Tree"]

CAP_SYS_RESOURCE = 24
"""Its bit (capabilities(7), linux/capability.h): limits may be raised beyond the hard ones."""
_LARGEST = 8 << 20  # of one file of /proc: net/tcp of 50,000 connections


class Tree:
    """All processes of one sweep: parents and children, built once."""

    def __init__(self, stats: Mapping[int, Stat], at: float) -> None:
        self.stats = stats
        self.at = at
        """Monotonic seconds of the sweep."""
        self._children: dict[int, list[int]] = {}
        for one in sorted(stats.values(), key=lambda one: (one.start_ticks, one.pid)):
            self._children.setdefault(one.ppid, []).append(one.pid)

    def children(self, pid: int) -> tuple[int, ...]:
        """Direct children, oldest first; no zombies."""
        return tuple(child for child in self._children.get(pid, ()) if self.stats[child].state != "Z")

    def descendants(self, pid: int) -> tuple[int, ...]:
        """Everything below ``pid``, level by level, without ``pid`` itself and without zombies."""
        found: dict[int, None] = {}
        level = [pid]
        while level:
            level = [child for one in level for child in self.children(one) if child != pid and child not in found]
            found.update(dict.fromkeys(level))
        return tuple(found)


class ProcFs:
    """A mounted proc filesystem."""

    def __init__(self, root: str = "/proc") -> None:
        self.root = root
        self._booted: int | None = None

    def _read(self, path: str) -> bytes | None:
        try:
            with open(f"{self.root}/{path}", "rb", buffering=0) as file:  # noqa: PTH123 - a hot path: no Path objects
                first = file.read(1 << 16)
                if not first:
                    return first
                chunks = [first]
                size = len(first)
                while size < _LARGEST and (chunk := file.read(1 << 16)):
                    chunks.append(chunk)
                    size += len(chunk)
                return b"".join(chunks)
        except (OSError, ValueError):
            return None

    def tree(self) -> Tree:
        """Reads every ``stat`` once: one call per sweep, shared by all replicas."""
        try:
            names = os.listdir(self.root)  # noqa: PTH208 - a hot path: no Path objects
        except OSError:
            names = []
        found = (self.stat(int(name)) for name in names if name.isdecimal() and name.isascii())
        return Tree({one.pid: one for one in found if one is not None}, time.monotonic())

    def stat(self, pid: int) -> Stat | None:
        """State, times and parent of a process."""
        text = self._read(f"{pid}/stat")
        return None if text is None else proctext.stat(text)

    def queued_seconds(self, pid: int) -> float | None:
        """How long the main thread was ready to run and waited for a CPU, since its start (``schedstat``)."""
        text = self._read(f"{pid}/schedstat")
        return None if text is None else proctext.queued_seconds(text)

    def status(self, pid: int) -> Status | None:
        """Memory, inner pid and user."""
        text = self._read(f"{pid}/status")
        return None if text is None else proctext.status(text)

    def proportional(self, pid: int) -> tuple[int | None, int | None]:
        """PSS and anonymous PSS in bytes (``smaps_rollup``; costs milliseconds for large processes)."""
        text = self._read(f"{pid}/smaps_rollup")
        return (None, None) if text is None else proctext.proportional(text)

    def limits(self, pid: int) -> Limits | None:
        """Resource limits."""
        text = self._read(f"{pid}/limits")
        return None if text is None else proctext.limits(text)

    def open_files_most(self, pid: int) -> int | None:
        """The highest limit of open files that this process may give to what it starts; ``None`` where unknown.

        Its own hard limit; with CAP_SYS_RESOURCE in the first user namespace the kernel's ``fs.nr_open``.
        Source: setrlimit(2).
        """
        status, limits = self.status(pid), self.limits(pid)
        if status is None or limits is None or status.capabilities is None:
            return None
        first = (self._read(f"{pid}/uid_map") or b"").split() == [b"0", b"0", b"4294967295"]
        if first and status.capabilities >> CAP_SYS_RESOURCE & 1:
            return proctext.number((self._read("sys/fs/nr_open") or b"").strip())
        return limits.open_files_hard

    def open_files(self, pid: int) -> int | None:
        """How many descriptors are open; ``None`` without permission."""
        try:
            return len(os.listdir(f"{self.root}/{pid}/fd"))  # noqa: PTH208 - a hot path: no Path objects
        except OSError:
            return None

    def sockets(self, pid: int) -> frozenset[int] | None:
        """Inodes of the open sockets, without the standard streams (inherited by all); ``None`` without permission."""
        found: set[int] = set()
        try:
            with os.scandir(f"{self.root}/{pid}/fd") as entries:
                for entry in entries:
                    if entry.name in ("0", "1", "2"):
                        continue
                    try:
                        target = os.readlink(entry.path)  # noqa: PTH115 - a hot path: no Path objects
                    except OSError:
                        continue
                    if target.startswith("socket:["):
                        found.add(int(target[8:-1]))
        except OSError:
            return None
        return frozenset(found)

    def argv(self, pid: int) -> tuple[str, ...] | None:
        """The command line; empty for kernel threads and zombies."""
        text = self._read(f"{pid}/cmdline")
        return None if text is None else proctext.arguments(text)

    def environ(self, pid: int) -> dict[str, str] | None:
        """The environment at start, with its secrets: redact before it is kept."""
        text = self._read(f"{pid}/environ")
        return None if text is None else proctext.environment(text)

    def working_dir(self, pid: int) -> str | None:
        """The current directory as the process sees it."""
        return self._link(f"{pid}/cwd")

    def executable(self, pid: int) -> str | None:
        """The program that runs, as the process sees it (an interpreter, for scripts)."""
        return self._link(f"{pid}/exe")

    def namespace(self, pid: int, kind: str) -> str | None:
        """The identity of a namespace (``net``, ``pid``, ``mnt``, …): equal texts are the same namespace."""
        return self._link(f"{pid}/ns/{kind}")

    def _link(self, path: str) -> str | None:
        try:
            return str(Path(self.root, path).readlink()).removesuffix(" (deleted)")
        except OSError:
            return None

    def cgroup(self, pid: int) -> str | None:
        """The text of ``/proc/PID/cgroup``: names the container or the systemd unit of origin."""
        text = self._read(f"{pid}/cgroup")
        return None if text is None else text.decode("utf-8", "replace")

    def listeners(self, pid: int, owners: Iterable[int] | None = None) -> tuple[Listener, ...] | None:
        """Listening TCP sockets of the process's network namespace, with their established connections.

        ``owners`` keeps those that one of these processes has open: for a namespace that is shared with others (local
        processes, host networking). ``None`` when neither may be read.
        """
        inodes: frozenset[int] | None = None
        if owners is not None:
            known = [found for found in map(self.sockets, owners) if found is not None]
            if not known:
                return None
            inodes = frozenset().union(*known)
        tables = [text for text in (self._read(f"{pid}/net/tcp"), self._read(f"{pid}/net/tcp6")) if text is not None]
        return proctext.listeners(*tables, inodes=inodes) if tables else None

    def maps(self, pid: int) -> bytes | None:
        """The memory map's text: which files are mapped."""
        return self._read(f"{pid}/maps")

    def drivers(self, pid: int) -> tuple[str, ...] | None:
        """Database drivers that are loaded into the process (:mod:`probes.drivers`)."""
        text = self._read(f"{pid}/maps")
        return drivers.loaded(text) if text else None

    def read_file(self, pid: int, path: str, limit: int = 1 << 20) -> bytes | None:
        """A file as the process sees it: below ``/proc/PID/root``, symbolic links resolved inside it."""
        return rooted.read_file(f"{self.root}/{pid}/root", path, limit)

    def is_absent(self, pid: int, path: str) -> bool:
        """Whether the process has nothing at ``path``, for certain: what may not be looked at may be there."""
        return rooted.is_absent(f"{self.root}/{pid}/root", path)

    def list_dir(self, pid: int, path: str) -> list[str] | None:
        """Names in a directory as the process sees it."""
        return rooted.list_dir(f"{self.root}/{pid}/root", path)

    def started_at(self, stat: Stat) -> datetime | None:
        """When the process started (boot time and start ticks), UTC."""
        if self._booted is None:
            self._booted = proctext.boot_time(self._read("stat") or b"")
        if self._booted is None:
            return None
        try:
            return datetime.fromtimestamp(self._booted + stat.start_ticks / TICKS_PER_SECOND, UTC)
        except (OverflowError, OSError, ValueError):
            return None
