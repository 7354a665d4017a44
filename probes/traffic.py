"""The requests of a service's users as rates: how many, how many failed, how long they took. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from probes.base import Frozen
from probes.model import Latency

SHARES = (0.50, 0.95, 0.99)


class Traffic(Frozen, frozen=True):
    """What one source counted at one replica, per second."""

    at: datetime
    """Of the latest request or count that it holds."""
    source: str
    """For people."""
    per_second: float
    errors_per_second: float | None = None
    """Answers of 500 and above; ``None`` where the source tells no status."""
    buckets: Mapping[float, float] = {}
    """Upper bound in seconds → requests per second that took so long, and longer than the bound before."""
    quantiles: Mapping[float, float] = {}
    """Share → seconds, where the source gives percentiles instead of buckets."""
    whole: bool = True
    """Each process that answers was heard: else the rates are those of some, and are not told."""


def quantile(bounds: Sequence[float], cumulative: Sequence[float], share: float) -> float | None:
    """As Prometheus' ``histogram_quantile``: linear within a bucket, the lowest of which begins at 0.

    ``cumulative`` are the counts at or below each ascending bound. ``None`` without requests, where the share lies
    beyond the last finite bound, and for numbers that tell none: what is given back is finite and not negative.
    """
    if not cumulative or not 0 < cumulative[-1] < math.inf:
        return None
    rank = share * cumulative[-1]
    low = before = 0.0
    for bound, count in zip(bounds, cumulative, strict=True):
        if count >= rank:
            found = low + (bound - low) * (rank - before) / (count - before) if count > before else bound
            return found if 0 <= found < math.inf else None
        low, before = bound, count
    return None


def nearest_rank(ascending: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of values in ascending order, which are at least one."""
    return ascending[max(0, min(len(ascending) - 1, round(share * len(ascending) + 0.5) - 1))]


def together(found: Sequence[Traffic], replicas: int) -> Latency | None:
    """One deployment's traffic of its replicas'; ``None`` where there is none.

    Rates are told where each of the ``replicas`` that run was heard as a whole; the distribution of those that were
    heard stands for all.
    """
    if not found:
        return None
    whole = len(found) >= replicas and all(one.whole for one in found)
    rate = sum(one.per_second for one in found)
    failed = [one.errors_per_second for one in found if one.errors_per_second is not None]
    percentiles = _percentiles(found)
    source = ", ".join(dict.fromkeys(one.source for one in found))
    if len(found) < replicas:
        source += f", {len(found)} of {replicas} replicas"
    return Latency(
        at=max(one.at for one in found),
        p50_seconds=percentiles[0],
        p95_seconds=percentiles[1],
        p99_seconds=percentiles[2],
        requests_per_second=rate if whole else None,
        error_ratio=min(1.0, sum(failed) / rate) if rate > 0 and len(failed) == len(found) else None,
        source=source,
    )


def _percentiles(found: Sequence[Traffic]) -> tuple[float | None, ...]:
    sums = _sum(one.buckets for one in found)
    if sums:
        bounds = sorted(sums)
        cumulative, total = [], 0.0
        for bound in bounds:
            total += sums[bound]
            cumulative.append(total)
        return tuple(quantile(bounds, cumulative, share) for share in SHARES)
    if len(found) == 1:  # percentiles of several cannot be put together
        return tuple(found[0].quantiles.get(share) for share in SHARES)
    return (None, None, None)


def _sum(all_buckets: Iterable[Mapping[float, float]]) -> dict[float, float]:
    """Bucket by bucket: replicas of one service have the same bounds."""
    sums: dict[float, float] = {}
    for buckets in all_buckets:
        for bound, rate in buckets.items():
            sums[bound] = sums.get(bound, 0.0) + rate
    return sums
