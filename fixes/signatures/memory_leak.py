"""A worker's memory rises steadily and does not come back.

What it means. Something is kept that should be let go: a list or cache without a bound, connections, sessions and
contexts left open, tasks that never end. It ends at the limit, with a kill by the kernel.

What proves it. The anonymous memory of one worker (its resident memory where that is not known) has a robust slope
above zero with 99 % confidence, in each third of the time that was watched; over 30 min, or over a shorter time of a
minute at least when the limit is nearer than 20 such times. The first minute of a worker's life does not count.

Where somebody counts the requests of its users over the same time, it says what each of them adds.

What it is not. The start of a worker, a cache that fills and levels off, page cache, or the saw-tooth of workers that
``max_requests`` replaces in time, however young: an earlier one grew as far, and none was killed for memory.

What to do. Recycling workers bounds it today, a higher limit delays it, the profile and the code end it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from fixes.model import SILENT, Evidence, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _kubernetes, _memory_leak_examples, _shared
from fixes.signatures._each_request import MOST_WORKERS, Each, each_request, kibibytes
from fixes.signatures._recycling import metric_of, recycled_in_time, recycles, replaced_so_far, replaced_young
from fixes.signatures._shared import MIB, duration, mebibytes
from fixes.signatures._slope import LEAST_POINTS, Growth, steady_growth
from probes.history import Metric, Point
from probes.model import Replica, Worker

WARM_UP_SECONDS = 60.0
LONG_SECONDS = 30 * 60.0
SHORT_SECONDS = 60.0
NEAR_WINDOWS = 20
SOON_SECONDS = 3600.0
LEAST_RISE_BYTES = 4.0 * MIB
MEASURES: Mapping[Metric, str] = {"worker-anonymous": "anonymous memory", "worker-rss": "resident memory (RSS)"}


class _Leak(NamedTuple):
    replica: Replica
    worker: Worker
    growth: Growth
    measure: str
    """Which memory it is that grows, for people."""
    limit: float | None
    left: tuple[float, float, float] | None
    """Seconds until the limit: expected, soonest, latest."""


def detect(view: View) -> Verdict:
    """Fires for the worker whose limit is nearest."""
    leaks: list[_Leak] = []
    seen_least: tuple[float, int] | None = None
    for replica in view.deployment.running:
        rising: list[tuple[Worker, Growth]] = []
        for worker in _shared.serving(replica):
            points = _life(view, replica, worker)
            seen = points[-1].at - points[0].at if points else 0.0
            if seen < SHORT_SECONDS or len(points) < LEAST_POINTS:
                if not replaced_young(view, replica, worker):
                    seen_least = min(seen_least or (seen, len(points)), (seen, len(points)))
                continue
            growth = steady_growth(points, LEAST_RISE_BYTES)
            if growth is not None:
                rising.append((worker, growth))
        leaks += [_with_limit(view, replica, worker, growth, rising) for worker, growth in rising]
    if not leaks:
        if seen_least is None:
            hidden = any(_kubernetes.grows_unseen(view, replica, LONG_SECONDS) for replica in view.deployment.running)
            return Undecided("the memory of its workers: a program inside the pod reads it") if hidden else SILENT
        seen, count = seen_least
        needs = f"{LEAST_POINTS} samples of memory over 1 min, after a worker's first minute"
        return Undecided(f"{needs}; {count} over {duration(seen)} seen")
    return _judge(view, leaks)


def _judge(view: View, leaks: list[_Leak]) -> Verdict:
    far = float("inf")
    leak = min(leaks, key=lambda one: (one.left[0] if one.left else far, -one.growth.slope.value))
    expected = leak.left[0] if leak.left else far
    if leak.growth.seconds < LONG_SECONDS and expected > NEAR_WINDOWS * leak.growth.seconds:
        return Undecided(f"{duration(LONG_SECONDS)} of memory, {duration(leak.growth.seconds)} seen")
    if recycles(view):
        if recycled_in_time(view, leak.replica, leak.worker, leak.growth.last.value):
            return SILENT
        # A fix is being verified: the limit may be near, but no worker has lived to its last request since.
        if expected > SOON_SECONDS or (view.after is not None and not replaced_so_far(view, leak.replica, leak.worker)):
            return Undecided("the life of a worker until max_requests replaces it")
    return _fires(leak, len(leaks), _each_request(view, leak.growth))


def _each_request(view: View, growth: Growth) -> Each | None:
    """What each request adds: all workers grow by all requests, so both are summed over the same time."""
    serving = [(r, w) for r in view.deployment.running for w in _shared.serving(r)]
    if len(serving) > MOST_WORKERS or len({r.id for r, _ in serving}) < len(view.deployment.running):
        return None
    return each_request(view, growth, [_life(view, replica, worker) for replica, worker in serving])


def _fires(leak: _Leak, number: int, each: Each | None) -> Fires:
    growth, slope = leak.growth, leak.growth.slope
    rate = f"{_rate(slope.value)} ({_rate(slope.low)} … {_rate(slope.high)})"
    pid = leak.worker.inner_pid or leak.worker.pid
    ending = ""
    facts: dict[str, str | int | float | bool] = {
        "pid": leak.worker.pid,
        "window_seconds": round(growth.seconds),
        "bytes_per_second": round(slope.value),
        "peak_bytes": round(growth.last.value),
    }
    if leak.limit is not None:
        facts["limit_bytes"] = int(leak.limit)
    if leak.left is not None:
        expected, soonest, latest = leak.left
        ending = f"; the limit is {duration(expected)} away ({duration(soonest)} … {duration(latest)})"
        facts["left_seconds"] = round(expected)
    adds = ""
    if each is not None:
        adds = f", {each.said} for each request"
        facts["bytes_per_request"] = round(each.value)
    others = f" (and {number - 1} more)" if number > 1 else ""
    at = datetime.fromtimestamp(growth.last.at, UTC)
    rose = f"from {mebibytes(growth.first.value)} to {mebibytes(growth.last.value)} in {duration(growth.seconds)}"
    grew = f"{leak.measure} grew {rose}"
    evidence = [
        Evidence(
            "proc", grew, at=at, replica=leak.replica.id, worker=leak.worker.pid, value=slope.value, unit="bytes/s"
        )
    ]
    if each is not None:
        text = (
            f"{each.said} ({kibibytes(each.low)} … {kibibytes(each.high)}) of all workers for each request:"
            f" {each.per_second:.3g} a second, counted by {each.source}"
        )
        evidence.append(Evidence("proc", text, at=at, value=each.value, unit="bytes/request"))
    if leak.limit is not None:
        text = f"limit of memory: {mebibytes(leak.limit)}"
        evidence.append(Evidence("cgroup", text, at=at, replica=leak.replica.id, value=leak.limit, unit="bytes"))
    return Fires(
        severity="error" if leak.left is not None and leak.left[0] < SOON_SECONDS else "warning",
        title=f"worker {pid} grows by {rate} for {duration(growth.seconds)}{adds}{ending}{others}",
        evidence=tuple(evidence),
        first_at=datetime.fromtimestamp(growth.first.at, UTC),
        last_at=at,
        facts=facts,
    )


def _rate(bytes_per_second: float) -> str:
    return f"{bytes_per_second * 60 / MIB:.1f} MiB/min"


def _life(view: View, replica: Replica, worker: Worker) -> Sequence[Point]:
    """A worker's memory after its first minute."""
    label = f"{replica.id}/{worker.pid}"
    points = view.series(metric_of(view, label)).get(label, ())
    if not points:
        return ()
    born = worker.started_at.timestamp() if worker.started_at is not None else points[0].at
    since = born + WARM_UP_SECONDS
    if view.after is not None:
        since = max(since, view.after.timestamp())
    return points[bisect_left(points, since, key=lambda p: p.at) :]


