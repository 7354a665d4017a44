"""The health path answers 200 while the service's database is down.

What it means. Whoever asks this path (the engine, a proxy, Kubernetes' readiness) sends requests to a service that
cannot answer them.

What proves it. The service's own log says that its database cannot be reached (``db-unreachable``), and at the same
time the health path answered fastops with success, each of the last three times.

What it is not. A liveness path (``/live``, ``/livez``), which should not fail for a dependency. A database that is
back: its last failure is older than two minutes.

What to do. A readiness path beside the liveness path that tests the connection, with a time-out, and does not print
the exception.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, db_unreachable
from probes.model import HttpSample

FRESH = timedelta(minutes=2)
LEAST = 3


def detect(view: View) -> Verdict:
    """Fires where the database is out of reach by the log, and health says that all is well."""
    asked = [(r, [p for p in r.health_probes if p.at >= view.start][-LEAST:]) for r in view.deployment.running]
    asked = [(r, latest) for r, latest in asked if len(latest) == LEAST and all(_well(p) for p in latest)]
    if not asked:
        return SILENT
    down = db_unreachable.detect(view)
    if not isinstance(down, Fires) or down.last_at is None or view.now - down.last_at > FRESH:
        return SILENT
    replica, latest = asked[0]
    if down.first_at is not None and latest[0].at < down.first_at:
        return SILENT
    said = Evidence("http", f"GET {latest[-1].path} answered {latest[-1].status}", at=latest[-1].at, replica=replica.id)
    return Fires(
        severity="info",
        title=f"{latest[-1].path} says that all is well while the database cannot be reached",
        evidence=(said, *down.evidence[-2:]),
    )


def _well(probe: HttpSample) -> bool:
    return probe.status is not None and probe.status < 300 and "live" not in probe.path


def _probes(path: str = "/health", status: int = 200) -> tuple[HttpSample, ...]:
    return tuple(HttpSample(_cases.ago(seconds), path, 0.01, status) for seconds in (25, 20, 15))


_DOWN = (
    "2026-11-22T09:00:00Z asyncpg.connect failed\n"
    "2026-11-22T09:00:01Z sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server at "
    '"10.0.0.3", port 5432 failed: Connection refused\n'
)

SIGNATURE = Signature(
    id=SignatureId("health-ignores-dependencies"),
    title="Health path ignores the database",
    severity="info",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes",
    patterns=db_unreachable.SIGNATURE.patterns,
    fires=(
        Example("a health path", _DOWN, _cases.container(health_probes=_probes())),
        Example("a readiness path", _DOWN, _cases.container(health_probes=_probes("/ready", 204))),
    ),
    silent=(
        Example("a liveness path", _DOWN, _cases.container(health_probes=_probes("/livez"))),
        Example("health says no", _DOWN, _cases.container(health_probes=_probes(status=503))),
        Example("the database is there", "INFO: up\n", _cases.container(health_probes=_probes())),
        Example("nobody asked", _DOWN),
    ),
)
