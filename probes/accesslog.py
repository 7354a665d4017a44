"""Counts the requests in a log as it flows by: how many, how many failed, how long they took, in the last minute.

Of a flood only a part is looked at, and what is found stands for the rest.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime

from probes import accessformat
from probes.accessformat import Format
from probes.http import OWN_PATHS
from probes.traffic import Traffic

WINDOW_SECONDS = 60
BYTES_PER_SECOND = 256 * 1024
"""So much of a log is looked at: some 2,000 requests a second, in less than 1 % of a core."""
_LONGEST_BURST = 4 * BYTES_PER_SECOND
SHORTEST_SECONDS = 2.0
_STEP = 1.05
BOUNDS = tuple(1e-4 * _STEP**step for step in range(320))
"""Seconds; a percentile is within 5 %. The last is ten minutes."""
_HEAD = 40
"""Bytes of a line that hold the stamp."""
PLAIN = "no durations"
_TIMED_SHARE = 0.8
_AHEAD_SECONDS = 120
"""A stamp further in the future is not an engine's."""


class _Second:
    """The requests of one kind within one second."""

    __slots__ = ("buckets", "failed", "requests")

    def __init__(self) -> None:
        self.requests = self.failed = 0.0
        self.buckets: dict[int, float] = {}


class AccessLog:
    """The requests in one log. Lines have an engine's stamp in front; those without were written who knows when."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.format: Format | None = None
        self.ignored = frozenset(path.encode() for path in OWN_PATHS)
        """Paths that users do not ask for."""
        self._clock = clock
        self._room = float(_LONGEST_BURST)
        self._room_at = clock()
        self._passed_over = 0
        self._seconds: dict[str, dict[int, _Second]] = {}
        self._stamp: tuple[bytes, int | None] = (b"", None)
        self._since: float | None = None
        self._newest = 0

    def expect(self, form: Format | None) -> None:
        """The format of the lines, where it is known; else it may be learnt from them."""
        self.format = form

    def take(self, data: bytes, plain: bytes, now: float) -> None:
        """Whole lines, as they came and as they read without their packing; ``now`` is the time since the epoch."""
        last = self._second(data[data.rfind(b"\n", 0, len(data) - 1) + 1 :][:_HEAD])
        if last is None or last > now + _AHEAD_SECONDS:
            return
        first = self._second(data[:_HEAD])
        if first is not None and (self._since is None or first < self._since):
            self._since = float(first)
        if last < now - 2 * WINDOW_SECONDS:
            return
        self._newest = max(self._newest, last)
        size = self._allowed(len(data))
        if not size:
            self._passed_over += len(data)
            return
        if size < len(data):
            data, plain, passed = _head(data, size), _head(plain, size), len(data)
        else:
            passed = len(data)
        if not data:
            self._passed_over += passed
            return
        weight = (self._passed_over + passed) / len(data)
        self._passed_over = 0
        if not (self.format is not None and self._by_format(data, self.format, weight)):
            self._by_looks(plain, weight)
        self._prune()

    def traffic(self, now: float) -> Traffic | None:
        """The last minute up to ``now``, the time since the epoch by the stamps' clock; ``None`` without any request.

        A log that never held a request may be of a service that writes none; one that did is quiet.
        """
        if self._since is None or not self._seconds:
            return None
        now = max(now, float(self._newest))
        edge = int(now) - WINDOW_SECONDS + 1
        span = now - max(float(edge), self._since)
        if span < SHORTEST_SECONDS:
            return None
        totals = {kind: _total(bins, edge) for kind, bins in self._seconds.items()}
        kind = _best({name: one.requests for name, one in totals.items()})
        chosen = totals[kind]
        seen = [second for second, one in self._seconds[kind].items() if one.requests]
        source = f"access log ({PLAIN})" if kind == PLAIN else f"access log, {kind}"
        return Traffic(
            at=datetime.fromtimestamp(max(seen, default=int(now)), UTC),
            source=f"{source} over 1m",
            per_second=chosen.requests / span,
            errors_per_second=chosen.failed / span,
            buckets=_distribution(chosen, span),
        )

    def _allowed(self, wanted: int) -> int:
        """How many bytes may be looked at now."""
        now = self._clock()
        self._room = min(float(_LONGEST_BURST), self._room + (now - self._room_at) * BYTES_PER_SECOND)
        self._room_at = now
        size = min(wanted, int(self._room))
        if size < min(wanted, 4096):
            return 0
        self._room -= size
        return size

    def _by_format(self, data: bytes, known: Format, weight: float) -> bool:
        any_found = False
        for found in known.line.finditer(data):
            any_found = True
            second = self._second(found[0][:_HEAD])
            took = float(found["took"]) * known.unit_seconds
            self._count(known.name, second, found["path"], found["status"], took, weight)
        return any_found

    def _by_looks(self, data: bytes, weight: float) -> None:
        for found in accessformat.GENERIC.finditer(data):
            start = data.rfind(b"\n", 0, found.start()) + 1
            if b"://" in data[start : found.start()]:
                continue  # what the service asked of others
            learnt = accessformat.learnt(found["rest"]) if self.format is None else None
            took, kind = learnt if learnt is not None else (None, PLAIN)
            self._count(kind, self._second(data[start : start + _HEAD]), found["path"], found["status"], took, weight)

    def _count(
        self, kind: str, second: int | None, path: bytes, status: bytes, took: float | None, weight: float
    ) -> None:
        if second is None or second <= self._newest - 2 * WINDOW_SECONDS or path.partition(b"?")[0] in self.ignored:
            return
        one = self._seconds.setdefault(kind, {}).setdefault(second, _Second())
        one.requests += weight
        if status.startswith(b"5"):
            one.failed += weight
        if took is not None:
            index = bisect_left(BOUNDS, took)
            one.buckets[index] = one.buckets.get(index, 0.0) + weight

    def _second(self, head: bytes) -> int | None:
        """The second in an engine's stamp: ``2026-01-02T03:04:05.123456789Z``."""
        if b"Z " not in head:
            return None
        said = head[:19]
        if said != self._stamp[0]:
            self._stamp = (said, _parse(said))
        return self._stamp[1]

    def _prune(self) -> None:
        oldest = self._newest - 2 * WINDOW_SECONDS
        for bins in self._seconds.values():
            if len(bins) > 2 * WINDOW_SECONDS:
                for second in [one for one in bins if one <= oldest or one > self._newest]:
                    del bins[second]


