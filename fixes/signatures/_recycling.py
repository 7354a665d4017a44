"""Whether workers are replaced before they grow too large: ``max_requests``, and how earlier workers ended."""

from __future__ import annotations

from datetime import UTC, datetime

from fixes.model import View
from fixes.signatures import _shared
from probes.history import Metric
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
    living = {str(w.pid) for w in of.workers}
    metric = metric_of(view, f"{of.id}/{worker.pid}")
    kills = _shared.oom_rise(view, of)
    begun = of.started_at.timestamp() if of.started_at is not None else 0.0
    teeth = False
    for label, points in view.series(metric).items():
        replica, _, pid = label.rpartition("/")
        if replica != of.id or pid in living or not points or points[-1].at < begun:
            continue  # what ended with its master was not replaced by it
        if kills is not None and kills.near(datetime.fromtimestamp(points[-1].at, UTC)):
            return False
        teeth = teeth or max(p.value for p in points) >= AS_FAR * size_bytes
    return teeth
