"""What one request adds to the memory of all workers, where somebody counts the requests of a deployment's users."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from fixes.model import View
from fixes.signatures._slope import Growth, theil_sen, thinned
from probes.history import Point

MOST_WORKERS = 32
"""Of more the slopes would take longer to work out than the number is worth: 2 ms each."""
LEAST_REQUESTS = 100
"""Fewer in the whole time say nothing of each."""
_COVERED = 0.8
"""So much of the time that the memory was watched must each worker have been watched, and the requests counted."""
_GAP_SECONDS = 150.0
"""Rates are means of a minute, and come at least every half: a longer gap is time in which nobody counted."""


class Each(NamedTuple):
    """Bytes for each request, with the bounds that the slopes' 99 % intervals give."""

    value: float
    low: float
    high: float
    per_second: float
    """Requests, over the time that the memory was watched."""
    source: str
    """Who counted them."""

    @property
    def said(self) -> str:
        """The number for people."""
        return kibibytes(self.value)


def each_request(view: View, growth: Growth, lives: Sequence[Sequence[Point]]) -> Each | None:
    """The growth of all workers (``lives``: the memory of each) over the requests of the time that ``growth`` spans.

    ``None`` where a worker was not watched over it, where requests are not counted over it by one source, and where
    they are too few.
    """
    start, seconds = growth.first.at, growth.seconds
    counted = _rate(view, start, growth.last.at)
    if counted is None or counted[0] * seconds < LEAST_REQUESTS or not lives:
        return None
    per_second, source = counted
    low = value = high = 0.0
    for life in lives:
        points = life[bisect_left(life, start, key=lambda p: p.at) :]
        slope = theil_sen(thinned(points))
        if slope is None or points[-1].at - points[0].at < _COVERED * seconds:
            return None
        low, value, high = low + slope.low, value + slope.value, high + slope.high
    if low <= 0:
        return None
    return Each(value / per_second, low / per_second, high / per_second, per_second, source)


def _rate(view: View, start: float, end: float) -> tuple[float, str] | None:
    """Requests per second between two moments and who counted them: the source that counted most of that time."""
    best: tuple[float, float, str] | None = None
    for source, every in view.series("request-rate").items():
        points = [one for one in every if start <= one.at <= end]
        if len(points) < 2 or any(later.at - earlier.at > _GAP_SECONDS for earlier, later in pairwise(points)):
            continue
        span = points[-1].at - points[0].at
        if span >= _COVERED * (end - start) and (best is None or span > best[0]):
            area = sum((b.at - a.at) * (a.value + b.value) / 2 for a, b in pairwise(points))
            best = (span, area / span, source)
    return None if best is None else (best[1], best[2])


def kibibytes(size_bytes: float) -> str:
    """``12.3 KiB``, ``812 B``, ``3.1 MiB``."""
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    return f"{size_bytes / 1024:.3g} KiB" if size_bytes < 1000 * 1024 else f"{size_bytes / (1 << 20):.3g} MiB"
