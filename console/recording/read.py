"""Reads a recording that anybody may have made: what it says of itself is not believed, and nothing waits for ever."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from console.recording import form
from console.recording.form import Damaged, Moment, Unusable
from console.recording.pack import decoded, inflated
from probes.text import line

QUERY_SECONDS = 5.0
"""How long SQLite may work on one question."""
_SAID = 200
"""Characters of what SQLite says of a file."""
_STEPS = 20_000
"""SQLite's own steps between two looks at the time."""
_HEADER = 100
_MAGIC = b"SQLite format 3\x00"
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
_MOST_ID = 1 << 40
_PAGE_MOMENTS = 64
"""More than stand in a page of SQLite."""
_NEXT = "SELECT id, at, first, data FROM moments WHERE id >= ? ORDER BY id LIMIT 1"


class Row(NamedTuple):
    """Where a moment stands."""

    id: int
    at: float
    """Seconds since the epoch."""
    first: int
    """The chapter's first moment."""


class Reader:
    """An open recording, for one thread at a time. Its calls raise :class:`Damaged` where nothing can be read."""

    def __init__(self, path: Path) -> None:
        """Opens it; raises :class:`Unusable` with one sentence where it cannot be replayed."""
        shortened = _examine(path)
        self._deadline = math.inf
        self._database = _connect(path, shortened=shortened)
        self._database.set_progress_handler(self._late, _STEPS)
        try:
            self._check(path)
            self.first, self.last, self.cut = self._ends(shortened=shortened)
        except Damaged as error:
            self._database.close()
            raise Unusable(f"{path} is damaged: {error}") from None
        except Unusable:
            self._database.close()
            raise
        self.dropped = False
        """Whether what it began with is not there any more."""

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def find(self, at: float) -> Row:
        """The newest moment that is not after ``at``; the first one where there is none."""
        self._look_again()
        low, high = self.first, self.last
        while low.id < high.id:
            middle = self._row("id <= ? ORDER BY id DESC", (low.id + high.id + 1) // 2)
            if middle is None or middle.id <= low.id:  # ids that were left out: none is between
                middle = self._row("id > ? ORDER BY id", low.id)
                if middle is None or middle.id > high.id or middle.at > at:
                    return low
            if middle.at <= at:
                low = middle
            else:
                high = self._row("id < ? ORDER BY id DESC", middle.id) or low
        return low

    def event(self, row: Row, step: int) -> Row | None:
        """The next moment (the one before where ``step`` is negative) in which a finding opened or closed."""
        way = "id > ? AND events > 0 ORDER BY id" if step > 0 else "id < ? AND events > 0 ORDER BY id DESC"
        found = self._row(way, row.id)
        return found if found is not None and found.id <= self.last.id else None

    def moments(self, first: int, last: int) -> Iterator[tuple[Row, Moment]]:
        """The moments with these ids, in order; ends early beyond what a chapter may have."""
        read = count = 0
        at = first
        while at <= last and count < form.MOST_MOMENTS and read < form.MOST_CHAPTER_BYTES:
            found = self._one(_NEXT, at)
            row = _row(found)
            if row is None or row.id > last:
                return
            data = found[3]
            if not isinstance(data, bytes):
                raise Damaged("a moment is none")
            yield row, decoded(data, Moment)
            at, count, read = row.id + 1, count + 1, read + len(data)

    def _look_again(self) -> None:
        """A file that is still written loses its oldest chapters at its bound, at last all that it was opened with."""
        first = self._row("id > ? ORDER BY id", 0)
        if first is None:
            raise Damaged("what was in it is not there any more")
        if first.id > self.first.id:
            self.first, self.dropped = first, True
            if first.id > self.last.id:
                self.last = self._row("id <= ? ORDER BY id DESC", _MOST_ID) or first

    def _ends(self, *, shortened: bool) -> tuple[Row, Row, bool]:
        """The first and the last moment that can be read, and whether there were more."""
        try:
            first = self._whole(0)
        except Damaged:
            first = None
        if first is None:
            raise Unusable("there is no moment in it that can be read: it was cut, or ended before anything was read")
        try:
            last = self._row("id <= ? ORDER BY id DESC", _MOST_ID)
            if last is not None and not shortened and self._whole(last.id) is not None:
                return first, last, False
        except Damaged:
            pass
        return first, self._last_before_the_cut(first), True

    def _last_before_the_cut(self, first: Row) -> Row:
        """Pages come in the order of moments: what is missing is missing from somewhere on.

        What lacks of the page that was cut reads as zeroes, so some moments of it are there, and some before them not.
        """
        low, high = first, first.id + 1
        while high < _MOST_ID and (found := self._sound(high)) is not None:
            low, high = found, found.id * 2 + 1
        while high - low.id > 1:
            middle = (low.id + high) // 2
            found = self._sound(middle)
            low, high = (low, middle) if found is None or found.id >= high else (found, high)
        for identity in range(max(first.id + 1, low.id - _PAGE_MOMENTS), low.id):
            if self._sound(identity) is None:
                return self._sound(identity - 1) or first
        return low

    def _sound(self, at: int) -> Row | None:
        """The first moment from an id on, if it is whole as far as that can be told."""
        with contextlib.suppress(Damaged):
            found = self._one(_NEXT, at)
            row = _row(found)
            if row is not None and isinstance(found[3], bytes):
                moment = decoded(found[3], Moment)
                for data in (*moment.whole.values(), *moment.lines.values()):
                    inflated(data)
                return row
        return None

    def _whole(self, at: int) -> Row | None:
        """The first moment from an id on, with its data read; ``None`` where there is none."""
        return _row(self._one(_NEXT, at))

    def _row(self, where: str, at: int) -> Row | None:
        return _row(self._one(f"SELECT id, at, first FROM moments WHERE {where} LIMIT 1", at))  # noqa: S608 -- our own words

    def _one(self, query: str, *values: int) -> Any:
        self._deadline = time.monotonic() + QUERY_SECONDS
        try:
            return self._database.execute(query, values).fetchone()
        except (sqlite3.Error, ValueError, OverflowError, MemoryError) as error:
            raise Damaged(line(str(error), _SAID)) from None  # SQLite quotes what stands in the file

    def _late(self) -> int:
        return int(time.monotonic() > self._deadline)

    def _check(self, path: Path) -> None:
        """It holds our table and nothing else: no view, no trigger, no virtual table."""
        there = self._one("SELECT COUNT(*), MAX(sql) FROM sqlite_master")
        if there != (1, form.TABLE):
            raise Unusable(f"{path} is no recording of fastops: it holds other tables")


def _row(found: Any) -> Row | None:
    """A row as it should be; raises :class:`Damaged`."""
    if found is None:
        return None
    identity, at, first = found[:3]
    if not (isinstance(identity, int) and isinstance(at, float) and isinstance(first, int)):
        raise Damaged("a moment has no place")
    if not (0 < first <= identity < _MOST_ID and _EARLIEST < at < _LATEST):
        raise Damaged("a moment has a place that cannot be")
    return Row(identity, at, first)


def _examine(path: Path) -> bool:
    """Whether the file is shorter than it says; raises :class:`Unusable` for what is no recording.

    Its first bytes tell what it is (SQLite's file format, section 1.3) before SQLite sees it.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that nobody writes would be waited for
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    try:
        about = os.fstat(opened)
        if not stat.S_ISREG(about.st_mode):
            raise Unusable(f"{path} is no file")
        head = os.read(opened, _HEADER)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    finally:
        os.close(opened)
    if not head.startswith(_MAGIC):
        raise Unusable(f"{path} is no recording: it is {'empty' if not head else 'no database'}")
    if len(head) < _HEADER:
        raise Unusable(f"{path} is damaged: it ends within its first {_HEADER} bytes")
    if int.from_bytes(head[68:72], "big") != form.APPLICATION:
        raise Unusable(f"{path} is no recording of fastops: it is a database of another program")
    version = int.from_bytes(head[60:64], "big")
    if version != form.FORMAT:
        raise Unusable(
            f"{path} was recorded in format {version}, and this fastops reads format {form.FORMAT}: "
            "replay it with the fastops that recorded it"
        )
    page = int.from_bytes(head[16:18], "big")
    return about.st_size < int.from_bytes(head[28:32], "big") * (65_536 if page == 1 else page)


def _connect(path: Path, *, shortened: bool) -> sqlite3.Connection:
    """Opens it for reading alone, also where its folder may not be written."""
    failed = ""
    for how in ("mode=ro", "mode=ro&immutable=1"):
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False, timeout=1.0
        )
        try:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, form.MOST_ROW_BYTES)
            if shortened:  # else SQLite gives nothing of a file that lacks its end; nothing is written here either way
                database.execute("PRAGMA writable_schema=ON")
            for setting in ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON", "mmap_size=0"):
                database.execute(f"PRAGMA {setting}")
            database.execute("PRAGMA cache_size=-4096")
            database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        except (sqlite3.Error, ValueError) as error:
            failed = line(str(error), _SAID)
            database.close()
        else:
            return database
    raise Unusable(f"{path} cannot be read: {failed}")
