"""Prometheus' text format, read as it streams: only the wanted families of the wanted containers are kept.

A kubelet's document is megabytes of which a few kilobytes matter; it is never held as a whole. Source: Prometheus,
"Exposition formats", text-based format.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

_PAIR = re.compile(rb'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\\n]|\\.)*)"')
_LONGEST = 64 << 10
"""Bytes of one line; a longer one is passed over."""


class Point(NamedTuple):
    """One line of the document."""

    family: str
    labels: dict[str, str]
    value: float
    at: float | None
    """Seconds since the epoch, where the line says so."""


class Reader:
    """Takes a document in chunks of any size and gives back the points of the wanted families."""

    def __init__(self, families: Collection[str]) -> None:
        names = b"|".join(sorted((re.escape(one.encode()) for one in families), reverse=True))
        self._line = re.compile(
            rb"^(" + names + rb")\{((?:[^\"}\n]++|\"(?:[^\"\\\n]|\\.)*+\")*+)\}[ \t]+(\S+)(?:[ \t]+(-?\d+))?[ \t\r]*$",
            re.MULTILINE,
        )
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[Point]:
        """The points of the lines that this chunk completes."""
        if self._skipping:
            newline = chunk.find(b"\n")
            if newline < 0:
                return
            chunk, self._skipping = chunk[newline + 1 :], False
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._rest += chunk
            if len(self._rest) > _LONGEST:
                self._rest, self._skipping = b"", True
            return
        whole, self._rest = self._rest + chunk[:end], chunk[end:]
        yield from self._points(whole)

    def end(self) -> Iterator[Point]:
        """What a last line without a newline holds."""
        rest, self._rest = self._rest, b""
        yield from self._points(rest)

    def _points(self, lines: bytes) -> Iterator[Point]:
        for found in self._line.finditer(lines):
            try:
                value = float(found[3])
            except ValueError:
                continue
            labels = {name.decode(): _unescape(text) for name, text in _PAIR.findall(found[2])}
            at = None if found[4] is None else int(found[4]) / 1000
            yield Point(found[1].decode(), labels, value, at)


def _unescape(text: bytes) -> str:
    if b"\\" in text:
        text = text.replace(b"\\\\", b"\0").replace(b'\\"', b'"').replace(b"\\n", b"\n").replace(b"\0", b"\\")
    return text.decode("utf-8", "replace")
