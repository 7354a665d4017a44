"""What processes sent of their requests, put together: the increases of the last minute of each. Pure.

Each process is one instance: by its ``service.instance.id``, which OpenTelemetry's Python SDK makes for each process,
else by the connection that it sends through. Counting anew after a restart is told by the start of a counter, by a
counter that goes back, and by another instance.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from probes.base import DeploymentId
from probes.http import OWN_PATHS
from probes.httpmetrics import UNROUTED, Whose
from probes.otlp.decode import Export, Point
from probes.otlp.histogram import Distribution
from probes.traffic import Traffic

SOURCE = "telemetry (OTLP)"
OWNER = "fastops.deployment"
"""An attribute of the resource that names the deployment: for what comes through an address that is nobody's."""
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
KEPT = 128
"""Exports of one instance, where they come every half second."""
INSTANCES = 1_000
NUMBERS = 1_000_000
"""Counters of all instances together: half a thousand processes with a hundred routes and answers each take 33 MiB.
Beyond, who was not heard for longest is forgotten."""

Peer = tuple[str, int]
"""Address and port that an export came from."""


class Name(NamedTuple):
    """What tells one process from all others."""

    resource: tuple[tuple[str, str], ...]
    peer: Peer | None
    """Where the resource does not name the instance."""


class _Counter(NamedTuple):
    started_at: float
    at: float
    requests: float
    distribution: Distribution


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
        self._counters: dict[bytes, _Counter] = {}
        self._slices: deque[_Slice] = deque(maxlen=KEPT)

    def take(self, points: Sequence[Point], now: float) -> None:
        """One export; what was heard before (a repeated one) adds nothing."""
        requests: dict[tuple[Whose, bool | None], float] = {}
        buckets: dict[Whose, dict[float, float]] = {}
        began: list[float] = []
        newest = max((point.at for point in points), default=0.0)
        before = self._sent_at
        if before is not None and newest <= before:
            return
        lately = all(point.delta or newest - point.started_at <= FIRST_SECONDS for point in points)
        for point in points:
            added = self._added(point, whole=before is not None or lately)
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
        seconds = newest - (before if before is not None else min(began, default=newest))
        self._sent_at, self.heard_at, self.at = newest, now, datetime.now(UTC)
        self.exports += 1
        if 0 < seconds <= LONGEST_SECONDS:
            self._slices.append(_Slice(seconds, requests, buckets))
            while sum(one.seconds for one in self._slices) - self._slices[0].seconds >= WINDOW_SECONDS + SLACK_SECONDS:
                self._slices.popleft()
        counters = sum(one.distribution.size + 4 for one in self._counters.values())
        self.size = counters + sum(one.size for one in self._slices)

    def _added(self, point: Point, *, whole: bool) -> tuple[float, Distribution] | None:
        """What a point adds to what was counted before; ``None`` where that is not known, or nothing.

        ``whole``: a counter that was not there before began since.
        """
        known = self._counters.get(point.kind)
        if known is not None and point.at <= known.at:
            return None
        self._counters[point.kind] = _Counter(point.started_at, point.at, point.requests, point.distribution)
        all_of_it = (point.requests, point.distribution)
        if point.delta or (known is not None and known.started_at != point.started_at):
            return all_of_it
        if known is None:
            return all_of_it if whole else None
        more = point.distribution.since(known.distribution)
        return all_of_it if more is None or point.requests < known.requests else (point.requests - known.requests, more)

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


class Instances:
    """All that was heard; the latest heard stands last."""

    def __init__(self) -> None:
        self._heard: dict[Name, Instance] = {}
        self.size = 0
        """How many numbers are kept."""

    def take(self, exports: Iterable[Export], peer: Peer, now: float) -> None:
        """What came from ``peer`` at ``now`` (monotonic seconds)."""
        for export in exports:
            name = _name(export.resource, peer)
            one = self._heard.pop(name, None) or Instance(export.resource, peer)
            self.size -= one.size
            one.peer = peer
            one.take(export.points, now)
            self.size += one.size
            self._heard[name] = one
        self._forget(now)

    def heard(self, now: float) -> tuple[Instance, ...]:
        """Those that still send, the latest last."""
        return tuple(one for one in self._heard.values() if one.is_heard(now))

    def _forget(self, now: float) -> None:
        for name in [name for name, one in self._heard.items() if now - one.heard_at > MOST_LATE_SECONDS]:
            self.size -= self._heard.pop(name).size
        while len(self._heard) > INSTANCES or self.size > NUMBERS:
            self.size -= self._heard.pop(next(iter(self._heard))).size


def together(heard: Iterable[Instance], workers: int | None, replicas: int = 1) -> Traffic | None:
    """The requests of one deployment; ``workers`` is how many processes of it answer, ``None`` where nobody knows.

    Of more instances than processes the latest heard count: the others have ended. A process that was not asked for
    anything sends nothing: where others of the ``replicas`` were heard twice meanwhile, it is idle.
    """
    living = list(heard)
    if workers is not None:
        living = living[-max(1, workers) :]
    told = [found for one in living if (found := one.traffic()) is not None]
    if not told:
        return None
    buckets: dict[float, float] = {}
    for one in told:
        for bound, rate in one.buckets.items():
            buckets[bound] = buckets.get(bound, 0.0) + rate
    failed = [one.errors_per_second for one in told if one.errors_per_second is not None]
    short = workers is not None and len(told) < workers
    due = len(told) >= replicas and all(one.exports > 1 for one in living)
    return Traffic(
        at=max(one.at for one in told),
        source=told[-1].source + (f", {len(told)} of {workers} workers" if short else ""),
        per_second=sum(one.per_second for one in told),
        errors_per_second=sum(failed) if len(failed) == len(told) else None,
        buckets=buckets,
        whole=len(told) == len(living) and (due or not short),
    )


def _name(resource: Mapping[str, str], peer: Peer) -> Name:
    told = tuple(sorted(resource.items()))
    return Name(told, None if resource.get("service.instance.id") else peer)
