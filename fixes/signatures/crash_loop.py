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

from fixes.model import SILENT, Evidence, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _crash_loop_examples, _kubernetes, _logged, _shared, _wording
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
        held = replica.waiting is not None and (replica.state != "running" or replica.waiting.container is None)
        if held or (replica.restarts or 0) < TIMES:
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
    others = {r.id: r.waiting.container for r in looping if r.waiting and r.waiting.reason in _BACK_OFF}
    beside = next(filter(None, others.values()), None)
    own = [r for r in looping if others.get(r.id) is None]
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


SIGNATURE = Signature(
    id=SignatureId("crash-loop"),
    title="Crash loop",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("rollback"), RemedyId("advise")),
    proof=BY_START,
    source="Docker Engine API (events, RestartCount); kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle",
    patterns=(BACK_OFF,),
    fires=_crash_loop_examples.FIRES,
    silent=_crash_loop_examples.STAYS_SILENT,
)
