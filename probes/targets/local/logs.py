"""The logs of local services: files behind their descriptors, and the journal of their units."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from probes.base import ReplicaId
from probes.logbook import LogBook
from probes.loghits import LogCoverage, LogHit, LogLine
from probes.logs import Matcher
from probes.targets.local import journal
from probes.targets.local.find import Master
from probes.targets.local.follow import Follower
from probes.text import clean

POLL_SECONDS = 0.5
ATTACH_SECONDS = 15.0
"""Between two looks at the descriptors of the same processes."""
FILES = 16
"""Log files followed for one service."""
EARLIER = 3
"""Earlier masters whose lines are kept."""


class ServiceLog:
    """All logs of one deployment."""

    def __init__(self, matcher: Matcher, lookback: timedelta) -> None:
        self.book = LogBook(matcher, zone=datetime.now().astimezone().tzinfo or UTC)
        self._lookback = lookback
        self._followers: dict[str, Follower] = {}
        self._replicas: list[ReplicaId] = []
        self._journal: asyncio.Task[None] | None = None
        self._since: datetime | None = None
        self._why: str | None = None
        self._attached: tuple[ReplicaId | int, ...] = ()
        self._attach_again = 0.0

    def attach(self, master: Master, pids: Sequence[int], proc: str = "/proc") -> None:
        """Follows what these processes write to, besides what is followed already; call it in each sweep."""
        if (master.replica, *pids) == self._attached and time.monotonic() < self._attach_again:
            return
        self._attached, self._attach_again = (master.replica, *pids), time.monotonic() + ATTACH_SECONDS
        if master.replica not in self._replicas:
            self._begin(master.replica)
            self._since = datetime.now(UTC) - self._lookback
            if self._journal is not None:
                self._journal.cancel()
                self._journal = None
        found, self._why = outputs(master.pid, pids, proc)
        for path, opened_as in list(found.items())[:FILES]:
            if path not in self._followers:
                self._followers[path] = Follower(path, opened_as)
        if not found and self._journal is None and journal.available(master.origin):
            self._journal = asyncio.create_task(self._follow_journal(master))

    def poll(self) -> bool:
        """Reads what came; whether anything did."""
        came = False
        for follower in self._followers.values():
            chunk = follower.read()
            if chunk:
                came = True
                self.book.stream(self._replicas[-1], clean(follower.path, 512)).feed(chunk)
        return came

    def hits(self) -> tuple[LogHit, ...]:
        """What matched within the look-back."""
        return self.book.hits(datetime.now(UTC) - self._lookback)

    def lines(self, after: int) -> tuple[LogLine, ...]:
        """The kept tail."""
        return self.book.lines(after)

    def coverage(self) -> LogCoverage:
        """Whether the logs are read, and why not."""
        broken = [one.error for one in self._followers.values() if one.error]
        if len(broken) < len(self._followers) or (self._journal is not None and not self._journal.done()):
            return LogCoverage(state="followed", since=self._since, structured_ratio=self.book.structured_ratio)
        if broken:
            return LogCoverage(state="unread", why=f"its log file cannot be read: {clean(broken[0] or '', 120)}")
        return LogCoverage(state="unread", why=self._why or "no log of it was found")

    def close(self) -> None:
        """Closes files and the journal's reader."""
        if self._journal is not None:
            self._journal.cancel()
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()

    def _begin(self, replica: ReplicaId) -> None:
        """What comes from now on was said by this master; what an earlier one said is kept for the look-back."""
        self._replicas.append(replica)
        if len(self._replicas) > EARLIER + 1:
            self.book.drop(self._replicas.pop(0))

    async def _follow_journal(self, master: Master) -> None:
        stream = self.book.stream(master.replica, f"journal of {master.origin.unit}")
        with contextlib.suppress(OSError):
            async with contextlib.aclosing(journal.follow(master.origin, self._since or datetime.now(UTC))) as chunks:
                async for chunk in chunks:
                    stream.feed(chunk)
        self._why = "journalctl ended"


def outputs(pid: int, pids: Sequence[int], proc: str = "/proc") -> tuple[dict[str, str], str | None]:
    """Files that the processes log into, path → a name under which each can be opened; else why there is none.

    Those are standard output and error where they are files, and whatever ``*.log`` is open for appending.
    """
    found: dict[str, str] = {}
    why: str | None = None
    for one in pids:
        folder = f"{proc}/{one}/fd"
        try:
            names = os.listdir(folder)  # noqa: PTH208 - for each process of each sweep
        except OSError as error:
            why = why or f"the descriptors of process {one} cannot be read: {error.strerror}"
            continue
        for name in sorted(names, key=lambda text: int(text) if text.isdecimal() else 1 << 30):
            standard = name in ("1", "2")
            target = _target(f"{folder}/{name}")
            if target is None or not (standard or _appends(f"{proc}/{one}/fdinfo/{name}", target)):
                continue
            path = target.removesuffix(" (deleted)")
            if path.startswith("/") and not path.startswith("/dev/") and _is_file(f"{folder}/{name}"):
                found.setdefault(path, f"{folder}/{name}")
            elif standard and one == pid:
                why = why or _unfollowed(target)
    return found, why


def _target(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - for each descriptor of each sweep
    except OSError:
        return None


def _appends(info: str, target: str) -> bool:
    if not target.removesuffix(" (deleted)").endswith(".log"):
        return False
    try:
        rows = Path(info).read_text(encoding="ascii", errors="replace").splitlines()
        flags = next(int(row.partition(":")[2].strip(), 8) for row in rows if row.startswith("flags:"))
    except (OSError, ValueError, StopIteration):
        return False
    return bool(flags & os.O_APPEND) or flags & os.O_ACCMODE == os.O_WRONLY


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - for each descriptor of each sweep
    except OSError:
        return False


def _unfollowed(target: str) -> str:
    if target == "/dev/null":
        return "its output goes to /dev/null"
    if target.startswith(("/dev/pts/", "/dev/tty", "/dev/console")):
        return (
            f"its output goes to the terminal {clean(target, 64)}: start it with its output in a file, or under systemd"
        )
    return (
        "its output goes to a pipe or socket that another program reads: let it log to a file, or run it under systemd"
    )
