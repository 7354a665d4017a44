"""The container ends soon after each start and is started again.

What it means. Its process exits, by an error at the start or by a crash, and the restart policy starts it anew, with
growing pauses. Nobody is served, or only for moments.

What proves it. Three or more starts by the engine within 10 minutes, each after the process ended by itself; the
engine's count of restarts of a container that is not older than that. On Kubernetes ``CrashLoopBackOff`` as the reason
for which a container waits; in a pod that runs again for a moment its count of restarts and ``Back-off restarting
failed container`` tell the same.

What it is not. One restart after a deploy. Starts that a person asked for (``docker restart``), and those of a local
process that nothing supervises: a developer's Ctrl-C looks the same. A pod or a
container that has by now run for a minute and twice as long as its failed runs. Names of tests or alerts that contain
the word.

What to do. Read why it ends: a finding that explains it stands above this one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fixes.model import SILENT, Evidence, Example, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _cases, _kubernetes, _logged, _shared, _wording
from probes.model import Deployment, Event, Replica

BACK_OFF = _wording.unquoted(
    "kubernetes/crash-loop",
    r"(?:^|[\s\":=])CrashLoopBackOff(?:[\s\",:]|$)|Back-off (?:\S+ )?restarting failed container"
    r"(?:[ =](?P<container>[a-z0-9][a-z0-9-]{0,62}))?",
)
TIMES = 3
WITHIN = timedelta(minutes=10)
_BACK_OFF = frozenset({"CrashLoopBackOff"})
_LEAST_RUN = timedelta(seconds=60)


def detect(view: View) -> Verdict:
    """Fires on replicas that their engine starts again and again."""
    if _kubernetes.runs(view):
        return _of_pods(view)
    told = [evidence for replica in view.deployment.replicas for evidence in _restarts(view, replica)]
    if not _has_supervisor(view.deployment):
        told = []
    found = list(_shared.places(view, BACK_OFF))
    if not told and not found:
        return _shared.unseen(view)
    times = sum(int(e.value or 0) for e in told) or len(found)
    codes = {r.exit_code for r in view.deployment.replicas if r.exit_code and told}
    code = f" with exit code {codes.pop()}" if len(codes) == 1 else ""
    return _logged.fires(
        view, found, "critical", f"it ends{code} soon after each start and is started again", count=times, more=told
    )


def _has_supervisor(deployment: Deployment) -> bool:
    """Whether something starts it anew by itself. Of a process of nobody's a person may end and start it at will."""
    origin = deployment.origin
    return deployment.kind != "process" or (origin is not None and not origin.startswith("user@"))


def _of_pods(view: View) -> Verdict:
    """By the status of each pod's container; while it runs again nobody can tell whether it ends again."""
    told = [evidence for _, evidence in _kubernetes.waiting(view, _BACK_OFF)]
    lasting: timedelta | None = None
    for replica in view.deployment.replicas:
        if replica.waiting is not None or (replica.restarts or 0) < TIMES:
            continue
        young = replica.created_at is not None and view.now - replica.created_at <= WITHIN
        ran, needed = _run(view, replica)
        if young and ran < needed:
            text = f"started again {replica.restarts} times within 10 min"
            told.append(Evidence("inspect", text, at=replica.started_at, replica=replica.id, unit="restarts"))
        elif ran < needed:
            lasting = max(lasting or needed, needed)
    if not told:
        if lasting is not None:
            return Undecided(f"{_shared.duration(lasting.total_seconds())} of its running")
        return Undecided(f"whether {between} runs on") if (between := _between_runs(view)) is not None else SILENT
    looping = [r for r in view.deployment.replicas if r.id in {e.replica for e in told}]
    beside = next((r.waiting.container for r in looping if r.waiting is not None and r.waiting.container), None)
    own = [r for r in looping if r.waiting is None or r.waiting.container is None]
    codes = {r.last_end.exit_code for r in own if r.last_end is not None and r.last_end.exit_code is not None}
    code = f" with exit code {codes.pop()}" if len(codes) == 1 else ""
    ends = [evidence for replica, _, evidence in _kubernetes.ends(view) if replica in own]
    what = "it" if own or beside is None else f"the container {beside} of its pods"
    return _logged.fires(
        view,
        list(_shared.places(view, BACK_OFF)),
        "critical",
        f"{what} ends{code} soon after each start and is started again",
        count=max(1, sum(r.restarts or 0 for r in looping)),
        more=[*told, *ends],
    )


