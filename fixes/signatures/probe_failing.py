"""The health check reaches the service, and the service says that it is not well.

What it means. The health endpoint answers 5xx: it found something that it needs out of order, and mostly says what.
The engine marks the container unhealthy; Kubernetes sends it no traffic, or starts it again.

What proves it. Docker: the latest answers of the check, all failed, with the status that the service gave.
Kubernetes: events of a probe that got 5xx, of a pod that is not ready a minute after its start or that was started
again for it; or fastops' own requests to the path of the readiness probe. Where the service names the cause it is
quoted.

What it is not. A check that is wrong itself (``probe-misconfigured``). A time-out, or nobody who listens: that is the
effect of something else. The first minute, and the check's own start period. A pod that is told to go, or that is ready
again. A limit of concurrency that answers 503 (``Exceeded concurrency limit.``).

What to do. Follow what it names: the database, a queue, a disk.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.signatures import _cases, _health, _kubernetes, _logged, _shared, _wording
from fixes.signatures._health import Told
from probes.base import ReplicaId
from probes.model import HealthCheck, HttpSample, Listener, Replica

LIMIT = _wording.unquoted("health/concurrency", r"Exceeded concurrency limit\.")


def detect(view: View) -> Verdict:
    """Fires where the service itself answers the check with 5xx."""
    if view.hits(LIMIT.key):
        return SILENT
    for replica in view.deployment.running:
        answers = _health.failed(view, replica)
        statuses = [found for answer in answers if (found := _health.status(answer)) and found.startswith("5")]
        if answers and len(statuses) == len(answers):
            said = answers[-1].partition(":")[2].strip()[:160]
            return Fires(
                severity="error",
                title=f"the service answers its health check with {statuses[-1]}: {said}",
                evidence=tuple(Evidence("inspect", answer, replica=replica.id) for answer in answers),
                count=max(len(answers), replica.health.failing_streak if replica.health else 0),
                facts={"status": statuses[-1]},
            )
    return _of_events(view) or _of_requests(view) or _of_others(view) or SILENT


def _of_events(view: View) -> Fires | None:
    """On the kubelet's events."""
    killed = {(place.replica, hit.fields["probe"]) for hit, place in _health.kills(view)}
    said = _health.told(view)
    found = [
        (one, code)
        for one in said
        if (code := _health.status(one.said)) is not None and code.startswith("5") and _counts(view, one, killed)
    ]
    found = [one for one in found if not _is_over(said, one[0])]
    if not found:
        return None
    latest, code = found[-1]
    quoted = _quoted(view, latest)
    return _logged.fires(
        view,
        [(one.hit, one.place) for one, _ in found],
        "error",
        f"the service says that it is not well: the {latest.probe} probe got {code}"
        + (f" ({quoted})" if quoted else ""),
        facts={"status": code, "probe": latest.probe},
    )


def _counts(view: View, one: Told, killed: set[tuple[ReplicaId, str]]) -> bool:
    """Whether a failed check is more than a moment's: the pod is not ready after its start, or was killed for it.

    The kubelet tells of the same failure again and again for a minute, and then every five.
    """
    if not _kubernetes.runs(view) or (one.place.replica, one.probe) in killed:
        return True
    replica = _shared.replica_of(view, one.place.replica)
    if replica is None or one.probe != "readiness" or replica.started_at is None:
        return False
    of_this_run = one.place.at is None or one.place.at >= replica.started_at
    return of_this_run and view.now - replica.started_at >= max(_health.START_UP, _delay(replica))


def _is_over(said: list[Told], one: Told) -> bool:
    """Whether the same check failed in another way since."""
    later = [x for x in said if (x.place.replica, x.probe) == (one.place.replica, one.probe)]
    return not (_health.status(later[-1].said) or "").startswith("5")


def _of_requests(view: View) -> Fires | None:
    """On what the path of the readiness probe answers fastops, where events cannot be read."""
    for replica in view.deployment.running:
        if replica.ready is not False or replica.probes is None or replica.started_at is None:
            continue
        if replica.held_by is not None or not _listens(replica):
            continue  # its own check passes, or what answered is another server
        since = replica.started_at + max(_health.START_UP, _delay(replica))
        paths = {probe.path for probe in replica.probes if probe.role == "readiness" and probe.handler == "http"}
        latest = [one for one in replica.health_probes if one.path in paths and one.at >= since][-_health.LEAST :]
        if len(latest) == _health.LEAST and all((one.status or 0) >= 500 for one in latest):
            last = latest[-1]
            said = f": {last.said}" if last.said else ""
            return Fires(
                severity="error",
                title=f"the service answers its readiness probe with {last.status}{said}"[:240],
                evidence=tuple(_evidence(replica, one) for one in latest),
                count=len(latest),
                first_at=latest[0].at,
                last_at=last.at,
                facts={"status": str(last.status), "probe": "readiness"},
            )
    return None


def _of_others(view: View) -> Undecided | None:
    """Where no pod takes traffic although the service passes its own check: the service cannot tell why."""
    running = view.deployment.running
    if any(replica.ready is not False for replica in running):
        return None
    for replica in running:
        settled = replica.started_at is not None and view.now - replica.started_at >= _health.START_UP
        if settled and replica.held_by is not None and replica.waiting is None:
            return Undecided(f"a look at what keeps its pods from traffic: {replica.held_by}")
    return None


