"""What is kept of the lines that matched: counted by pattern and named groups, within bounds that no flood exceeds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime

from probes import structured, text
from probes.base import ReplicaId
from probes.loghits import LogHit, Mark, Pattern
from probes.logtime import LineClock

MARKS = 64
GROUPS_PER_PATTERN = 200
BYTES_PER_PATTERN = 128 * 1024
"""Of samples, neighbours and fields together; the groups that matched longest ago go first."""
SAMPLE_BYTES = text.LINE_CAP
_LEAD_BYTES = 1024
"""Of a line that is longer than a sample, kept in front of the match."""
NEIGHBOUR_BYTES = 1024
FIELD_BYTES = 512

Fields = tuple[tuple[str, bytes], ...]


class Group:
    """All matches of one pattern that agree in their named groups."""

    __slots__ = ("_buckets", "_hit", "_marks", "after", "before", "fields", "pattern", "sample", "wanted")

    def __init__(self, pattern: Pattern, fields: Fields) -> None:
        self.pattern = pattern
        self.fields = fields
        self.sample = b""
        self.before: tuple[bytes, ...] = ()
        self.after: tuple[bytes, ...] = ()
        self.wanted = 0
        """Lines that are still to come after the sample."""
        self._marks: deque[tuple[float, Mark]] = deque(maxlen=MARKS)
        self._buckets: dict[int, int] = {}
        self._hit: LogHit | None = None

    def add(self, mark: Mark, now: float, line: bytes, found_at: int) -> None:
        """Counts one more match at this offset; ``now`` (seconds since the epoch) stands in for an unknown time."""
        when = now if mark.at is None else mark.at.timestamp()
        self._marks.append((when, mark))
        minute = int(when // 60)
        self._buckets[minute] = self._buckets.get(minute, 0) + 1
        if len(self._buckets) > 120:  # clocks gone wild: the oldest minutes are not in any window
            del self._buckets[min(self._buckets)]
        first = max(0, found_at - _LEAD_BYTES) if len(line) > SAMPLE_BYTES else 0
        self.sample = line[first : first + SAMPLE_BYTES]
        self.before, self.after, self.wanted = (), (), 0
        self._hit = None

    def surround(self, before: tuple[bytes, ...], after: tuple[bytes, ...], wanted: int) -> None:
        """The neighbours of the latest sample."""
        self.before, self.after, self.wanted, self._hit = before, after, wanted, None

    def follow(self, lines: tuple[bytes, ...]) -> None:
        """Lines that came after the sample, later than it."""
        self.after += lines
        self.wanted -= len(lines)
        self._hit = None

    def size(self) -> int:
        """Bytes kept, roughly."""
        return (
            len(self.sample)
            + sum(map(len, self.before))
            + sum(map(len, self.after))
            + sum(len(value) for _, value in self.fields)
        )

    def prune(self, since: float) -> bool:
        """Forgets what is older; false when nothing is left."""
        while self._marks and self._marks[0][0] < since:
            self._marks.popleft()
            self._hit = None
        for minute in [m for m in self._buckets if (m + 1) * 60 <= since]:
            del self._buckets[minute]
            self._hit = None
        return bool(self._marks)

    def hit(self, replica: ReplicaId, source: str | None, clock: LineClock) -> LogHit:
        """As data: decoded, clean and redacted; the same object until something changes."""
        if self._hit is None:
            total = sum(self._buckets.values())
            self._hit = LogHit(
                key=self.pattern.key,
                replica=replica,
                count=len(self._marks) if total <= MARKS else total,
                marks=tuple(mark for _, mark in self._marks),
                fields={name: text.line(value, FIELD_BYTES) for name, value in self.fields},
                sample=text.line(self.sample),
                before=tuple(_plain(line, clock) for line in self.before),
                after=tuple(_plain(line, clock) for line in self.after),
                source=source,
            )
        return self._hit


def _plain(line: bytes, clock: LineClock) -> str:
    return text.line(line[structured.lead(line) or clock.stamped(line) :])


class Shelf:
    """The groups of one pattern, the one that matched last at the end."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[Fields, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def group(self, pattern: Pattern, fields: Fields) -> Group:
        """The group of these fields, made where there is none."""
        found = self._groups.pop(fields, None) or Group(pattern, fields)
        self._groups[fields] = found
        if len(self._groups) > GROUPS_PER_PATTERN:
            del self._groups[next(iter(self._groups))]
        return found

    def holds(self, group: Group) -> bool:
        """Whether the group was not dropped meanwhile."""
        return self._groups.get(group.fields) is group

    def shrink(self) -> None:
        """Back below the bound in bytes."""
        total = sum(group.size() for group in self._groups.values())
        while total > BYTES_PER_PATTERN and len(self._groups) > 1:
            first = next(iter(self._groups))
            total -= self._groups.pop(first).size()

    def prune(self, since: datetime) -> None:
        """Forgets what is older."""
        stamp = since.timestamp()
        for fields in [f for f, group in self._groups.items() if not group.prune(stamp)]:
            del self._groups[fields]
