"""What Kubernetes says of a replica as a status: it ends when what it tells of ends, as events and logs do not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from fixes.counted import ORCHESTRATED
from fixes.model import SILENT, Evidence, Verdict, View
from fixes.signatures import _shared
from fixes.signatures._shared import At
from fixes.signatures._slope import LEAST_POINTS, steady_growth
from probes.model import Replica
from probes.orchestrator import Ended

_WARM_UP = timedelta(seconds=60)
_LEAST_RISE_BYTES = 4 << 20
NEVER_BEGAN = frozenset({"StartError", "ContainerCannotRun"})
"""Ends of containers whose process could not even be run: containerd's word, and the one of before."""


def runs(view: View) -> bool:
    """Whether Kubernetes keeps the replicas, so that they have a status."""
    return view.deployment.kind in ORCHESTRATED


def waiting(view: View, reasons: frozenset[str]) -> Iterator[tuple[Replica, Evidence]]:
    """The replicas that wait for one of these reasons, with the reason as evidence."""
    for replica in view.deployment.replicas:
        why = replica.waiting
        if why is not None and why.reason in reasons:
            text = f"{why.reason}: {why.message}" if why.message else why.reason
            yield replica, Evidence("inspect", text[:600], at=why.since, replica=replica.id)


def ends(view: View) -> Iterator[tuple[Replica, Ended, Evidence]]:
    """The replicas of which a run ended in the window, with how it did."""
    for replica in view.deployment.replicas:
        end = replica.last_end
        if end is None or end.at is None or end.at < view.start:
            continue
        code = f", exit code {end.exit_code}" if end.exit_code is not None else ""
        said = f": {end.message}" if end.message else ""
        text = f"its last run ended as {end.reason or 'unknown'}{code}{said}"
        yield replica, end, Evidence("inspect", text[:600], at=end.at, replica=replica.id)


def unseen(view: View) -> Verdict:
    """Silent where a status would tell; elsewhere only where the logs were read."""
    return SILENT if runs(view) else _shared.unseen(view)


def was_made(view: View, place: At) -> bool:
    """Whether the container of a line has been made by now: its image was pulled, and what it needs was there."""
    replica = _shared.replica_of(view, place.replica)
    return is_gone(view, place) or (replica is not None and replica.state != "created")


def is_gone(view: View, place: At) -> bool:
    """Whether a line is about a pod that others have taken the place of: the status of those tells how they fare."""
    return bool(view.deployment.replicas) and _shared.replica_of(view, place.replica) is None


def grows_unseen(view: View, replica: Replica, seconds: float) -> bool:
    """Whether a pod whose processes cannot be seen grew for so long: it may be page cache, which its figures count."""
    if replica.workers or not runs(view):
        return False
    begun = (replica.started_at + _WARM_UP).timestamp() if replica.started_at is not None else 0.0
    points = [p for p in view.series("memory-used").get(replica.id, ()) if p.at >= begun]
    long = len(points) >= LEAST_POINTS and points[-1].at - points[0].at >= seconds
    return long and steady_growth(points, _LEAST_RISE_BYTES) is not None
