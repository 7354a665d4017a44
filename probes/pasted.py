"""Reads pasted text of any size in constant memory: finds patterns in its streams, and the line of each match.

Text is taken in blocks of a fixed size, so that what is found does not depend on how it arrived.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from datetime import UTC, datetime

from probes import text, unwrapped
from probes.base import Frozen, ReplicaId
from probes.loghits import LogHit, Mark
from probes.logmatch import Matcher
from probes.logs import LINE_BYTES, LogStream
from probes.pastedlines import Origin, parts

BLOCK_BYTES = 256 * 1024
HEAD_BYTES = 8 << 20
"""Of the beginning, kept as it is: documents (``inspect``, ``describe``) are read there."""
STREAMS = 64
"""Told apart by their prefix; what comes after so many is read as one."""
_RING_BYTES = 2 * BLOCK_BYTES + LINE_BYTES
_MARKS = 100_000
_MOSTLY = 0.1
"""The share of control characters in the beginning from which it is taken for no text."""
_BOMS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be", codecs.BOM_UTF8: "utf-8"}
_CONTROLS = bytes(b for b in range(32) if b not in b"\t\n\r\f\x1b")


class Pasted(Frozen, frozen=True):
    """What was found in a pasted text."""

    read_at: datetime
    """Stands in for times that the text does not tell."""
    lines: int
    head: bytes
    """The beginning, in UTF-8; the whole where it is no longer than :data:`HEAD_BYTES`."""
    whole: bool
    is_text: bool
    origins: frozenset[Origin]
    streams: Mapping[ReplicaId, str]
    """Replicas that the prefixes name."""
    hits: tuple[LogHit, ...]
    places: Mapping[tuple[ReplicaId, int], int]
    """For a replica and a mark's line: the line's number in the text, from 1."""

    def line(self, replica: ReplicaId, mark: Mark) -> int | None:
        """Where a mark stands in the text."""
        return self.places.get((replica, mark.line))


class Paste:
    """One text, fed in chunks of any size."""

    def __init__(self, matcher: Matcher, now: datetime | None = None) -> None:
        """``now`` completes dates without a year, and stands in for times that are not told."""
        self._matcher = matcher
        self._now = now or datetime.now(UTC)
        self._pending = bytearray()
        self._carry = b""
        self._head = bytearray()
        self._read = 0
        self._line = 1
        self._decoder: codecs.IncrementalDecoder | None = None
        self._streams: dict[str, LogStream] = {}
        self._fed: dict[ReplicaId, int] = {}
        self._origins: set[Origin] = set()
        self._places: dict[tuple[ReplicaId, int], int] = {}

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        self._pending += chunk
        while len(self._pending) >= BLOCK_BYTES:
            self._take(bytes(self._pending[:BLOCK_BYTES]))
            del self._pending[:BLOCK_BYTES]

    def end(self) -> Pasted:
        """The text ended: a last line without a newline counts."""
        self._take(bytes(self._pending), final=True)
        self._pending.clear()
        if self._carry:
            self._take_lines(self._carry + b"\n")
            self._carry = b""
        for stream in self._streams.values():
            stream.end()
        head = bytes(self._head)
        return Pasted(
            read_at=self._now,
            lines=self._line - 1,
            head=head,
            whole=len(head) < HEAD_BYTES,
            is_text=not _is_binary(head[:BLOCK_BYTES]),
            origins=frozenset(self._origins),
            streams={stream.replica: text.clean(name, 200) for name, stream in self._streams.items()},
            hits=self._hits(),
            places=self._places,
        )

    def _take(self, block: bytes, *, final: bool = False) -> None:
        if not self._read:
            block = self._without_mark(block)
        self._read += len(block)
        if self._decoder is not None:
            block = self._decoder.decode(block, final).encode("utf-8", "replace")
        if len(self._head) < HEAD_BYTES:
            self._head += block[: HEAD_BYTES - len(self._head)]
        end = block.rfind(b"\n") + 1
        if end:
            if not final:
                end = unwrapped.whole(block, 0, end)
            self._take_lines(self._carry + block[:end])
            self._carry = block[end:]
        elif len(self._carry) <= LINE_BYTES:  # a line that never ends: its beginning is enough
            self._carry += block

    def _without_mark(self, block: bytes) -> bytes:
        for mark, encoding in _BOMS.items():
            if block.startswith(mark):
                if encoding != "utf-8":
                    self._decoder = codecs.getincrementaldecoder(encoding)("replace")
                return block[len(mark) :]
        return block

    def _take_lines(self, data: bytes) -> None:
        count = data.count(b"\n")
        data = text.strip_escapes(data)
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        for part in parts(data, self._line, self._now):
            self._origins.add(part.origin)
            stream = self._stream(part.name)
            before = self._fed.get(stream.replica, 0)
            stream.feed(part.data)
            self._fed[stream.replica] = before + len(part.numbers)
            for line, mark in stream.marked(before):
                self._places[stream.replica, mark] = part.numbers[line - before - 1]
        self._line += count
        if len(self._places) > _MARKS:
            kept = {(hit.replica, mark.line) for hit in self._hits() for mark in hit.marks}
            self._places = {place: line for place, line in self._places.items() if place in kept}

    def _stream(self, name: str) -> LogStream:
        if name not in self._streams and len(self._streams) >= STREAMS:
            name = ""
        found = self._streams.get(name)
        if found is None:
            replica = ReplicaId(text.clean(name, 200) or "log")
            found = self._streams[name] = LogStream(self._matcher, replica, "log", ring_bytes=_RING_BYTES)
        return found

    def _hits(self) -> tuple[LogHit, ...]:
        return tuple(hit for stream in self._streams.values() for hit in stream.hits())


def _is_binary(head: bytes) -> bool:
    """Whether the beginning is no text: many control characters among what is not empty (a rotated log has holes)."""
    filled = head.lstrip(b"\x00")[: 64 * 1024] or head
    strange = len(filled) - len(filled.translate(None, _CONTROLS))
    return bool(filled) and strange > _MOSTLY * len(filled)
