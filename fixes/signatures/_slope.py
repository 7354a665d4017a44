"""Robust slopes: whether a series rises steadily, and how surely.

Theil–Sen (P. K. Sen, 1968): the median of the slopes between all pairs of points; its confidence interval comes from
Kendall's statistic. Single outliers, garbage collections and noise do not move it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from probes.history import Point

_MOST_POINTS = 90
"""Pairs grow with the square: 90 points are 4,005 slopes."""
_Z = 2.576
"""Of the normal distribution, for an interval of 99 %."""
LEAST_POINTS = 9
_DRAWDOWN = 0.4
"""A fall by more than this part of the whole range is the tooth of a saw, not noise on a rise."""
_EACH_THIRD = 0.3
"""Each third must rise at least so much as the whole: a step, or a rise that levels off, does not."""
_LAST_THIRD = 0.4


class Slope(NamedTuple):
    """Units per second, with the bounds of its 99 % interval."""

    value: float
    low: float
    high: float


def theil_sen(points: Sequence[Point]) -> Slope | None:
    """The slope of a series; ``None`` for fewer than :data:`LEAST_POINTS` points."""
    if len(points) < LEAST_POINTS:
        return None
    slopes = sorted(_pair_slopes(points))
    if not slopes:
        return None
    n = len(points)
    spread = _Z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, int((len(slopes) - spread) / 2))
    high = min(len(slopes) - 1, int((len(slopes) + spread) / 2) + 1)
    return Slope(median(slopes), slopes[low], slopes[high])


def thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    """At most :data:`_MOST_POINTS` points: the medians of equal spans of time."""
    if len(points) <= _MOST_POINTS:
        return tuple(points)
    start, width = points[0].at, (points[-1].at - points[0].at) / _MOST_POINTS
    buckets: dict[int, list[Point]] = {}
    for point in points:
        buckets.setdefault(min(_MOST_POINTS - 1, int((point.at - start) / width)), []).append(point)
    return tuple(Point(median(p.at for p in b), median(p.value for p in b)) for _, b in sorted(buckets.items()))


class Growth(NamedTuple):
    """A steady rise."""

    slope: Slope
    first: Point
    last: Point
    seconds: float


def steady_growth(points: Sequence[Point], least_rise: float) -> Growth | None:
    """The rise of a series, where it is one: sure, in each third, without a tooth, and of ``least_rise`` at least."""
    if len(points) < LEAST_POINTS or _risen(points) < least_rise / 2:
        return None
    few = thinned(points)
    slope = theil_sen(few)
    seconds = points[-1].at - points[0].at
    if slope is None or slope.low <= 0 or slope.value * seconds < least_rise or _has_tooth(few):
        return None
    third = seconds / 3
    for part, least in ((0, _EACH_THIRD), (1, _EACH_THIRD), (2, _LAST_THIRD)):
        start = points[0].at + part * third
        piece = [p for p in few if start <= p.at <= start + third]
        if len(piece) < 2 or _simple_slope(piece) < least * slope.value:
            return None
    return Growth(slope, points[0], points[-1], seconds)


def _risen(points: Sequence[Point]) -> float:
    """From the first points to the last: what is flat is told at once, before any pair is looked at."""
    return median(p.value for p in points[-5:]) - median(p.value for p in points[:5])


def _simple_slope(points: Sequence[Point]) -> float:
    """Theil–Sen without its interval, for few points."""
    slopes = _pair_slopes(points)
    return median(slopes) if slopes else 0.0


def _pair_slopes(points: Sequence[Point]) -> list[float]:
    """The slopes between all pairs of points, in units per second."""
    return [
        (later.value - earlier.value) / (later.at - earlier.at)
        for i, earlier in enumerate(points)
        for later in points[i + 1 :]
        if later.at > earlier.at
    ]


def _has_tooth(points: Sequence[Point]) -> bool:
    values = [p.value for p in points]
    whole = max(values) - min(values)
    highest, fall = values[0], 0.0
    for value in values:
        highest = max(highest, value)
        fall = max(fall, highest - value)
    return fall > _DRAWDOWN * whole
