"""Reads what health checks answered: the engine's on Docker, the kubelet's events in pasted text."""

from __future__ import annotations

from datetime import timedelta

from fixes.model import Fires, Severity, View
from fixes.signatures import _logged, _shared, _wording
from probes.model import Replica

PROBED = _wording.pattern(
    "kubernetes/probe-status",
    r"(?P<probe>Liveness|Readiness|Startup) probe failed: HTTP probe failed with status ?code: (?P<status>\d{3})",
)
PATTERNS = (PROBED,)
START_UP = timedelta(seconds=60)
LEAST = 3


def failed(view: View, replica: Replica) -> tuple[str, ...]:
    """The latest answers of a check that is unhealthy, if they failed throughout and it had time to start."""
    health = replica.health
    if health is None or health.status != "unhealthy" or health.failing_streak < LEAST:
        return ()
    if replica.started_at is None or view.now - replica.started_at < START_UP:
        return ()
    latest = health.answers[-LEAST:]
    return latest if latest and all(not answer.startswith("exit 0:") for answer in latest) else ()


def from_events(view: View, statuses: tuple[str, ...], severity: Severity, title: str) -> Fires | None:
    """A finding on the kubelet's events with one of these statuses (or their first digit)."""
    found = [
        (hit, place)
        for hit, place in _shared.places(view, PROBED)
        if any(hit.fields.get("status", "").startswith(status) for status in statuses)
    ]
    if not found:
        return None
    fields = found[-1][0].fields
    probe, status = fields.get("probe", "").lower(), fields.get("status", "")
    return _logged.fires(view, found, severity, f"{title}: the {probe} probe got {status}", facts={"status": status})
