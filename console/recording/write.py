"""Writes a recording: one moment after another, in a file that is bounded and that no kill leaves unreadable."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from console.recording import form
from console.recording.form import Unusable
from console.recording.moments import Moments
from console.recording.pack import encoded
from fixes.model import Report
from probes.base import DeploymentId
from probes.loghits import LogLine

_LOG_BYTES = 4 << 20
"""Of the write-ahead log that lies beside the file while it is written."""
_STEP_SECONDS = 0.001
"""A clock that was set back does not turn the order of moments round."""

_SHARE = 10
"""A moment takes so much of the bound at most, so that the longest chapter and the one before it are within it."""
_LEAST_MOMENTS = 4
"""In a chapter: the whole of a large fleet is not written each time."""
_OVERHEAD, _SPARE_PAGES = 500, 8
"""What a row costs SQLite beside its bytes: four of each page, and what stands between pages."""


class Recording:
    """A file that is written. One thread uses it.

    Each moment is a transaction in a write-ahead log: kill -9 loses the one that is being written, at most. The oldest
    chapters are dropped before the file grows beyond ``most_bytes``; its log lies beside it.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        """Makes the file, readable by its owner alone; raises :class:`Unusable`, also where there is one already."""
        self.path = path
        self._most = most_bytes
        self._moments = Moments(min(most_bytes // _SHARE, form.MOST_ROW_BYTES // 2))
        self._chapters: deque[int] = deque()
        """The ids that chapters begin with, oldest first."""
        self._chapter_bytes = 0
        self._next = 1
        self._began = self._last = 0.0
        self.first_at = 0.0
        """When the oldest moment was that is kept, in seconds since the epoch; 0 before the first."""
        self.dropped = False
        """Whether there was more than the bound allows."""
        self.size_bytes = 0
        """What the file holds."""
        self._database = _create(path)

    @property
    def last_at(self) -> float:
        """When the newest moment was, in seconds since the epoch; 0 before the first."""
        return self._last

    def add(self, report: Report, lines: Mapping[DeploymentId, Sequence[LogLine]] | None = None) -> None:
        """Writes what is new in a report; raises :class:`Unusable` where the file takes no more."""
        at = max(report.snapshot.taken_at.timestamp(), self._last + _STEP_SECONDS)
        fresh = self._is_full(at)
        data = encoded(self._moments.make(report, lines or {}, fresh=fresh))
        first = self._next if fresh else self._chapters[-1]
        events = len(report.opened) + len(report.closed)
        try:
            self._database.execute("BEGIN")
            if fresh:
                self._chapters.append(first)
                self._began, self._chapter_bytes = at, 0
            self._make_room(data, at)
            self._database.execute("INSERT INTO moments VALUES (?, ?, ?, ?, ?)", (self._next, at, first, events, data))
            self._database.execute("COMMIT")
            self.size_bytes = self._used()
            if fresh:  # whoever copies the file without the log beside it has all but the latest chapter
                self._database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            raise Unusable(f"{self.path} takes no more: {error}. What was recorded so far can be replayed") from None
        self._next += 1
        self._last = at
        self._chapter_bytes += len(data)
        self.first_at = self.first_at or at

    def close(self) -> None:
        """Leaves one file: the log beside it is written into it."""
        with contextlib.suppress(sqlite3.Error):  # the disk is full: the log stays beside it, and both can be read
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._database.execute("PRAGMA journal_mode=DELETE")
        self._database.close()

    def _is_full(self, at: float) -> bool:
        """Whether a new chapter begins."""
        if not self._chapters or at - self._began >= form.CHAPTER_SECONDS:
            return True
        moments = self._next - self._chapters[-1]
        return moments >= form.CHAPTER_MOMENTS or (
            moments >= _LEAST_MOMENTS and self._chapter_bytes > min(self._most, form.MOST_CHAPTER_BYTES) // 8
        )

    def _make_room(self, data: bytes, at: float) -> None:
        """Drops the oldest chapters where more would go beyond the bound; the one that is written stays."""
        needed = len(data) + len(data) // _OVERHEAD + _SPARE_PAGES * form.PAGE_BYTES
        while self._used() + needed > self._most and len(self._chapters) > 1:
            self._chapters.popleft()
            self._database.execute("DELETE FROM moments WHERE id < ?", (self._chapters[0],))
            found = self._database.execute("SELECT at FROM moments ORDER BY id LIMIT 1").fetchone()
            self.first_at, self.dropped = (at if found is None else found[0]), True

    def _used(self) -> int:
        return (self._pragma("page_count") - self._pragma("freelist_count")) * form.PAGE_BYTES

    def _pragma(self, name: str) -> int:
        return int(self._database.execute(f"PRAGMA {name}").fetchone()[0])


def _create(path: Path) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise Unusable(f"{path} exists already, and a recording replaces nothing: name another file") from None
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror}") from None
    try:
        database = sqlite3.connect(path.absolute(), isolation_level=None)  # `:memory:` is a name, too
        database.execute(f"PRAGMA page_size={form.PAGE_BYTES}")
        database.execute(f"PRAGMA application_id={form.APPLICATION}")
        database.execute(f"PRAGMA user_version={form.FORMAT}")
        database.execute(form.TABLE)  # before the log begins: whoever has the file alone can tell what it is
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")  # a power cut may lose the last moments, never the file
        database.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
    except sqlite3.Error as error:
        raise Unusable(f"{path} cannot be written: {error}") from None
    return database
