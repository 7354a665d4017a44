"""Follows logs as bytes and finds patterns in them; only what matched is decoded.

The database scans whole chunks and knows no lines, so what it reports is a candidate: the line around it is found, and
the same expression in :mod:`re` confirms it there and yields the named groups. Work in Python is done per chunk and
per matching line, never per line; only lines that are JSON objects are unpacked one by one, and matched as what they
say.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from probes import loghead, structured, text, unwrapped
from probes.accesslog import AccessLog
from probes.base import ReplicaId
from probes.loggroups import FIELD_BYTES, Group, Shelf
from probes.loghits import LogHit, LogLine, Mark
from probes.logmatch import BadPattern, Matcher
from probes.logring import Arrivals, Tail, above_line, cut_long_lines, first_lines, last_lines
from probes.logtime import LineClock

__all__ = ["Arrivals", "BadPattern", "LogStream", "Matcher", "match_text"]

LINE_BYTES = 64 * 1024
"""A longer line is cut here; the rest of it is neither matched nor kept."""
RING_BYTES = 256 * 1024
"""Of the latest lines of each replica, kept for the log view."""
_BLOCK_BYTES = 128 * 1024
_MOST_CONTEXT = 20


class LogStream:
    """The log of one replica, fed in chunks of any size."""

    def __init__(
        self,
        matcher: Matcher,
        replica: ReplicaId,
        source: str | None = None,
        *,
        arrivals: Arrivals | None = None,
        zone: tzinfo = UTC,
        ring_bytes: int = RING_BYTES,
    ) -> None:
        """``zone`` is what a time in a line without an offset means; containers write UTC."""
        self.replica = replica
        self.source = source
        self._matcher = matcher
        self._arrivals = arrivals or Arrivals()
        self._clock = LineClock(zone)
        self._tail = Tail(ring_bytes)
        self._partial = bytearray()
        self._cut = False
        self._line = 1
        """Counts the lines that patterns see: a record counts as the lines that it holds."""
        self._raw_line = 1
        self._shelves: dict[int, Shelf] = {}
        self._awaiting: list[tuple[int, Group]] = []
        self._recent: tuple[bytes, ...] = ()
        self.seen, self.structured = 0, 0
        """Lines so far, and those of them that end as a JSON object does."""
        self._read_at: datetime | None = None
        self._now = 0.0
        self._hits: tuple[LogHit, ...] = ()
        self.requests = AccessLog()
        """What its lines of an access log say."""

    def feed(self, chunk: bytes, seen: datetime | None = None) -> None:
        """Takes the next bytes.

        ``seen`` is for bytes that were written just now: it dates lines without a time of their own. Left out for a
        past of unknown age, such lines have none.
        """
        self._read_at = seen
        self._now = (seen or datetime.now(UTC)).timestamp()
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._keep_partial(chunk)
            return
        first = 0
        if self._partial or self._cut:
            first = chunk.find(b"\n") + 1
            self._keep_partial(chunk[:first])
        lines = b"".join((self._partial, memoryview(chunk)[first:end])) if first else chunk[:end]
        self._partial.clear()
        self._cut = False
        self._take_lines(lines)
        self._keep_partial(chunk[end:])

    def end(self) -> None:
        """The stream ended: a last line without a newline counts."""
        if self._partial:
            data = bytes(self._partial) + b"\n"
            self._partial.clear()
            self._take_lines(data)
        self._cut = False

    @property
    def last_stamp(self) -> str | None:
        """The engine's stamp of the latest whole line, as it stands there: where to go on after a broken connection."""
        last = self._tail.last()
        size = self._clock.stamped(last)
        return last[: size - 1].decode("ascii") if size else None

    def hits(self, since: datetime | None = None) -> tuple[LogHit, ...]:
        """What matched, one hit per pattern and named groups; marks from before ``since`` are forgotten.

        The same objects, and the same tuple, as long as nothing changed.
        """
        found: list[LogHit] = []
        for index in sorted(self._shelves):
            shelf = self._shelves[index]
            if since is not None:
                shelf.prune(since)
            found += [group.hit(self.replica, self.source, self._clock) for group in shelf]
        if len(found) != len(self._hits) or any(new is not old for new, old in zip(found, self._hits, strict=True)):
            self._hits = tuple(found)
        return self._hits

    def lines(self, after: int = 0) -> tuple[LogLine, ...]:
        """The kept lines with numbers above ``after``, in order; decoded only now."""
        return tuple(self._tail.lines(self.replica, after, self._clock))

    def marked(self, after: int) -> tuple[tuple[int, int], ...]:
        """The marks in the kept lines above ``after``: the line as it was fed, from 1, and the mark's own."""
        return self._tail.marked(after)

    def _keep_partial(self, piece: bytes) -> None:
        """Adds to the unfinished line; what exceeds the cap is dropped up to its newline."""
        room = LINE_BYTES - len(self._partial)
        ended = piece.endswith(b"\n")
        body = piece[:-1] if ended else piece
        if not self._cut:
            self._partial += body[:room]
            self._cut = len(body) > room
        if ended:
            self._partial += b"\n"

    def _take_lines(self, data: bytes) -> None:
        """Whole lines, the last one ended, in blocks of bounded size."""
        start = 0
        while start < len(data):
            end = len(data)
            if end - start > _BLOCK_BYTES:
                end = data.rfind(b"\n", start, start + _BLOCK_BYTES) + 1 or data.find(b"\n", start) + 1
                end = unwrapped.whole(data, start, end)
            self._take_block(text.strip_escapes(cut_long_lines(data[start:end], LINE_BYTES)))
            start = end

    def _take_block(self, data: bytes) -> None:
        count = data.count(b"\n")
        self.seen += count
        if b'{"' in data:
            self.structured += data.count(b"}\n")
        given = unwrapped.unwrap(data.replace(b"\r\n", b"\n") if b"\r" in data else data)
        plain = structured.unfold(given)
        if plain.data is not given and not plain.folds:  # an engine's own file: a line of its object is one of the log
            plain = structured.Unfolded(unwrapped.unwrap(plain.data))
        self.requests.take(data, plain.data, self._now)
        if self._awaiting:
            self._follow(plain.data)
        candidates = self._matcher.scan(plain.data)
        if candidates:
            self._confirm(plain, candidates)
        latest = last_lines(plain.data, _MOST_CONTEXT)
        self._recent = (*self._recent, *latest)[-_MOST_CONTEXT:]
        self._tail.add(self._arrivals.take(count), self._raw_line, count, data)
        self._raw_line += count
        self._line += count + plain.extra

    def _confirm(self, plain: structured.Unfolded, candidates: list[tuple[int, int]]) -> None:
        data = plain.data
        number, counted, start, end, raw = self._line, 0, 0, -1, 0
        tried: set[int] = set()
        latest: dict[int, tuple[int, Group, int, int]] = {}
        touched: set[int] = set()
        line, mark, record, lead = b"", Mark(0), b"", 0
        dictated: bool | None = None
        for to, index in candidates:
            if to > end + 1:
                start = data.rfind(b"\n", 0, to - 1) + 1
                end = data.find(b"\n", start)
                number += data.count(b"\n", counted, start)
                counted = start
                head, extra = plain.origin(start)
                raw = number - self._line + self._raw_line - extra
                at, stamp = self._clock.split(data[start:end])
                record = data[head : data.find(b"\n", head)] if head < start else b""
                if record:  # a line of a record has the record's time
                    at, stamp = self._clock.split(record)[0], 0
                line, mark = data[start + stamp : end], Mark(number, at or self._read_at)
                lead = structured.lead(line)
                dictated = None
                tried.clear()
            if index in tried:
                continue
            tried.add(index)
            confirmed = self._matcher.confirm(index, line, lead, record)
            if confirmed is None:
                continue
            if dictated is None:
                dictated = not lead and not record and self._is_dictated(line, data, start)
            if dictated:
                continue
            found, lies_at = confirmed
            group = self._group(index, found)
            group.add(mark, self._now, line, lies_at)
            touched.add(index)
            if group.pattern.context_lines:
                latest[id(group)] = (index, group, start, end)
            self._tail.mark(raw, group.pattern.key, mark.line)
        for index, group, first, last in latest.values():
            self._surround(data, index, group, first, last)
        for index in touched:
            self._shelves[index].shrink()

    def _is_dictated(self, line: bytes, data: bytes, start: int) -> bool:
        """Whether it is but part of a message of information; what stands above it tells."""
        above = (
            one[self._clock.stamped(one) :].decode(errors="replace")
            for one in above_line(data, start, self._recent, _MOST_CONTEXT)
        )
        return loghead.is_dictated(line.decode(errors="replace"), above)

    def _group(self, index: int, found: re.Match[bytes]) -> Group:
        fields = tuple((k, v[:FIELD_BYTES]) for k, v in found.groupdict().items() if v is not None)
        shelf = self._shelves.get(index)
        if shelf is None:
            shelf = self._shelves[index] = Shelf()
        return shelf.group(self._matcher.patterns[index], fields)

    def _surround(self, data: bytes, index: int, group: Group, start: int, end: int) -> None:
        """Keeps the neighbours of a group's latest line."""
        wanted = group.pattern.context_lines
        before = last_lines(data[:start], wanted)
        if len(before) < wanted:
            before = self._recent[len(before) - wanted :] + before
        after = first_lines(data[end + 1 :], wanted)
        group.surround(before, after, wanted - len(after))
        if group.wanted:
            self._awaiting.append((index, group))

    def _follow(self, data: bytes) -> None:
        """Gives the lines that just came to the samples that wait for them."""
        waiting: dict[int, tuple[int, Group]] = {}
        for index, group in self._awaiting:
            if id(group) in waiting or group.wanted <= 0 or not self._shelves[index].holds(group):
                continue
            group.follow(first_lines(data, group.wanted))
            if group.wanted:
                waiting[id(group)] = (index, group)
        self._awaiting = list(waiting.values())


def match_text(
    matcher: Matcher, data: bytes, replica: ReplicaId | None = None, source: str | None = None
) -> tuple[LogHit, ...]:
    """The hits in a text that is here as a whole: an example, a pasted log."""
    stream = LogStream(matcher, replica or ReplicaId("log"), source)
    stream.feed(data)
    stream.end()
    return stream.hits()
