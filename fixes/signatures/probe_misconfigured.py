"""The health check cannot succeed although the service answers, or it ends what works.

What it means. The check asks the wrong port, a path that does not exist, or with a program that the image does not
have; or it allows less time than the answer, or the start, takes. Whoever believes it restarts a service that works, or
keeps traffic away from it.

What proves it. Docker: the latest answers of the check, all failed, and their words: the program was not found, the
path answers 404 or 405, nothing listens on the asked port while the server listens on another, or the check exceeds
its time-out while the same service answers fastops at once. Kubernetes: events of a probe that got an answer which no
state of the service changes (404, 401, 400, …), that speaks HTTP to HTTPS, asks a host that does not exist, or is
refused on a port while the server listens on another; ``timeoutSeconds`` below what the health endpoint takes while
everything else is quick; ``Container … failed liveness probe, will be restarted`` while nothing else shows that the
service is down, or before the application had started.

What it is not. A service that says no (``probe-failing``), or that is down, or still starting. A time-out while the
event loop is blocked or the CPU is busy, and a kill for which the service has a reason of its own: that one is found.
A readiness probe of a pod that is ready again.

What to do. Ask the port on which it listens, a path that exists, with what the image has; give a slow start a startup
probe. Readiness is never moved to a path that tests less.
"""

from __future__ import annotations

import re

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _cases, _health, _loop, _pod_checks, _wording
from fixes.signatures._probing import NO_PROGRAM
from probes.model import Deployment, HealthCheck, HttpSample, Listener, Replica

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
    return _pod_checks.judge(view) or SILENT


def _why(view: View, replica: Replica, answers: tuple[str, ...]) -> str | None:
    latest = answers[-1]
    missing = NO_PROGRAM.search(latest)
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


