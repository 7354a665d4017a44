"""What a node's kubelet counts of its containers (``/metrics/cadvisor``): throttling, memory, CPU, kills for memory.

The counters of throttling appear only for containers with a CPU limit; ``container_oom_events_total`` is not told by
every version. Where two containers of one name are told (the one before a restart is not forgotten at once), the one
that was started last counts. Source: cAdvisor, docs/storage/prometheus.md.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from probes.base import Frozen, ReplicaId
from probes.model import Cpu
from probes.targets.kubernetes.exposition import Point, Reader

SOURCE = "cAdvisor"
_STARTED = "container_start_time_seconds"
_FIELDS = {
    "container_cpu_cfs_periods_total": "periods",
    "container_cpu_cfs_throttled_periods_total": "throttled_periods",
    "container_cpu_cfs_throttled_seconds_total": "throttled_seconds",
    "container_cpu_usage_seconds_total": "cpu_seconds",
    "container_memory_working_set_bytes": "working_set_bytes",
    "container_oom_events_total": "oom_events",
}
FAMILIES = frozenset({*_FIELDS, _STARTED})


class Counters(Frozen, frozen=True):
    """What was counted of one container, at one time."""

    at: datetime
    started: float = 0.0
    """Seconds since the epoch; 0 where it is not told."""
    cpu_seconds: float | None = None
    working_set_bytes: int | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_seconds: float | None = None
    oom_events: int | None = None


class Document:
    """One document of one node, taken chunk by chunk; keeps the containers that are asked for."""

    def __init__(self, wanted: Collection[ReplicaId]) -> None:
        self._wanted = wanted
        self._reader = Reader(FAMILIES)
        self._found: dict[tuple[ReplicaId, str], dict[str, float]] = {}
        self._at: dict[tuple[ReplicaId, str], float] = {}

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        for point in self._reader.feed(chunk):
            self._take(point)

    def counters(self, now: datetime) -> dict[ReplicaId, Counters]:
        """What the document held; ``now`` is the time of lines that have none."""
        for point in self._reader.end():
            self._take(point)
        found: dict[ReplicaId, Counters] = {}
        for key, values in self._found.items():
            at = self._at.get(key)
            moment = now if at is None else datetime.fromtimestamp(at, UTC)
            counters = Counters(
                at=moment,
                started=values.get(_STARTED, 0.0),
                cpu_seconds=values.get("cpu_seconds"),
                working_set_bytes=_whole(values.get("working_set_bytes")),
                periods=_whole(values.get("periods")),
                throttled_periods=_whole(values.get("throttled_periods")),
                throttled_seconds=values.get("throttled_seconds"),
                oom_events=_whole(values.get("oom_events")),
            )
            before = found.get(key[0])
            if before is None or (counters.started, counters.at) > (before.started, before.at):
                found[key[0]] = counters
        return found

    def _take(self, point: Point) -> None:
        labels = point.labels
        replica = ReplicaId(f"{labels.get('namespace')}/{labels.get('pod')}/{labels.get('container')}")
        if replica not in self._wanted or not 0 <= point.value < 1e18:
            return
        key = (replica, labels.get("id", ""))
        values = self._found.setdefault(key, {})
        name = _FIELDS.get(point.family, point.family)
        # CPU time may be told for each core ("cpu" then is no "total"): the parts make the whole.
        values[name] = values.get(name, 0.0) + point.value if name == "cpu_seconds" else point.value
        if point.at is not None and 0 < point.at < 1e11:
            self._at[key] = max(point.at, self._at.get(key, 0.0))


def cpu(now: Counters, before: Counters | None) -> Cpu:
    """CPU of a container from two looks; rates are unknown without an earlier one of the same run."""
    result = Cpu(periods=now.periods, throttled_periods=now.throttled_periods)
    if before is None or before.started != now.started or now.at <= before.at:
        return result
    seconds = (now.at - before.at).total_seconds()
    used = _gain(now.cpu_seconds, before.cpu_seconds)
    periods = _gain(now.periods, before.periods)
    throttled = _gain(now.throttled_periods, before.throttled_periods)
    waited = _gain(now.throttled_seconds, before.throttled_seconds)
    ratio = None if periods is None or throttled is None else min(1.0, throttled / periods) if periods else 0.0
    return Cpu(
        used_cores=None if used is None else used / seconds,
        periods=now.periods,
        throttled_periods=now.throttled_periods,
        throttled_ratio=ratio,
        throttled_time_ratio=None if waited is None else waited / seconds,
    )


def _gain(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None or now < before else now - before


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
