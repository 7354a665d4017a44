"""What was measured of a deployment, summed over its replicas honestly: unknown as soon as one of them is."""

from __future__ import annotations

from console.contract.base import Out
from probes.latency import own_probes
from probes.model import Deployment
from probes.traffic import nearest_rank


class MemoryOut(Out, frozen=True):
    """Memory of all running replicas; the limit is the sum of theirs."""

    used_bytes: int | None
    limited: bool | None
    limit_bytes: int | None
    source: str | None = None
    """Where it was read; several are joined by commas."""


class CpuOut(Out, frozen=True):
    """CPU of all running replicas."""

    used_cores: float | None
    limited: bool | None
    limit_cores: float | None
    throttled_ratio: float | None


class LatencyOut(Out, frozen=True):
    """Percentiles of the named source."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    requests_per_second: float | None
    error_ratio: float | None
    source: str


def memory(one: Deployment) -> MemoryOut:
    """Sums over the running replicas; unknown as soon as one of them is."""
    running = one.running
    limits = [r.memory.limit for r in running]
    limited = _all_known([limit.limited for limit in limits])
    return MemoryOut(
        used_bytes=_whole(_sum([r.memory.used_bytes for r in running])),
        limited=limited,
        limit_bytes=_whole(_sum([limit.value for limit in limits])) if limited else None,
        source=", ".join(dict.fromkeys(r.memory.source for r in running if r.memory.source is not None)) or None,
    )


def cpu(one: Deployment) -> CpuOut:
    """Sums over the running replicas; the throttled ratio is the worst one's."""
    running = one.running
    limits = [r.cpu.limit for r in running]
    limited = _all_known([limit.limited for limit in limits])
    throttled = [r.cpu.throttled_ratio for r in running if r.cpu.throttled_ratio is not None]
    return CpuOut(
        used_cores=_sum([r.cpu.used_cores for r in running]),
        limited=limited,
        limit_cores=_sum([limit.value for limit in limits]) if limited else None,
        throttled_ratio=max(throttled, default=None),
    )


def latency(one: Deployment) -> LatencyOut | None:
    """What somebody counts of its users' requests, else percentiles of fastops' own to a path that no route answers.

    ``None`` where there is neither.
    """
    if one.latency is not None:
        return LatencyOut(
            p50_ms=_milliseconds(one.latency.p50_seconds),
            p95_ms=_milliseconds(one.latency.p95_seconds),
            p99_ms=_milliseconds(one.latency.p99_seconds),
            requests_per_second=one.latency.requests_per_second,
            error_ratio=one.latency.error_ratio,
            source=one.latency.source,
        )
    own = own_probes(one.running)
    if own is None:
        return None
    (p50, p95, p99), what = own
    return LatencyOut(
        p50_ms=_milliseconds(p50),
        p95_ms=_milliseconds(p95),
        p99_ms=_milliseconds(p99),
        requests_per_second=None,
        error_ratio=None,
        source=what,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def percentile(ascending: list[float], share: float) -> float:
    """The nearest-rank percentile of values in ascending order."""
    return round(nearest_rank(ascending, share), 1)


def _sum(values: list[float | None] | list[int | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if known and len(known) == len(values) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _all_known(values: list[bool | None]) -> bool | None:
    """True or false where all agree that they are known; a mixture is not a limit of the whole."""
    if not values or None in values:
        return None
    return all(values)
