"""The health check cannot succeed, although the service answers.

What it means. The check asks the wrong port, a path that does not exist, or with a program that the image does not
have; or it allows less time than the answer takes. Whoever believes it restarts a service that works, or keeps
traffic away from it.

What proves it. Docker: the latest answers of the check, all failed, and their words: the program was not found, the
path answers 404 or 405, nothing listens on the asked port while the server listens on another, or the check exceeds
its time-out while the same service answers fastops at once. Kubernetes: events of a probe that got 404, or that speaks
HTTP to HTTPS.

What it is not. A service that says no (``probe-failing``), or that is down, or still starting. A time-out while the
event loop is blocked or the CPU is busy.

What to do. Ask the port on which it listens, a path that exists, with what the image has.
"""

from __future__ import annotations

import re

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _health, _loop
from probes.model import HealthCheck, HttpSample, Listener, Replica

_NO_PROGRAM = re.compile(
    r"exec: \"?(?P<program>[^\s\":]+)\"?: executable file not found|sh: (?:\d+: )?(?P<shell>[\w.\-]+): not found"
)
_NOT_THERE = re.compile(
    r"(?:HTTP Error|returned error:|HTTP/1\.[01]\"?|status(?:code)?:?|Client Error) ?\(?(?P<status>40[45])\b"
)
_REFUSED = re.compile(r"(?i)connection refused|couldn't connect to server|failed to connect to|\(7\)")
_EXCEEDED = re.compile(r"Health check exceeded timeout \((?P<limit>[^)]+)\)")
_PORT = re.compile(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])[:\s,'\"]+(?P<port>\d{2,5})\b")
_QUICK_SECONDS = 0.5


def detect(view: View) -> Verdict:
    """Fires where the check's own words, beside what the service does, show that the check is wrong."""
    for replica in view.deployment.running:
        answers = _health.failed(view, replica)
        why = _why(view, replica, answers) if answers else None
        if why is not None:
            return _fires(replica, answers, why)
    return _health.from_events(view, ("404", "405", "400"), "error", "the probe asks for what is not there") or SILENT


def _why(view: View, replica: Replica, answers: tuple[str, ...]) -> str | None:
    latest = answers[-1]
    missing = _NO_PROGRAM.search(latest)
    if missing:
        return f"the image has no {missing['program'] or missing['shell']}"
    if latest.startswith(("exit 126:", "exit 127:")):
        return "its program is not in the image, or may not be run"
    absent = _NOT_THERE.search(latest)
    if absent:
        return f"the path that it asks for answers {absent['status']}"
    asked = _PORT.search((replica.health.test if replica.health else None) or "")
    ports = {x.port for x in replica.listeners or ()}
    if asked and ports and _REFUSED.search(latest) and int(asked["port"]) not in ports:
        return f"it asks port {asked['port']}, and the server listens on {', '.join(map(str, sorted(ports)))}"
    exceeded = _EXCEEDED.search(latest)
    if exceeded and _answers_at_once(view, replica):
        return f"it takes longer than its time-out of {exceeded['limit']} although the service answers at once"
    return None


def _answers_at_once(view: View, replica: Replica) -> bool:
    """Whether loop and health path were quick each time that fastops asked, with a CPU that is not busy."""
    asked = [p for p in (*replica.loop_probes, *replica.health_probes) if p.at >= view.start]
    quick = all(p.error is None and p.took_seconds < _QUICK_SECONDS for p in asked)
    healthy = [p for p in replica.health_probes if p.at >= view.start and p.status is not None and p.status < 400]
    return len(healthy) >= 3 and quick and _loop.busy(replica) is False


def _fires(replica: Replica, answers: tuple[str, ...], why: str) -> Fires:
    test = replica.health.test if replica.health else None
    evidence = [Evidence("inspect", answer, replica=replica.id) for answer in answers[-3:]]
    if test:
        evidence.append(Evidence("inspect", f"test: {test}", replica=replica.id))
    return Fires("error", f"the health check cannot succeed: {why}", tuple(evidence), count=len(answers))


def _sick(answer: str, test: str = "CMD curl -f http://localhost:8000/health") -> HealthCheck:
    return HealthCheck("unhealthy", failing_streak=3, test=test, answers=(answer,) * 3)


def _quick(count: int = 3) -> tuple[HttpSample, ...]:
    return tuple(HttpSample(_cases.ago(30.0 * (count - i)), "/health", 0.01, 200) for i in range(count))


_LISTENS = (Listener("0.0.0.0", 8000),)  # noqa: S104 - what servers in containers listen on
_REFUSAL = "exit 1: curl: (7) Failed to connect to localhost port 80 after 0 ms: Couldn't connect to server"

SIGNATURE = Signature(
    id=SignatureId("probe-misconfigured"),
    title="Health check that cannot succeed",
    severity="error",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="docs.docker.com/reference/dockerfile/#healthcheck; kubelet's prober (words of its events)",
    patterns=_health.PATTERNS,
    fires=(
        Example(
            "curl is not in the image",
            deployment=_cases.container(health=_sick("exit 127: /bin/sh: 1: curl: not found"), listeners=_LISTENS),
        ),
        Example(
            "the runtime's words",
            deployment=_cases.container(
                health=_sick(
                    'exit -1: OCI runtime exec failed: exec: "curl": executable file not found in $PATH: unknown'
                )
            ),
        ),
        Example(
            "no such path",
            deployment=_cases.container(health=_sick("exit 22: curl: (22) The requested URL returned error: 404")),
        ),
        Example(
            "another port",
            deployment=_cases.container(
                health=_sick(_REFUSAL, "CMD curl -f http://localhost:80/health"), listeners=_LISTENS
            ),
        ),
        Example(
            "less time than its own start takes",
            deployment=_cases.container(
                health=_sick("exit -1: Health check exceeded timeout (50ms)"),
                health_probes=_quick(),
                workers=(_cases.worker(cpu_percent=1.0),),
            ),
        ),
        Example(
            "a probe of Kubernetes",
            "Warning  Unhealthy  2m  kubelet  Readiness probe failed: HTTP probe failed with statuscode: 404\n",
        ),
    ),
    silent=(
        Example("the service says no", deployment=_cases.container(health=_sick("exit 22: returned error: 503"))),
        Example("nothing listens yet", deployment=_cases.container(health=_sick(_REFUSAL), listeners=())),
        Example(
            "it is refused on its own port",
            deployment=_cases.container(health=_sick(_REFUSAL.replace("port 80", "port 8000")), listeners=_LISTENS),
        ),
        Example(
            "a time-out, and nobody knows why",
            deployment=_cases.container(health=_sick("exit -1: Health check exceeded timeout (3s)")),
        ),
        Example(
            "one failure",
            deployment=_cases.container(
                health=HealthCheck("healthy", answers=("exit 0: ok", "exit 127: /bin/sh: 1: curl: not found"))
            ),
        ),
    ),
)
