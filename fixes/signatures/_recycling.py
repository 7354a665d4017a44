"""Whether workers are replaced before they grow too large: ``max_requests``, and how earlier workers ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from fixes.model import View
from fixes.signatures import _shared
from probes.history import Metric, Point
from probes.model import Replica, Worker

AS_FAR = 0.9
"""Of the present size: an earlier worker that grew so far was replaced in time (max_requests_jitter varies it)."""


def metric_of(view: View, label: str) -> Metric:
    """A worker's anonymous memory where it is known, else its resident memory."""
    return "worker-anonymous" if view.series("worker-anonymous").get(label) else "worker-rss"


def recycles(view: View) -> bool:
    """Whether the server is told to replace a worker after a number of requests."""
    value = view.deployment.setting("max_requests")
    return isinstance(value, (int, float)) and value > 0


def recycled_in_time(view: View, of: Replica, worker: Worker, size_bytes: float) -> bool:
    """Whether earlier workers of this replica came as far and were replaced: the saw has teeth already.

    One that the kernel killed for memory was not replaced in time, whatever came of the others.
    """
    ended = _ended(view, of, worker)
    kills = _shared.oom_rise(view, of)
    if kills is not None and any(kills.near(datetime.fromtimestamp(life[-1].at, UTC)) for life in ended):
        return False
    return any(max(p.value for p in life) >= AS_FAR * size_bytes for life in ended)


def replaced_so_far(view: View, of: Replica, worker: Worker) -> bool:
    """Whether as many workers of this replica were replaced as serve now: what is new of the setting has shown.

    All workers may have ended once with a reload, which is no recycling; where it is not known since when the setting
    is in force, it takes one more.
    """
    generation = len(_shared.serving(of))
    return len(_ended(view, of, worker)) >= generation + (1 if view.after is None else 0)


def replaced_young(view: View, of: Replica, worker: Worker) -> bool:
    """Whether workers are replaced before they are old enough to be judged, and this one is as small as they were."""
    label = f"{of.id}/{worker.pid}"
    points = view.series(metric_of(view, label)).get(label, ())
    size = points[-1].value if points else 0.0
    return recycles(view) and replaced_so_far(view, of, worker) and recycled_in_time(view, of, worker, size)


def _ended(view: View, of: Replica, worker: Worker) -> list[Sequence[Point]]:
    """The memory of each worker that was replaced by this replica's master, over its life.

    Where earlier evidence does not count, a worker that began before does not: it was no new setting that ended it.
    """
    living = {str(w.pid) for w in of.workers}
    begun = of.started_at.timestamp() if of.started_at is not None else 0.0
    since = view.after.timestamp() if view.after is not None else 0.0
    found = []
    for label, points in view.series(metric_of(view, f"{of.id}/{worker.pid}")).items():
        replica, _, pid = label.rpartition("/")
        if replica != of.id or pid in living or not points or points[-1].at < begun:
            continue  # what ended with its master was not replaced by it
        if points[0].at >= since:
            found.append(points)
    return found