def _between_runs(view: View) -> str | None:
    """The container beside a serving one that the kubelet held back lately: it runs for a moment, or for good."""
    for hit, place in _shared.places(view, BACK_OFF):
        name, replica = hit.fields.get("container"), _shared.replica_of(view, place.replica)
        lately = place.at is not None and view.now - place.at <= WITHIN
        if name and replica is not None and name in (replica.beside or ()) and lately:
            return f"the container {name}"
    return None


def _run(view: View, replica: Replica) -> tuple[timedelta, timedelta]:
    """How long it has been running, and how long it must to have come through: twice as long as before its last end.

    The kubelet forgets former ends after 10 min of running; so much is enough in any case.
    """
    end = replica.last_end
    if end is None or end.at is None:
        return timedelta(), timedelta()
    before = timedelta() if end.started_at is None else end.at - end.started_at
    ran = timedelta() if replica.started_at is None or replica.state != "running" else view.now - replica.started_at
    return ran, min(max(_LEAST_RUN, 2 * before), WITHIN)


def _restarts(view: View, replica: Replica) -> list[Evidence]:
    starts = [at for at in _by_engine(replica.events) if at >= max(view.start, view.now - WITHIN)]
    count = len(starts)
    born = replica.created_at
    counted = replica.restarts or 0
    if count < TIMES and counted >= TIMES and born is not None and view.now - born <= WITHIN:
        count = counted
    if count < TIMES or _came_through(view, replica):
        return []
    text = f"started again {count} times within 10 min"
    at = starts[-1] if starts else replica.started_at
    return [Evidence("event", text, at=at, replica=replica.id, value=float(count), unit="restarts")]


def _came_through(view: View, replica: Replica) -> bool:
    """Whether a container has run twice as long as the longest run that ended, and beyond the engine's pauses.

    These are a minute at most. Where the engine has forgotten its events, all that came before the last end counts.
    """
    if replica.state != "running" or replica.started_at is None:
        return False
    began = replica.started_at
    runs: list[timedelta] = []
    start: datetime | None = None
    for event in replica.events:
        if event.kind == "start":
            start, began = event.at, max(began, event.at)
        elif event.kind == "die":
            if start is not None:
                runs.append(event.at - start)
            start = None
    if any(event.kind == "die" and event.at > began for event in replica.events):
        return False
    if not runs:
        if replica.created_at is None or replica.finished_at is None:
            return False
        return view.now - began >= max(_LEAST_RUN, replica.finished_at - replica.created_at)
    return view.now - began >= max(_LEAST_RUN, 2 * max(runs))


def _by_engine(events: tuple[Event, ...]) -> list[datetime]:
    """Starts that follow an end which nobody asked for."""
    found: list[datetime] = []
    died = asked = False
    for event in events:
        if event.kind == "die":
            died = True
        elif event.kind in ("stop", "kill", "restart"):
            asked = True
        elif event.kind == "start":
            if died and not asked:
                found.append(event.at)
            died = asked = False
    return found


def _loop(times: int, *, asked: bool = False, every: float = 60) -> tuple[Event, ...]:
    events: list[Event] = []
    for index in range(times, 0, -1):
        if asked:
            events.append(_cases.event("kill", every * index + 2))
        events.append(_cases.event("die", every * index + 1, 3))
        events.append(_cases.event("start", every * index))
    return tuple(events)


def _short(*starts: float) -> tuple[Event, ...]:
    return tuple(one for at in starts for one in (_cases.event("die", at + 1, 3), _cases.event("start", at)))


_HELD = "containers with unready status: [agent]"
_AGENT = "Warning  BackOff  kubelet  Back-off restarting failed container agent in pod api-7d4b9c-x2x1z_shop(1)\n"

