"""What the plots of a deployment show: series of the session turned into lines with names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probes.history import Metric, Point
from probes.model import Deployment
from screens.widgets.chart import Line, Plot

METRICS: tuple[Metric, ...] = (
    "worker-rss",
    "memory-used",
    "cpu-cores",
    "loop-seconds",
    "health-seconds",
    "request-p95",
)
Series = Mapping[Metric, Mapping[str, Sequence[Point]]]
WORKERS_SHOWN = 6


def memory(deployment: Deployment, series: Series) -> Plot:
    """Resident memory of each worker, the working set of each replica, and the limit of one replica."""
    limits = [r.memory.limit.value for r in deployment.running if r.memory.limit.limited]
    inner = {str(w.pid): str(w.inner_pid or w.pid) for w in deployment.workers}
    living = [
        Line(f"worker {inner[pid]}", points)
        for label, points in sorted(series.get("worker-rss", {}).items())
        if (pid := label.rsplit("/", 1)[-1]) in inner
    ]
    living.sort(key=lambda line: -line.points[-1].value if line.points else 0)
    whole = _named(deployment, series.get("memory-used", {}), "all")
    return Plot((*whole[:2], *living[:WORKERS_SHOWN]), min((v for v in limits if v), default=None))


def cpu(deployment: Deployment, series: Series) -> Plot:
    """Cores used by each replica, and the limit of one."""
    limits = [r.cpu.limit.value for r in deployment.running if r.cpu.limit.limited]
    return Plot(_named(deployment, series.get("cpu-cores", {}), "used"), min((v for v in limits if v), default=None))


def latency(deployment: Deployment, series: Series) -> Plot:
    """p95 of the users' requests, where somebody tells it; how long an unknown path and the health path took."""
    source = deployment.latency.source if deployment.latency is not None else None
    points = series.get("request-p95", {}).get(source or "", ())
    users = (Line("users p95", points),) if points else ()
    loop = _named(deployment, series.get("loop-seconds", {}), "loop")
    return Plot((*users, *loop, *_named(deployment, series.get("health-seconds", {}), "health")))


def latency_title(deployment: Deployment) -> str:
    """What the plot of :func:`latency` shows, the rate and the errors, and who counted them."""
    told = deployment.latency
    if told is None:
        return "probe latency"
    rate = "" if told.requests_per_second is None else f"{told.requests_per_second:.3g}/s"
    errors = f"{told.error_ratio:.1%} errors" if told.error_ratio else ""
    what = "probe latency" if told.probed or told.p95_seconds is None else "latency"
    return " · ".join(part for part in (what, rate, errors, told.source.partition(";")[0]) if part)


def _named(deployment: Deployment, found: Mapping[str, Sequence[Point]], name: str) -> tuple[Line, ...]:
    """A line for each replica; its name stands there only where there are several."""
    names = {str(r.id): r.name for r in deployment.replicas}
    several = len(found) > 1
    return tuple(
        Line(f"{name} {names.get(label, label[:8])}" if several else name, points)
        for label, points in sorted(found.items())
        if points
    )