def _event(what: str, seconds_ago: float = 40, why: str = "Unhealthy") -> str:
    """An event as a line, dated."""
    at = _cases.ago(seconds_ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{at} {'Normal' if why == 'Killing' else 'Warning'}  {why}  kubelet  {what}\n"


def _slow(seconds: float, loop_seconds: float = 0.01) -> Deployment:
    """A pod that is not ready, whose health endpoint takes so long."""
    asked = tuple(HttpSample(_cases.ago(10.0 * i), "/ready", seconds, 200) for i in (4, 3, 2, 1))
    loop = tuple(HttpSample(_cases.ago(10.0 * i), "/.fastops/loop", loop_seconds, 404) for i in (4, 3, 2, 1))
    return _cases.workload(_cases.pod(ready=False, health_probes=asked, loop_probes=loop, workers=_IDLE))


_IDLE = (_cases.worker(cpu_percent=1.0),)
_IP = "10.0.0.7"
_TIMED_OUT = f'probe failed: Get "http://{_IP}:8000/ready": context deadline exceeded (Client.Timeout exceeded)'
_REFUSED_80 = f'probe failed: Get "http://{_IP}:80/ready": dial tcp {_IP}:80: connect: connection refused'
_REFUSED_8000 = _REFUSED_80.replace(":80", ":8000")
_KILL = "Container api failed liveness probe, will be restarted"
_UP = "INFO:     Application startup complete.\nINFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C)\n"
_EARLY = _cases.workload(
    _cases.pod(
        ready=False, restarts=2, started_at=_cases.ago(20), last_end=_cases.ended("Error", 137, 21, 60), sampled_at=None
    )
)
_QUICK = _cases.workload(
    _cases.pod(
        restarts=1,
        started_at=_cases.ago(29),
        health_probes=tuple(HttpSample(_cases.ago(i), "/health", 0.01, 200) for i in (9, 6, 3)),
    )
)

_LISTENS = (Listener("0.0.0.0", 8000),)  # noqa: S104 - what servers in containers listen on
_REFUSAL = "exit 1: curl: (7) Failed to connect to localhost port 80 after 0 ms: Couldn't connect to server"

SIGNATURE = Signature(
    id=SignatureId("probe-misconfigured"),
    title="Health check that cannot succeed",
    severity="error",
    detect=detect,
    remedies=(RemedyId("edit-probes"), RemedyId("advise")),
    proof=BY_START,
    source="docs.docker.com/reference/dockerfile/#healthcheck; kubelet's prober (words of its events)",
    patterns=(*_health.PATTERNS, _wording.LISTENING, _wording.STARTED, _wording.WAITING, _wording.BOOTING),
    explains=(SignatureId("crash-loop"),),
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
        Example(
            "a pod whose path does not exist",
            _event("Readiness probe failed: HTTP probe failed with statuscode: 404"),
            deployment=_cases.workload(_cases.pod(ready=False)),
        ),
        Example(
            "a pod whose port nobody listens on, by its sockets",
            _event(f"Readiness {_REFUSED_80}"),
            deployment=_cases.workload(_cases.pod(ready=False, listeners=_LISTENS), settings={"port": 8000}),
        ),
        Example(
            "a pod whose port nobody listens on, by the server's word",
            _event(f"Liveness {_REFUSED_80}") + _UP,
            deployment=_cases.workload(_cases.pod(ready=False)),
        ),
        Example(
            "HTTP to HTTPS",
            _event(
                'Readiness probe failed: Get "https://10.0.0.7:8000/": http: server gave HTTP response to HTTPS client'
            ),
            deployment=_cases.workload(_cases.pod(ready=False)),
        ),
        Example(
            "a program that the image does not have",
            _event(
                "Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to "
                'exec in container: failed to start exec "9": exec: "curl": executable file not found in $PATH: unknown'
            ),
            deployment=_cases.workload(_cases.pod(ready=False)),
        ),
        Example("less time than the health endpoint takes", _event(f"Readiness {_TIMED_OUT}"), deployment=_slow(1.8)),
        Example(
            "a slow start that is never allowed to end",
            _event(f"Liveness {_REFUSED_8000}", 31) + _event(_KILL, 30, "Killing"),
            deployment=_EARLY,
        ),
        Example(
            "kills of a service that answers",
            _event(f"Liveness {_TIMED_OUT}", 31) + _event(_KILL, 30, "Killing"),
            deployment=_QUICK,
        ),
        Example(
            "kills, by events alone",
            "Warning  Unhealthy  2m (x9 over 9m)  kubelet  Liveness probe failed: dial tcp 10.0.0.7:8000: i/o timeout\n"
            f"Normal   Killing    1m (x3 over 9m)  kubelet  {_KILL}\n",
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
        Example(
            "a pod that is ready",
            _event("Readiness probe failed: HTTP probe failed with statuscode: 404"),
            deployment=_cases.workload(),
        ),
        Example(
            "a pod that starts",
            _event(f"Readiness {_REFUSED_8000}"),
            deployment=_cases.workload(_cases.pod(ready=False, started_at=_cases.ago(35))),
        ),
        Example(
            "a pod that starts, while metrics listen",
            _event(f"Startup {_REFUSED_8000}"),
            deployment=_cases.workload(
                _cases.pod(ready=False, started_at=_cases.ago(45), listeners=(Listener("::", 9100),)),
                settings={"port": 8000},
            ),
        ),
        Example(
            "a pod that listens on loopback",
            _event(f"Liveness {_REFUSED_8000}", 31) + _event(_KILL, 30, "Killing"),
            deployment=_cases.workload(_cases.pod(ready=False, listeners=(Listener("127.0.0.1", 8000),))),
        ),
        Example(
            "the service says no, and is ended for it",
            _event("Liveness probe failed: HTTP probe failed with statuscode: 503", 31) + _event(_KILL, 30, "Killing"),
            deployment=_EARLY,
        ),
        Example(
            "it lacks a setting, and is ended before it says so again",
            _event("KeyError: \"Config 'SECRET_KEY' is missing, and has no default.\"", 60, "api")
            + _event(f"Liveness {_REFUSED_8000}", 31)
            + _event(_KILL, 30, "Killing"),
            deployment=_EARLY,
        ),
        Example(
            "the event loop is blocked", _event(f"Readiness {_TIMED_OUT}"), deployment=_slow(4.8, loop_seconds=4.8)
        ),
        Example(
            "kills of a service that did not answer fastops either",
            _event(f"Liveness {_TIMED_OUT}", 31) + _event(_KILL, 30, "Killing"),
            deployment=_QUICK,
            series={"loop-seconds": {_cases.POD: _cases.points((-60, 5.0), (-50, 5.0))}},
            undecided=True,
        ),
    ),
)
