"""What the plots of a deployment show: series of the session turned into lines with names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probes.history import Metric, Point
from probes.model import Deployment
from screens.widgets.chart import Line, Plot

METRICS: tuple[Metric, ...] = ("worker-rss", "memory-used", "cpu-cores", "loop-seconds", "health-seconds")
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
    """Seconds until the event loop answered an unknown path, and the health path."""
    loop = _named(deployment, series.get("loop-seconds", {}), "loop")
    return Plot((*loop, *_named(deployment, series.get("health-seconds", {}), "health")))


def _named(deployment: Deployment, found: Mapping[str, Sequence[Point]], name: str) -> tuple[Line, ...]:
    """A line for each replica; its name stands there only where there are several."""
    names = {str(r.id): r.name for r in deployment.replicas}
    several = len(found) > 1
    return tuple(
        Line(f"{name} {names.get(label, label[:8])}" if several else name, points)
        for label, points in sorted(found.items())
        if points
    )
