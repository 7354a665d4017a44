"""One replica's own counters of requests, scrape after scrape: each process' told apart from the others'.

Several workers behind one port answer in turn, and without a shared directory (``PROMETHEUS_MULTIPROC_DIR``) each tells
its own counters. They are told apart by the start of the process and of its counters; where neither is told and a
counter goes back more than once, nothing is said rather than nonsense.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

from probes import httpmetrics
from probes.httpmetrics import Key, Scrape
from probes.traffic import Traffic

WINDOW_SECONDS = 60.0
APART_SECONDS = 300.0
"""For counters of single workers: until each of them has answered twice."""
PROCESSES = 64
KEPT = 32
"""Scrapes of one process."""
SAMPLES = 16_000
"""Of all processes together, about 2 MiB; beyond, the oldest scrapes are forgotten. Honest services stay below half."""
TWICE_SECONDS = 300.0
"""Within which a second step back shows that several processes answer."""
SHORTEST_SECONDS = 1.0


class _Run:
    """The answers of one process, oldest first, and what the latest of them tell."""

    def __init__(self) -> None:
        self.taken: deque[tuple[float, datetime, Scrape]] = deque(maxlen=KEPT)
        self._told: dict[float, tuple[Traffic, float] | None] = {}

    def take(self, now: float, at: datetime, scrape: Scrape) -> None:
        self.taken.append((now, at, scrape))
        self._told.clear()

    def told(self, span: float) -> tuple[Traffic, float] | None:
        """What was counted between the oldest answer of the ``span`` (seconds) before the latest, and that one.

        It is the same until another answer is taken, and worked out once.
        """
        if span not in self._told:
            self._told[span] = _between(self.taken, self.taken[-1][0] - span)
        return self._told[span]


class Scrapes:
    """Fed by whoever asks; times are monotonic seconds."""

    def __init__(self) -> None:
        self._runs: dict[tuple[float, ...], _Run] = {}
        self._back: deque[float] = deque(maxlen=2)
        self._keys: dict[Key, Key] = {}
        """Each once, whichever scrapes have it."""

    def take(self, scrape: Scrape, now: float, at: datetime | None = None) -> None:
        """The counters of one answer, which came at ``now``."""
        run = self._runs.pop(scrape.process, None) or _Run()
        if run.taken and httpmetrics.increase(run.taken[-1][2], scrape) is None:
            self._back.append(now)
            run = _Run()
        samples = {self._keys.setdefault(key, key): value for key, value in scrape.samples.items()}
        run.take(now, at or datetime.now(UTC), scrape._replace(samples=samples))
        self._runs[scrape.process] = run  # the latest stands last
        self._forget(now - APART_SECONDS)

    def _forget(self, before: float) -> None:
        """What is too old to count, and what is too much."""
        while len(self._runs) > PROCESSES:
            del self._runs[next(iter(self._runs))]
        kept = sum(len(scrape.samples) for run in self._runs.values() for _, _, scrape in run.taken)
        while self._runs:
            process, run = min(self._runs.items(), key=lambda one: one[1].taken[0][0])
            if run.taken[0][0] >= before and kept <= SAMPLES:
                break
            kept -= len(run.taken.popleft()[2].samples)
            if not run.taken:
                del self._runs[process]
        if len(self._keys) > 2 * httpmetrics.KEYS:
            self._keys.clear()

    def clear(self) -> None:
        """A new process: its counters begin anew."""
        self._runs.clear()
        self._back.clear()
        self._keys.clear()

    def incoherent(self, now: float) -> bool:
        """Whether counters went back twice lately, which one process' counters do not."""
        return len(self._back) == 2 and now - self._back[0] <= TWICE_SECONDS

    def traffic(self, now: float, *, workers: int | None = 1, shared: bool = False) -> Traffic | None:
        """The requests of users in the minute before the latest answer, or in so long as several workers need.

        Each of them has to answer twice, in turn.

        ``workers`` is how many processes answer (``None`` where that is not known); ``shared``: they are known to
        count together. ``None`` where there are not two answers of one process, or what they say cannot be right.
        """
        if self.incoherent(now):
            return None
        apart = workers != 1 and not shared
        if apart and workers is not None and () in self._runs:
            return None  # counters of one worker or of all: nothing tells which
        span = APART_SECONDS if apart and len(self._runs) > 1 else WINDOW_SECONDS
        living = [run for run in self._runs.values() if run.taken[-1][0] >= now - span]
        if workers is not None:
            living = living[-max(1, workers) :]
        found = [one for run in living if (one := run.told(span)) is not None]
        if not found:
            return None
        wanted = 1 if shared or workers is None else workers
        return _summed(found, wanted, whole=len(found) >= wanted and (len(found) == 1 or workers is not None))


def _between(run: Iterable[tuple[float, datetime, Scrape]], since: float) -> tuple[Traffic, float] | None:
    """What one process counted between the oldest answer of the window and the latest."""
    inside = [one for one in run if one[0] >= since]
    if len(inside) < 2:
        return None
    (first, _, before), (last, at, after) = inside[0], inside[-1]
    counted = httpmetrics.increase(before, after)
    seconds = last - first
    if counted is None or seconds < SHORTEST_SECONDS:
        return None
    one = httpmetrics.traffic(counted, seconds, at)
    return None if one is None else (one, seconds)


def _summed(found: list[tuple[Traffic, float]], workers: int, *, whole: bool) -> Traffic:
    buckets: dict[float, float] = {}
    for one, _ in found:
        for bound, rate in one.buckets.items():
            buckets[bound] = buckets.get(bound, 0.0) + rate
    failed = [one.errors_per_second for one, _ in found if one.errors_per_second is not None]
    said = f"{found[0][0].source} over {'1m' if len(found) == 1 else '5m'}"
    if workers > 1:
        said += f", {len(found)} of {workers} workers"
    return Traffic(
        at=max(one.at for one, _ in found),
        source=said,
        per_second=sum(one.per_second for one, _ in found),
        errors_per_second=sum(failed) if len(failed) == len(found) else None,
        buckets=buckets,
        quantiles=found[0][0].quantiles if len(found) == 1 else {},
        whole=whole,
    )