def _with_limit(
    view: View, replica: Replica, worker: Worker, growth: Growth, rising: list[tuple[Worker, Growth]]
) -> _Leak:
    """The limit that the worker meets first: its own, its replica's, or else the machine's."""
    candidates: list[tuple[float, float, float, float]] = []

    def add(limit: float, used: float, low: float, value: float, high: float) -> None:
        room = max(0.0, limit - used)
        candidates.append((room / value, room / high, room / low, limit))

    slope = growth.slope
    if worker.memory_limit.limited and worker.memory_limit.value:
        add(worker.memory_limit.value, growth.last.value, *_bounds(slope.low, slope.value, slope.high))
    # All that rises in the replica meets its limit together.
    slopes = [g.slope for _, g in rising]
    together = _bounds(sum(s.low for s in slopes), sum(s.value for s in slopes), sum(s.high for s in slopes))
    used = replica.memory.used_bytes
    level = float(used) if used is not None else sum(g.last.value for _, g in rising)
    limit = replica.memory.limit
    if limit.limited and limit.value:
        add(limit.value, level, *together)
    elif not candidates and view.node is not None and view.node.memory_available_bytes is not None:
        available = float(view.node.memory_available_bytes)
        add(level + available, level, *together)
    measure = MEASURES[metric_of(view, f"{replica.id}/{worker.pid}")]
    if not candidates:
        return _Leak(replica, worker, growth, measure, None, None)
    expected, soonest, latest, bound = min(candidates)
    return _Leak(replica, worker, growth, measure, bound, (expected, soonest, latest))


def _bounds(low: float, value: float, high: float) -> tuple[float, float, float]:
    return max(low, 1e-9), max(value, 1e-9), max(high, 1e-9)


SIGNATURE = Signature(
    id=SignatureId("memory-leak"),
    title="Memory leak",
    severity="error",
    detect=detect,
    remedies=(
        RemedyId("enable-worker-recycling"),
        RemedyId("set-memory-limit"),
        RemedyId("profile"),
        RemedyId("advise"),
    ),
    proof=Proof(window_seconds=180.0, earliest_seconds=60.0),
    source="P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, JASA 63 (1968)",
    explains=(SignatureId("oom-killed"), SignatureId("worker-sigkill"), SignatureId("memory-near-limit")),
    fires=_memory_leak_examples.FIRES,
    silent=_memory_leak_examples.STAYS_SILENT,
)
