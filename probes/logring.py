"""The latest lines of one replica's log, kept raw within a bound and decoded only when somebody looks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from probes import text
from probes.base import PatternKey, ReplicaId
from probes.loggroups import NEIGHBOUR_BYTES
from probes.loghits import LogLine
from probes.logtime import LineClock


class Arrivals:
    """Numbers the lines of all streams of one deployment as they come in, from 1."""

    def __init__(self) -> None:
        self._next = 1

    def take(self, count: int) -> int:
        """Numbers for ``count`` lines; the first of them."""
        first = self._next
        self._next += count
        return first


class _Block(NamedTuple):
    """Whole lines as they arrived together."""

    arrival: int
    line: int
    lines: int
    data: bytes


class Tail:
    """A ring of blocks of lines, bounded in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._blocks: deque[_Block] = deque()
        self._held = 0
        self._keys: dict[int, tuple[PatternKey, ...]] = {}
        self._numbers: dict[int, list[int]] = {}

    def mark(self, line: int, key: PatternKey, number: int) -> None:
        """A pattern matched in this line, which will be added or was; ``number`` is the mark's line."""
        self._keys[line] = (*self._keys.get(line, ()), key)
        self._numbers.setdefault(line, []).append(number)

    def add(self, arrival: int, line: int, lines: int, data: bytes) -> None:
        """Takes whole lines: their first arrival number, the first one's number in its stream, how many, the bytes."""
        if len(data) > self._limit:
            cut = data.find(b"\n", len(data) - self._limit) + 1
            skipped = data.count(b"\n", 0, cut)
            arrival, line, lines, data = arrival + skipped, line + skipped, lines - skipped, data[cut:]
        if data:
            self._blocks.append(_Block(arrival, line, lines, data))
            self._held += len(data)
        while self._held > self._limit and len(self._blocks) > 1:
            self._held -= len(self._blocks.popleft().data)
        oldest = self._blocks[0].line if self._blocks else line
        while self._keys and (first := next(iter(self._keys))) < oldest:
            del self._keys[first], self._numbers[first]

    def last(self) -> bytes:
        """The latest line; empty when there is none."""
        data = self._blocks[-1].data if self._blocks else b""
        return data[data.rfind(b"\n", 0, max(0, len(data) - 1)) + 1 :]

    def marked(self, after: int) -> tuple[tuple[int, int], ...]:
        """The kept lines above ``after`` in which a pattern matched, with the line of each mark."""
        return tuple((line, number) for line, numbers in self._numbers.items() if line > after for number in numbers)

    def lines(self, replica: ReplicaId, after: int, clock: LineClock) -> Iterator[LogLine]:
        """The kept lines with arrival numbers above ``after``."""
        for block in self._blocks:
            if block.arrival + block.lines <= after + 1:
                continue
            for offset, raw in enumerate(block.data[:-1].split(b"\n")):
                number = block.arrival + offset
                if number > after:
                    at, stamp = clock.split(raw)
                    keys = self._keys.get(block.line + offset, ())
                    yield LogLine(number, replica, at, text.line(raw[stamp:]), keys)


def first_lines(data: bytes, count: int) -> tuple[bytes, ...]:
    """The first lines of a block of whole lines, each capped as a neighbour."""
    found: list[bytes] = []
    start = 0
    while len(found) < count and start < len(data):
        end = data.find(b"\n", start)
        found.append(data[start : min(end, start + NEIGHBOUR_BYTES)])
        start = end + 1
    return tuple(found)


def last_lines(data: bytes, count: int) -> tuple[bytes, ...]:
    """The last lines of a block of whole lines, oldest first, each capped as a neighbour."""
    found: list[bytes] = []
    end = len(data) - 1
    while len(found) < count and end >= 0:
        start = data.rfind(b"\n", 0, end) + 1
        found.append(data[start : min(end, start + NEIGHBOUR_BYTES)])
        end = start - 1
    return tuple(reversed(found))


def above_line(data: bytes, start: int, before: tuple[bytes, ...], count: int) -> Iterator[bytes]:
    """The lines above the one at this offset, the nearest first; ``before`` are those before the data, oldest first."""
    end, left = start - 1, count
    while end >= 0 and left:
        first = data.rfind(b"\n", 0, end) + 1
        yield data[first : min(end, first + NEIGHBOUR_BYTES)]
        end, left = first - 1, left - 1
    if left:
        yield from reversed(before[-left:])


def cut_long_lines(data: bytes, most: int) -> bytes:
    """The same lines, none longer than the cap; looks at one place per cap, not at each line."""
    start, pieces, copied = 0, list[bytes](), 0
    while start + most < len(data):
        newline = data.rfind(b"\n", start, start + most + 1)
        if newline < 0:
            pieces.append(data[copied : start + most])
            newline = copied = data.find(b"\n", start + most)
        start = newline + 1
    return b"".join((*pieces, data[copied:])) if pieces else data
