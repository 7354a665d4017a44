"""The health check reaches the service, and the service says that it is not well.

What it means. The health endpoint answers 5xx: it found something that it needs out of order, and mostly says what.
The engine marks the container unhealthy; Kubernetes sends it no traffic, or starts it again.

What proves it. Docker: the latest answers of the check, all failed, with the status that the service gave.
Kubernetes: events of a probe that got 5xx. Where the service names the cause it is quoted.

What it is not. A check that is wrong itself (``probe-misconfigured``). A time-out, or nobody who listens: that is the
effect of something else. The first minute, and the check's own start period. A limit of concurrency that answers 503
(``Exceeded concurrency limit.``).

What to do. Follow what it names: the database, a queue, a disk.
"""

from __future__ import annotations

import re

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _health, _wording
from probes.model import HealthCheck

_STATUS = re.compile(
    r"(?:HTTP Error|returned error:|error: |HTTP/[12](?:\.[01])?\"?|status(?:[ _]?code)?[:= ]*|Server [Ee]rror '?) ?\(?"
    r"(?P<status>5\d\d)\b"
)
LIMIT = _wording.pattern("health/concurrency", r"Exceeded concurrency limit\.")


def detect(view: View) -> Verdict:
    """Fires where the service itself answers the check with 5xx."""
    if view.hits(LIMIT.key):
        return SILENT
    for replica in view.deployment.running:
        answers = _health.failed(view, replica)
        statuses = [found["status"] for answer in answers if (found := _STATUS.search(answer))]
        if answers and len(statuses) == len(answers):
            said = answers[-1].partition(":")[2].strip()[:160]
            return Fires(
                severity="error",
                title=f"the service answers its health check with {statuses[-1]}: {said}",
                evidence=tuple(Evidence("inspect", answer, replica=replica.id) for answer in answers),
                count=max(len(answers), replica.health.failing_streak if replica.health else 0),
                facts={"status": statuses[-1]},
            )
    return _health.from_events(view, ("5",), "error", "the service says that it is not well") or SILENT


def _sick(answer: str, streak: int = 3) -> HealthCheck:
    return HealthCheck("unhealthy", failing_streak=streak, test="CMD curl -f …", answers=(answer,) * 3)


_CURL = "exit 22: curl: (22) The requested URL returned error: 503"

SIGNATURE = Signature(
    id=SignatureId("probe-failing"),
    title="Health check says no",
    severity="error",
    detect=detect,
    remedies=(RemedyId("advise"), RemedyId("restart")),
    source="docs.docker.com/reference/dockerfile/#healthcheck; kubelet's prober (words of its events)",
    patterns=(*_health.PATTERNS, LIMIT),
    fires=(
        Example("curl", deployment=_cases.container(health=_sick(_CURL))),
        Example(
            "Python",
            deployment=_cases.container(
                health=_sick("exit 1: urllib.error.HTTPError: HTTP Error 503: Service Unavailable")
            ),
        ),
        Example("wget", deployment=_cases.container(health=_sick("exit 1: wget: server returned error: HTTP/1.1 500"))),
        Example(
            "a probe of Kubernetes",
            "Warning  Unhealthy  2m (x9 over 3m)  kubelet  Readiness probe failed: HTTP probe failed with statuscode: "
            "503\n",
        ),
    ),
    silent=(
        Example("no such path", deployment=_cases.container(health=_sick(_CURL.replace("503", "404")))),
        Example("a time-out", deployment=_cases.container(health=_sick("exit -1: Health check exceeded timeout (3s)"))),
        Example("nobody listens", deployment=_cases.container(health=_sick("exit 7: curl: (7) Failed to connect"))),
        Example("the first minute", deployment=_cases.container(health=_sick(_CURL), started_at=_cases.ago(30))),
        Example("twice", deployment=_cases.container(health=_sick(_CURL, streak=2))),
        Example(
            "a limit of concurrency", "WARNING:  Exceeded concurrency limit.\n", _cases.container(health=_sick(_CURL))
        ),
        Example(
            "a probe that timed out",
            'Warning  Unhealthy  2m  kubelet  Readiness probe failed: Get "http://10.0.0.1/health": context deadline '
            "exceeded\n",
        ),
    ),
)