def _parse(said: bytes) -> int | None:
    if len(said) != 19 or said[10:11] != b"T":
        return None
    try:
        return int(datetime.fromisoformat(said.decode("ascii")).replace(tzinfo=UTC).timestamp())
    except (ValueError, UnicodeDecodeError, OverflowError):
        return None


def _head(data: bytes, size: int) -> bytes:
    """The whole lines within the first ``size`` bytes."""
    return data[: data.rfind(b"\n", 0, size) + 1]


def _total(bins: dict[int, _Second], edge: int) -> _Second:
    total = _Second()
    for second, one in bins.items():
        if second >= edge:
            total.requests += one.requests
            total.failed += one.failed
            for index, count in one.buckets.items():
                total.buckets[index] = total.buckets.get(index, 0.0) + count
    return total


def _best(requests: dict[str, float]) -> str:
    """The kind of line to go by: one with durations where it has nearly all requests, else the most frequent.

    A proxy and the server behind it may write the same request into one log, each in its way: they are not added up.
    """
    timed = [kind for kind in requests if kind != PLAIN]
    most = max(requests.values())
    likely = max(timed, key=lambda kind: requests[kind], default=None)
    if likely is not None and requests[likely] >= _TIMED_SHARE * most:
        return likely
    return max(requests, key=lambda kind: requests[kind])


def _distribution(total: _Second, span: float) -> dict[float, float]:
    """With a bound below each bucket that has any, so that no interpolation spreads over empty ones."""
    found: dict[float, float] = {}
    for index, count in sorted(total.buckets.items()):
        if index and BOUNDS[index - 1] not in found:
            found[BOUNDS[index - 1]] = 0.0
        bound = BOUNDS[index] if index < len(BOUNDS) else float("inf")
        found[bound] = found.get(bound, 0.0) + count / span
    return found
