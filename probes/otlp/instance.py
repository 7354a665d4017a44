"""What one process sent of its requests: the increases of its last minute. Pure.

Counting anew after a restart is told by the start of a counter, and by a counter that goes back. Exports are in order
as they come: no clock but the receiver's own says which is later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from probes.base import DeploymentId
from probes.http import OWN_PATHS
from probes.httpmetrics import UNROUTED, Whose
from probes.otlp.decode import Point
from probes.otlp.histogram import Distribution
from probes.traffic import Traffic

SOURCE = "telemetry (OTLP)"
WINDOW_SECONDS = 60.0
"""So long back the newest exports count, or so long as one of them is."""
SLACK_SECONDS = 5.0
"""Exports come a little early or late."""
FIRST_SECONDS = 120.0
"""Of a process that was not heard before, counters that began so lately are told from their beginning."""
LATE = 2.5
"""Intervals without an export after which a process is taken for gone."""
LEAST_LATE_SECONDS, MOST_LATE_SECONDS = 20.0, 300.0
LONGEST_SECONDS = 3600.0
MOST_SKEW_SECONDS = 60.0
"""Between two exports the sender's clock may go on so much more or less than the receiver's; beyond, it was set."""
KEPT = 128
"""Exports of one instance, where they come every half second."""
OVERLAP_SECONDS = 1.0
REPEATED = 16
"""Exports that are told from their repetitions; one is sent again before the next."""
Peer = tuple[str, int]
"""Address and port that an export came from."""


_Key = tuple[bytes, float]
"""A counter, and when it began: of two processes with one name, each has its own."""


class _Counter(NamedTuple):
    requests: float
    distribution: Distribution
    heard_at: float
    went_back: int = 0
    """So often; what goes back again is what several processes count, and nothing tells them apart."""

    @property
    def is_mixed(self) -> bool:
        return self.went_back > 1

    def more(self, point: Point) -> tuple[float, Distribution] | None:
        """What a point counted since; ``None`` where it is behind."""
        more = None if point.requests < self.requests else point.distribution.since(self.distribution)
        return None if more is None else (point.requests - self.requests, more)


class _Slice(NamedTuple):
    """What one export added."""

    seconds: float
    requests: Mapping[tuple[Whose, bool | None], float]
    """By whose requests they were, and whether they failed (``None`` where no status is told)."""
    buckets: Mapping[Whose, Mapping[float, float]]

    @property
    def size(self) -> int:
        return len(self.requests) + sum(len(one) for one in self.buckets.values())


class Instance:
    """One process that sends."""

    def __init__(self, resource: Mapping[str, str], peer: Peer) -> None:
        self.resource = resource
        self.peer = peer
        """Of its latest export."""
        self.owner: DeploymentId | None = None
        """Whose process it is, once somebody found out."""
        self.ignored: Collection[str] = OWN_PATHS
        """Paths that its users do not ask for."""
        self.size = 0
        """How many numbers are kept of it."""
        self.exports = 0
        """How many of it were heard."""
        self.heard_at = float("-inf")
        """Monotonic seconds."""
        self.at = datetime.fromtimestamp(0, UTC)
        self._sent_at: float | None = None
        """By its own clock."""
        self._counters: dict[_Key, _Counter] = {}
        self._slices: deque[_Slice] = deque(maxlen=KEPT)
        self._repeated: deque[int] = deque(maxlen=REPEATED)

    def is_another(self, points: Sequence[Point]) -> bool:
        """Whether points that came from another peer are counted by another process.

        That is where a counter began before the last export, but not when the one that is known did; where it is
        behind that one; or where what was counted since an earlier time begins before the last export.
        """
        if _fingerprint(points) in self._repeated:
            return False
        kinds = frozenset(kind for kind, _ in self._counters)
        for point in points:
            known = self._counters.get((point.kind, point.started_at))
            if point.delta:
                if 0 < point.started_at < (self._sent_at or 0.0) - OVERLAP_SECONDS:
                    return True
            elif known is not None:
                if known.more(point) is None:
                    return True
            elif point.kind in kinds and not self._began_since(point):
                return True
        return False

    def take(self, points: Sequence[Point], now: float) -> None:
        """One export, at ``now`` (monotonic seconds); what was heard before (a repeated one) adds nothing."""
        told = _fingerprint(points)
        if told in self._repeated:
            return
        self._repeated.append(told)
        requests: dict[tuple[Whose, bool | None], float] = {}
        buckets: dict[Whose, dict[float, float]] = {}
        began: list[float] = []
        newest = max((point.at for point in points), default=0.0)
        kinds = frozenset(kind for kind, _ in self._counters)
        starts = frozenset(started_at for _, started_at in self._counters)
        lately = all(point.delta or newest - point.started_at <= FIRST_SECONDS for point in points)
        for point in points:
            first = lately if self._sent_at is None else point.kind not in kinds and point.started_at in starts
            added = self._added(point, now, whole=first or self._began_since(point))
            if added is None:
                continue
            added_count, distribution = added
            began.append(point.started_at)
            whose: Whose = (
                "unrouted" if point.route in UNROUTED else "others" if point.route in self.ignored else "users"
            )
            failed = point.status.startswith("5") if point.status else None
            requests[whose, failed] = requests.get((whose, failed), 0.0) + added_count
            held = buckets.setdefault(whose, {})
            for bound, number in distribution.bounds().items():
                held[bound] = held.get(bound, 0.0) + number
        seconds = self._seconds(newest, min(began, default=newest), now)
        self._sent_at, self.heard_at, self.at = newest, now, datetime.now(UTC)
        self.exports += 1
        if any(one.is_mixed for one in self._counters.values()):
            self._slices.clear()
        elif 0 < seconds <= LONGEST_SECONDS:
            self._slices.append(_Slice(seconds, requests, buckets))
            while sum(one.seconds for one in self._slices) - self._slices[0].seconds >= WINDOW_SECONDS + SLACK_SECONDS:
                self._slices.popleft()
        for key in [key for key, one in self._counters.items() if now - one.heard_at > MOST_LATE_SECONDS]:
            del self._counters[key]
        counters = sum(one.distribution.size + 4 for one in self._counters.values())
        self.size = counters + sum(one.size for one in self._slices)

    def _seconds(self, newest: float, first: float, now: float) -> float:
        """How long was counted: by the sender's clock, which knows when it sent, unless that was set meanwhile."""
        if self._sent_at is None:
            return newest - first
        passed = now - self.heard_at
        told = newest - self._sent_at
        return told if told > 0 and abs(told - passed) <= MOST_SKEW_SECONDS else passed

    def _began_since(self, point: Point) -> bool:
        """Whether a counter began after the export before."""
        return self._sent_at is not None and point.started_at >= self._sent_at

    def _added(self, point: Point, now: float, *, whole: bool) -> tuple[float, Distribution] | None:
        """What a point adds to what was counted before; ``None`` where that is not known.

        ``whole``: a counter that was not there before has counted nothing but what came since the export before. That
        is so where it began since, or with counters that are known (with their process), but of other requests.
        """
        all_of_it = (point.requests, point.distribution)
        if point.delta:
            return all_of_it
        key = (point.kind, point.started_at)
        known = self._counters.get(key)
        more = None if known is None else known.more(point)
        went_back = 0 if known is None else known.went_back + (more is None)
        self._counters[key] = _Counter(point.requests, point.distribution, now, went_back)
        if known is None:
            return all_of_it if whole else None
        return all_of_it if more is None else more

    def is_heard(self, now: float) -> bool:
        """Whether it still sends, by its own interval."""
        interval = self._slices[-1].seconds if self._slices else WINDOW_SECONDS
        return now - self.heard_at <= min(max(LATE * interval, LEAST_LATE_SECONDS), MOST_LATE_SECONDS)

    def traffic(self) -> Traffic | None:
        """The requests of users in the last minute; ``None`` as long as no time is known that they were counted in.

        Where some routes are told, those of no route (a path that is not there) are left out.
        """
        taken: list[_Slice] = []
        seconds = 0.0
        for one in reversed(self._slices):
            if taken and seconds + one.seconds > WINDOW_SECONDS + SLACK_SECONDS:
                break
            taken.append(one)
            seconds += one.seconds
        if not taken:
            return None
        routed = any(whose != "unrouted" for one in self._slices for whose, _ in one.requests)
        kept: frozenset[Whose] = frozenset({"users"} if routed else {"unrouted"})
        counts: dict[bool | None, float] = {}
        buckets: dict[float, float] = {}
        for one in taken:
            for (whose, failed), number in one.requests.items():
                if whose in kept:
                    counts[failed] = counts.get(failed, 0.0) + number / seconds
            for whose in kept:
                for bound, number in one.buckets.get(whose, {}).items():
                    buckets[bound] = buckets.get(bound, 0.0) + number / seconds
        return Traffic(
            at=self.at,
            source=f"{SOURCE} over {max(1, round(seconds / 60))}m",
            per_second=sum(counts.values()),
            errors_per_second=None if counts.keys() == {None} else counts.get(True, 0.0),
            buckets=buckets,
        )


def _fingerprint(points: Sequence[Point]) -> int:
    return hash(frozenset((point.kind, point.started_at, point.at) for point in points))