def _listens(replica: Replica) -> bool:
    """Whether somebody listens on the port that the readiness probe asks, as far as the sockets are known."""
    asked = {probe.port for probe in replica.probes or () if probe.role == "readiness"}
    return replica.listeners is None or any(x.port in asked for x in replica.listeners)


def _delay(replica: Replica) -> timedelta:
    return timedelta(seconds=max((probe.initial_delay_seconds for probe in replica.probes or ()), default=0.0))


def _quoted(view: View, one: Told) -> str | None:
    """What the service said beside its status, when fastops asked."""
    replica = _shared.replica_of(view, one.place.replica)
    said = [sample.said for sample in replica.health_probes if sample.said] if replica is not None else []
    return said[-1][:160] if said else None


def _evidence(replica: Replica, sample: HttpSample) -> Evidence:
    said = f": {sample.said}" if sample.said else ""
    return Evidence("http", f"GET {sample.path} answered {sample.status}{said}", at=sample.at, replica=replica.id)


def _sick(answer: str, streak: int = 3) -> HealthCheck:
    return HealthCheck("unhealthy", failing_streak=streak, test="CMD curl -f …", answers=(answer,) * 3)


def _probed(what: str, seconds_ago: int = 20) -> str:
    """An event as a line, so long before what follows it."""
    at = _cases.ago(seconds_ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{at} Warning  Unhealthy  kubelet  {what}\n"


_CURL = "exit 22: curl: (22) The requested URL returned error: 503"
_503 = "HTTP probe failed with statuscode: 503"
_OLD = "Warning  Unhealthy  2m (x9 over 3m)  kubelet  "
_NO_DATABASE = tuple(
    HttpSample(_cases.ago(seconds), "/ready", 0.01, 503, said='{"detail": "database: connection refused"}')
    for seconds in (30, 20, 10)
)

SIGNATURE = Signature(
    id=SignatureId("probe-failing"),
    title="Health check says no",
    severity="error",
    detect=detect,
    remedies=(RemedyId("rollback"), RemedyId("restart"), RemedyId("advise")),
    source="docs.docker.com/reference/dockerfile/#healthcheck; kubelet's prober (words of its events)",
    patterns=(*_health.PATTERNS, LIMIT),
    explains=(SignatureId("crash-loop"),),
    fires=(
        Example("curl", deployment=_cases.container(health=_sick(_CURL))),
        Example(
            "Python",
            deployment=_cases.container(
                health=_sick("exit 1: urllib.error.HTTPError: HTTP Error 503: Service Unavailable")
            ),
        ),
        Example("wget", deployment=_cases.container(health=_sick("exit 1: wget: server returned error: HTTP/1.1 500"))),
        Example("a probe of Kubernetes", f"{_OLD}Readiness probe failed: {_503}\n"),
        Example(
            "a pod that is not ready",
            _probed(f"Readiness probe failed: {_503}"),
            deployment=_cases.workload(_cases.pod(ready=False, health_probes=_NO_DATABASE)),
        ),
        Example(
            "a pod that is not ready, and events cannot be read",
            deployment=_cases.workload(_cases.pod(ready=False, health_probes=_NO_DATABASE)),
        ),
        Example(
            "a pod that is started again for it before its first minute is over",
            _probed(f"Liveness probe failed: {_503}")
            + _probed("Container api failed liveness probe, will be restarted").replace(
                "Warning  Unhealthy", "Normal  Killing"
            ),
            deployment=_cases.workload(_cases.pod(ready=False, restarts=3, started_at=_cases.ago(25))),
        ),
    ),
    silent=(
        Example(
            "a pod that a container beside the service keeps from its traffic",
            deployment=_cases.workload(_cases.pod(ready=False, held_by="containers with unready status: [agent]")),
            undecided=True,
        ),
        Example(
            "likewise, while another pod serves",
            deployment=_cases.workload(
                _cases.pod(ready=False, held_by="containers with unready status: [agent]"), _cases.pod(id="b")
            ),
        ),
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
        Example("a pod that is ready again", _probed(f"Readiness probe failed: {_503}"), deployment=_cases.workload()),
        Example(
            "a pod's first minute",
            _probed(f"Readiness probe failed: {_503}"),
            deployment=_cases.workload(_cases.pod(ready=False, started_at=_cases.ago(50))),
        ),
        Example(
            "a pod that starts, while metrics answer",
            deployment=_cases.workload(
                _cases.pod(ready=False, health_probes=_NO_DATABASE, listeners=(Listener("::", 9100),))
            ),
        ),
        Example(
            "a pod that does not answer any more",
            _probed(f"Readiness probe failed: {_503}", 40)
            + _probed('Readiness probe failed: Get "http://10.0.0.7:8000/ready": context deadline exceeded'),
            deployment=_cases.workload(_cases.pod(ready=False)),
        ),
        Example(
            "a pod that is told to go",
            _probed(f"Readiness probe failed: {_503}"),
            deployment=_cases.workload(_cases.pod(ready=False, terminating=True), _cases.pod(id="b")),
        ),
        Example(
            "a liveness probe that failed once",
            _probed(f"Liveness probe failed: {_503}"),
            deployment=_cases.workload(),
        ),
    ),
)
