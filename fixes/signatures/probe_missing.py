"""The engine has no health check for this container.

What it means. The engine, Compose (``depends_on: condition: service_healthy``) and a proxy that reads the engine take
the service for well as soon as its process runs, also while it starts, hangs or answers nothing but errors.

What proves it. A running container without a ``HEALTHCHECK``, in the image or in its configuration.

What it is not. A local process, which no engine watches. A health check that fails (``probe-failing``).

What to do. A check of a cheap path, with a time to start.
"""

from __future__ import annotations

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases
from probes.model import HealthCheck


def detect(view: View) -> Verdict:
    """Fires for running containers of which the engine knows no health."""
    if view.deployment.kind == "process":
        return SILENT
    blind = [r for r in view.deployment.running if r.health is None and r.image_id is not None]
    if not blind:
        return SILENT
    return Fires(
        severity="info",
        title="the engine has no health check: it takes the service for well while its process runs",
        evidence=tuple(Evidence("inspect", "no HEALTHCHECK is configured", replica=r.id) for r in blind[:8]),
        count=len(blind),
    )


SIGNATURE = Signature(
    id=SignatureId("probe-missing"),
    title="No health check",
    severity="info",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="docs.docker.com/reference/dockerfile/#healthcheck",
    fires=(
        Example("a container", deployment=_cases.container(image_id="sha256:1")),
        Example(
            "one of two replicas",
            deployment=_cases.deployment(
                _cases.replica(image_id="sha256:1", health=HealthCheck("healthy")),
                _cases.replica(id="beef", image_id="sha256:1"),
            ),
        ),
    ),
    silent=(
        Example("healthy", deployment=_cases.container(image_id="sha256:1", health=HealthCheck("healthy"))),
        Example("unhealthy", deployment=_cases.container(image_id="sha256:1", health=HealthCheck("unhealthy"))),
        Example("not inspected"),
        Example("a local process", deployment=_cases.deployment(_cases.replica(image_id="x"), kind="process")),
    ),
)
