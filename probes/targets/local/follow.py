"""Follows a log file as it grows: its latest part first, through rotation and truncation."""

from __future__ import annotations

import os
from datetime import UTC, datetime

PAST_BYTES = 1 << 20
"""Of a file's past that is read at first."""
CHUNK_BYTES = 1 << 20
"""Read at one time, so that a flood does not hold up the rest."""
LINE_BYTES = 64 * 1024
"""A longer unfinished line is handed on as it is."""


class Follower:
    """One file. Blocking calls, each of them short; nothing raises."""

    def __init__(self, path: str, opened_as: str | None = None) -> None:
        """``opened_as`` is where the file can be opened (``/proc/PID/fd/1``) should its path not lead there."""
        self.path = path
        self.error: str | None = None
        self._file: int | None = None
        self._position = 0
        self._end_of_past = 0
        self._partial = b""
        self._called: datetime | None = None
        self._since = datetime.now(UTC)
        self._open(path, opened_as, whole=False)

    def read(self) -> bytes:
        """The whole lines that came since the last call, in bounded portions; empty when there are none.

        Lines that were there before following began come as they are. Each later one gets a time in front of it, in the
        form of an engine's stamp: that of the call before, when it was not there yet. So what was written before a
        change is never dated after it.
        """
        since, self._called = self._called, datetime.now(UTC)
        self._since = since or self._called
        if self._file is None:
            self._open(self.path, None, whole=True)
        if self._file is None:
            return b""
        try:
            data = self._next(self._file)
        except OSError as error:
            self.error = error.strerror or str(error)
            self.close()
            return b""
        return data

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self, path: str, otherwise: str | None, *, whole: bool) -> None:
        for one in (path, otherwise):
            if one is None:
                continue
            try:
                self._file = os.open(one, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                size = os.fstat(self._file).st_size
            except OSError as error:
                self.error = error.strerror or str(error)
                continue
            self._position = 0 if whole else max(0, size - PAST_BYTES)
            self._end_of_past = 0 if whole else size
            self._partial = b""
            self.error = None
            if self._position:
                self._skip_line(self._file)
            return

    def _skip_line(self, file: int) -> None:
        """Goes to the beginning of a line."""
        first = os.pread(file, LINE_BYTES, self._position)
        self._position += first.find(b"\n") + 1

    def _next(self, file: int) -> bytes:
        size = os.fstat(file).st_size
        if size < self._position:
            # Truncated in place (copytruncate): what is there now is new.
            self._position = self._end_of_past = 0
            self._partial = b""
        if size == self._position:
            return self._rotated(file)
        past = self._position < self._end_of_past
        room = min(CHUNK_BYTES, self._end_of_past - self._position) if past else CHUNK_BYTES
        data = os.pread(file, room, self._position)
        self._position += len(data)
        text = self._partial + data
        end = text.rfind(b"\n") + 1
        if not end and len(text) > LINE_BYTES:
            text, end = text + b"\n", len(text) + 1
        lines, self._partial = text[:end], text[end:]
        return lines if past else stamped(lines, self._since)

    def _rotated(self, file: int) -> bytes:
        """All is read: goes on with the file that has the path now, where that is another one."""
        try:
            there = os.stat(self.path)  # noqa: PTH116 - two calls a second for each file
        except OSError:
            return b""
        here = os.fstat(file)
        if (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev):
            return b""
        last = stamped(self._partial + b"\n", self._since) if self._partial else b""
        self.close()
        self._open(self.path, None, whole=True)
        return last


def stamped(lines: bytes, at: datetime) -> bytes:
    """Whole lines, each with a time in front (RFC 3339, UTC, and a space), as engines print them."""
    if not lines:
        return b""
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ ").encode()
    return stamp + lines[:-1].replace(b"\n", b"\n" + stamp) + b"\n"
