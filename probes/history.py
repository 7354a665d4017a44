"""Number series in bounded rings: what plots and slopes are made of.

A series has one source and is never joined with another. Points are ``(seconds since the epoch, value)``. A ring that
is full halves its older part by keeping the extremes of each four points, so peaks survive and memory stays bounded:
:data:`ALL_POINTS` for all series together, as long as that leaves :data:`LEAST` for each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from probes.base import DeploymentId
from probes.model import Cpu, Deployment, Replica, TargetState

Metric = Literal[
    "worker-rss",
    "worker-anonymous",
    "worker-cpu",
    "memory-used",
    "cpu-cores",
    "oom-kills",
    "throttled-ratio",
    "loop-seconds",
    "health-seconds",
    "request-p95",
    "request-rate",
    "established",
    "open-files",
    "log-bytes",
]
_OF_REQUESTS: frozenset[Metric] = frozenset({"request-p95", "request-rate"})
CAPACITY = 720
"""Points per series: 24 minutes at one every two seconds before the first halving."""
LEAST = 90
"""Points per series that every fleet has: three minutes at one every two seconds, 45 at one every half minute."""
ALL_POINTS = 720_000
"""Of all series together, some 80 MB: a thousand series have all points that one may have."""
SERIES_KEPT = 256
"""So many series a deployment may have before those of replicas and workers that ended are forgotten."""
_MOST = 1e18
"""No honest number of bytes, seconds, cores or descriptors is beyond it."""


class SeriesKey(NamedTuple):
    """Which number of whom."""

    deployment: DeploymentId
    metric: Metric
    label: str
    """``REPLICA`` or ``REPLICA/PID``; of requests, who counted them."""


class Point(NamedTuple):
    """One value at one time (seconds since the epoch)."""

    at: float
    value: float


class Ring:
    """A bounded series, oldest first."""

    __slots__ = ("points",)

    def __init__(self) -> None:
        self.points: list[Point] = []

    def add(self, at: float, value: float, capacity: int = CAPACITY) -> None:
        """Appends a point; what is not newer than the last is dropped."""
        if self.points and at <= self.points[-1].at:
            return
        self.points.append(Point(at, value))
        while len(self.points) > capacity:
            self._thin()

    def _thin(self) -> None:
        """Halves the older three quarters: of each four points the lowest and the highest stay."""
        keep_from = len(self.points) * 3 // 4
        old, recent = self.points[:keep_from], self.points[keep_from:]
        thinned: list[Point] = []
        for start in range(0, len(old), 4):
            four = old[start : start + 4]
            low, high = min(four, key=lambda p: p.value), max(four, key=lambda p: p.value)
            thinned += sorted({low, high})
        self.points = thinned + recent


class History:
    """All series of a session."""

    def __init__(self) -> None:
        self._rings: dict[SeriesKey, Ring] = {}
        self._of: dict[DeploymentId, set[SeriesKey]] = {}

    def record(self, state: TargetState) -> None:
        """Takes the numbers of what changed; forgets deployments that are gone."""
        for deployment_id in state.changed:
            deployment = state.deployments.get(deployment_id)
            if deployment is None:
                self._forget(self._of.pop(deployment_id, set()))
                continue
            for key, at, value in numbers(deployment):
                self.add(key, at, value)
            self._forget_ended(deployment)

    def add(self, key: SeriesKey, at: float, value: float) -> None:
        """Appends one point; what is no number, or an absurd one, is left out."""
        if not (math.isfinite(at) and abs(value) <= _MOST):  # NaN is not
            return
        ring = self._rings.get(key)
        if ring is None:
            ring = self._rings[key] = Ring()
            self._of.setdefault(key.deployment, set()).add(key)
        ring.add(at, value, max(LEAST, min(CAPACITY, ALL_POINTS // len(self._rings))))

    def series(self, key: SeriesKey, since: float = 0.0) -> Sequence[Point]:
        """The points of one series from ``since`` (seconds since the epoch) on, oldest first."""
        ring = self._rings.get(key)
        if ring is None:
            return ()
        return tuple(p for p in ring.points if p.at >= since)

    def labels(self, deployment: DeploymentId, metric: Metric) -> tuple[str, ...]:
        """The labels for which a deployment has this metric."""
        return tuple(sorted(key.label for key in self._of.get(deployment, ()) if key.metric == metric))

    def _forget(self, keys: set[SeriesKey]) -> None:
        for key in keys:
            self._rings.pop(key, None)

    def _forget_ended(self, deployment: Deployment) -> None:
        """Drops the series of replicas and workers that ended, oldest first, where a deployment has many series."""
        keys = self._of.get(deployment.id, set())
        if len(keys) <= SERIES_KEPT:
            return
        living: set[str] = {label for r in deployment.replicas for label in _labels(r)}
        ended = sorted(
            (k for k in keys if k.label not in living and k.metric not in _OF_REQUESTS),
            key=lambda k: self._rings[k].points[-1].at,
        )
        gone = set(ended[: len(keys) - SERIES_KEPT * 3 // 4])
        self._forget(gone)
        keys -= gone


def _labels(replica: Replica) -> Iterator[str]:
    yield replica.id
    for worker in replica.workers:
        yield f"{replica.id}/{worker.pid}"


def numbers(deployment: Deployment) -> Iterator[tuple[SeriesKey, float, float]]:
    """The series' keys, times and values that a deployment's latest sample holds."""
    yield from _request_numbers(deployment)
    for replica in deployment.replicas:
        yield from _probe_numbers(deployment.id, replica)
        if replica.sampled_at is None:
            continue
        at = replica.sampled_at.timestamp()
        cpu_at = replica.cpu.at.timestamp() if replica.cpu.at is not None else at
        for metric, share in _cpu_numbers(replica.cpu):
            yield SeriesKey(deployment.id, metric, replica.id), cpu_at, share
        established = [x.established for x in replica.listeners or () if x.established is not None]
        whole: dict[Metric, float | None] = {
            "memory-used": replica.memory.used_bytes,
            "oom-kills": replica.memory.oom_kills,
            "established": sum(established) if established else None,
            "log-bytes": replica.log_bytes,
        }
        for metric, value in whole.items():
            if value is not None:
                yield SeriesKey(deployment.id, metric, replica.id), at, float(value)
        for worker in replica.workers:
            each: dict[Metric, float | None] = {
                "worker-rss": worker.rss_bytes,
                "worker-anonymous": worker.anonymous_bytes,
                "worker-cpu": worker.cpu_percent,
                "open-files": worker.open_files,
            }
            for metric, value in each.items():
                if value is not None:
                    yield SeriesKey(deployment.id, metric, f"{replica.id}/{worker.pid}"), at, float(value)


def _cpu_numbers(cpu: Cpu) -> Iterator[tuple[Metric, float]]:
    if cpu.used_cores is not None:
        yield "cpu-cores", cpu.used_cores
    if cpu.throttled_ratio is not None:
        yield "throttled-ratio", cpu.throttled_ratio


def _request_numbers(deployment: Deployment) -> Iterator[tuple[SeriesKey, float, float]]:
    """Of the users' requests; what fastops asked itself has its own series."""
    told = deployment.latency
    if told is None:
        return
    if not told.probed and told.p95_seconds is not None:
        yield SeriesKey(deployment.id, "request-p95", told.source), told.at.timestamp(), told.p95_seconds
    if told.requests_per_second is not None:
        counted_by = told.source.partition(";")[0]  # behind it stands whose percentiles these are
        yield SeriesKey(deployment.id, "request-rate", counted_by), told.at.timestamp(), told.requests_per_second


def _probe_numbers(deployment: DeploymentId, replica: Replica) -> Iterator[tuple[SeriesKey, float, float]]:
    for sample in replica.loop_probes:
        yield SeriesKey(deployment, "loop-seconds", replica.id), sample.at.timestamp(), sample.took_seconds
    for sample in replica.health_probes:
        yield SeriesKey(deployment, "health-seconds", replica.id), sample.at.timestamp(), sample.took_seconds
