"""Nobody asks whether the service is well.

What it means. Docker: the engine, Compose (``depends_on: condition: service_healthy``) and a proxy that reads the
engine take the service for well as soon as its process runs, also while it starts, hangs or answers only errors.
Kubernetes: without a readiness probe a pod gets traffic as soon as its container runs, at each deploy before it can
answer; without a liveness probe nothing ends a process that hangs.

What proves it. A running container without a ``HEALTHCHECK``, in the image or in its configuration; a pod's description
without ``readinessProbe``, or without ``livenessProbe`` (which is advice).

What it is not. A local process, which no engine watches. A Job, which serves nobody. A health check that fails
(``probe-failing``).

What to do. A check of a cheap path, with a time to start.
"""

from __future__ import annotations

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import BY_SETTINGS
from fixes.signatures import _cases, _kubernetes
from probes.base import Value
from probes.model import HealthCheck


def detect(view: View) -> Verdict:
    """Fires for running containers of which the engine knows no health."""
    if view.deployment.kind in ("process", "Job"):
        return SILENT
    if _kubernetes.runs(view):
        return _of_pods(view)
    blind = [r for r in view.deployment.running if r.health is None and r.image_id is not None]
    if not blind:
        return SILENT
    return Fires(
        severity="info",
        title="the engine has no health check: it takes the service for well while its process runs",
        evidence=tuple(Evidence("inspect", "no HEALTHCHECK is configured", replica=r.id) for r in blind[:8]),
        count=len(blind),
    )


def _of_pods(view: View) -> Verdict:
    """By the pods' description: the worst that one of them lacks."""
    known = [replica for replica in view.deployment.replicas if replica.probes is not None]
    roles = {replica.id: {probe.role for probe in replica.probes or ()} for replica in known}
    deaf = [replica for replica in known if "readiness" not in roles[replica.id]]
    endless = [replica for replica in known if "liveness" not in roles[replica.id]]
    if not deaf and not endless:
        return SILENT
    if deaf:
        title = "there is no readiness probe: a pod gets traffic before it can answer"
        missing = "readinessProbe and livenessProbe are" if endless else "readinessProbe is"
    else:
        title = "there is no liveness probe: nothing ends a process that hangs"
        missing = "livenessProbe is"
    facts: dict[str, Value] = {"readiness": not deaf, "liveness": not endless}
    blind = deaf or endless
    some = f" in {len(blind)} of {len(known)} pods" if len(blind) < len(known) else ""
    return Fires(
        severity="warning" if deaf else "info",
        title=title,
        evidence=(Evidence("inspect", f"{missing} not configured{some}", replica=blind[0].id if some else None),),
        count=len(blind),
        facts=facts,
    )


SIGNATURE = Signature(
    id=SignatureId("probe-missing"),
    title="No health check",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("edit-probes"), RemedyId("advise")),
    proof=BY_SETTINGS,
    source="docs.docker.com/reference/dockerfile/#healthcheck; "
    "kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes",
    fires=(
        Example("a container", deployment=_cases.container(image_id="sha256:1")),
        Example(
            "one of two replicas",
            deployment=_cases.deployment(
                _cases.replica(image_id="sha256:1", health=HealthCheck("healthy")),
                _cases.replica(id="beef", image_id="sha256:1"),
            ),
        ),
        Example("a pod without any", deployment=_cases.workload(_cases.pod(probes=()))),
        Example("a pod without readiness", deployment=_cases.workload(_cases.pod(probes=(_cases.LIVENESS,)))),
        Example("a pod without liveness", deployment=_cases.workload(_cases.pod(probes=(_cases.READINESS,)))),
    ),
    silent=(
        Example("healthy", deployment=_cases.container(image_id="sha256:1", health=HealthCheck("healthy"))),
        Example("unhealthy", deployment=_cases.container(image_id="sha256:1", health=HealthCheck("unhealthy"))),
        Example("not inspected"),
        Example("a pod with both", deployment=_cases.workload()),
        Example("a Job", deployment=_cases.workload(_cases.pod(probes=()), kind="Job")),
        Example(
            "a pod that is told to go, while the new ones have both",
            deployment=_cases.workload(_cases.pod(), _cases.pod(id="b", probes=(), terminating=True)),
        ),
        Example("a local process", deployment=_cases.deployment(_cases.replica(image_id="x"), kind="process")),
    ),
)