SIGNATURE = Signature(
    id=SignatureId("crash-loop"),
    title="Crash loop",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("rollback"), RemedyId("advise")),
    proof=BY_START,
    source="Docker Engine API (events, RestartCount); kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle",
    patterns=(BACK_OFF,),
    fires=(
        Example("three starts in three minutes", deployment=_cases.container(events=_loop(3), exit_code=3)),
        Example(
            "five restarts of a young container",
            deployment=_cases.container(state="restarting", restarts=5, created_at=_cases.ago(120), exit_code=1),
        ),
        Example(
            "a container that runs for half a minute after three failed starts",
            deployment=_cases.container(events=_short(70, 55, 30), restarts=3, started_at=_cases.ago(30)),
        ),
        Example(
            "runs of a minute each, and more than that since the last start",
            deployment=_cases.container(events=_short(216, 153, 90), restarts=3, started_at=_cases.ago(90)),
        ),
        Example(
            "a process of a systemd unit",
            deployment=_cases.deployment(_cases.replica(events=_loop(3)), kind="process", origin="api.service"),
        ),
        Example("kubectl get pods", "api-7d4b9c-x2x1z   0/1     CrashLoopBackOff   6 (2m ago)   9m\n"),
        Example(
            "an event", "Warning  BackOff  2m (x9 over 9m)  kubelet  Back-off restarting failed container api in pod\n"
        ),
        Example("kubectl describe", "      Reason:       CrashLoopBackOff\n"),
        Example(
            "a pod that waits to be started again",
            deployment=_cases.workload(
                _cases.waiting(
                    "CrashLoopBackOff",
                    40,
                    "back-off 40s restarting failed container=api pod=api-7d4b9c-x2x1z_shop(1)",
                    restarts=3,
                    last_end=_cases.ended("Error", 3, 41, 2),
                )
            ),
        ),
        Example(
            "a young pod that runs for the fifth time",
            deployment=_cases.workload(
                _cases.pod(
                    restarts=4,
                    created_at=_cases.ago(400),
                    started_at=_cases.ago(5),
                    last_end=_cases.ended("Error", 1, 50, 20),
                )
            ),
        ),
        Example(
            "a container beside the one that serves",
            deployment=_cases.workload(
                _cases.pod(ready=False, beside=("agent",), held_by=_HELD, waiting=_cases.of_another("CrashLoopBackOff"))
            ),
        ),
    ),
    silent=(
        Example(
            "a container that has come through",
            "INFO: up\n",
            deployment=_cases.container(
                events=_short(240, 225, 200), restarts=3, created_at=_cases.ago(250), started_at=_cases.ago(200)
            ),
        ),
        Example(
            "likewise, and the engine has forgotten its events",
            "INFO: up\n",
            deployment=_cases.container(
                restarts=3, created_at=_cases.ago(300), finished_at=_cases.ago(240), started_at=_cases.ago(239)
            ),
        ),
        Example("one restart", "INFO: up\n", deployment=_cases.container(events=_loop(1), restarts=1)),
        Example("by a person", "INFO: up\n", deployment=_cases.container(events=_loop(5, asked=True))),
        Example(
            "a developer's server",
            "INFO: up\n",
            deployment=_cases.deployment(_cases.replica(events=_loop(5), restarts=5), kind="process"),
        ),
        Example("seldom", "INFO: up\n", deployment=_cases.container(events=_loop(3, every=290))),
        Example("long ago", "INFO: up\n", deployment=_cases.container(restarts=7)),
        Example(
            "a pod that was restarted once, after a deploy",
            "Warning  BackOff  kubelet  Back-off restarting failed container api in pod api-7d4b9c-x2x1z\n",
            deployment=_cases.workload(
                _cases.pod(
                    restarts=1,
                    created_at=_cases.ago(90),
                    started_at=_cases.ago(60),
                    last_end=_cases.ended("Error", 1, 70, 10),
                )
            ),
        ),
        Example(
            "a container beside it that runs for a moment, or for good",
            f"{_cases.ago(20):%Y-%m-%dT%H:%M:%SZ} {_AGENT}",
            deployment=_cases.workload(_cases.pod(beside=("agent",))),
            undecided=True,
        ),
        Example(
            "an older pod that runs again, and nobody knows for how long",
            deployment=_cases.workload(
                _cases.pod(restarts=9, started_at=_cases.ago(20), last_end=_cases.ended("Error", 1, 320, 30))
            ),
            undecided=True,
        ),
        Example(
            "a pod that has come through",
            "Warning  BackOff  kubelet  Back-off restarting failed container api in pod api-7d4b9c-x2x1z\n",
            deployment=_cases.workload(
                _cases.pod(restarts=9, started_at=_cases.ago(300), last_end=_cases.ended("Error", 1, 400, 30))
            ),
        ),
        Example(
            "a pod of a former revision",
            deployment=_cases.workload(_cases.pod(), _cases.waiting("CrashLoopBackOff", id="b", revision="5f6d7e")),
        ),
        Example(
            "a pod that is told to go",
            deployment=_cases.workload(_cases.pod(), _cases.waiting("CrashLoopBackOff", id="b", terminating=True)),
        ),
        Example("a test's name", "test_oom.py::test_classify_exit_code[1-CrashLoopBackOff] PASSED          [ 42%]\n"),
    ),
)
