"""The container ends soon after each start and is started again.

What it means. Its process exits, by an error at the start or by a crash, and the restart policy starts it anew, with
growing pauses. Nobody is served, or only for moments.

What proves it. Three or more starts by the engine within 10 minutes, each after the process ended by itself; the
engine's count of restarts of a container that is not older than that; ``CrashLoopBackOff`` or ``Back-off restarting
failed container`` of Kubernetes.

What it is not. One restart after a deploy. Starts that a person asked for (``docker restart``). Names of tests or
alerts that contain the word.

What to do. Read why it ends: a finding that explains it stands above this one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fixes.model import Evidence, Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _logged, _shared, _wording
from probes.model import Event, Replica

BACK_OFF = _wording.pattern(
    "kubernetes/crash-loop",
    r"(?:^|[\s\":=])CrashLoopBackOff(?:[\s\",:]|$)|Back-off (?:\S+ )?restarting failed container",
)
TIMES = 3
WITHIN = timedelta(minutes=10)


def detect(view: View) -> Verdict:
    """Fires on replicas that their engine starts again and again."""
    told = [evidence for replica in view.deployment.replicas for evidence in _restarts(view, replica)]
    found = list(_shared.places(view, BACK_OFF))
    if not told and not found:
        return _shared.unseen(view)
    times = sum(int(e.value or 0) for e in told) or len(found)
    codes = {r.exit_code for r in view.deployment.replicas if r.exit_code and told}
    code = f" with exit code {codes.pop()}" if len(codes) == 1 else ""
    return _logged.fires(
        view, found, "critical", f"it ends{code} soon after each start and is started again", count=times, more=told
    )


def _restarts(view: View, replica: Replica) -> list[Evidence]:
    starts = [at for at in _by_engine(replica.events) if at >= max(view.start, view.now - WITHIN)]
    count = len(starts)
    born = replica.created_at
    counted = replica.restarts or 0
    if count < TIMES and counted >= TIMES and born is not None and view.now - born <= WITHIN:
        count = counted
    if count < TIMES:
        return []
    text = f"started again {count} times within 10 min"
    at = starts[-1] if starts else replica.started_at
    return [Evidence("event", text, at=at, replica=replica.id, value=float(count), unit="restarts")]


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


SIGNATURE = Signature(
    id=SignatureId("crash-loop"),
    title="Crash loop",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="Docker Engine API (events, RestartCount); kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle",
    patterns=(BACK_OFF,),
    fires=(
        Example("three starts in three minutes", deployment=_cases.container(events=_loop(3), exit_code=3)),
        Example(
            "five restarts of a young container",
            deployment=_cases.container(state="restarting", restarts=5, created_at=_cases.ago(120), exit_code=1),
        ),
        Example("kubectl get pods", "api-7d4b9c-x2x1z   0/1     CrashLoopBackOff   6 (2m ago)   9m\n"),
        Example(
            "an event", "Warning  BackOff  2m (x9 over 9m)  kubelet  Back-off restarting failed container api in pod\n"
        ),
        Example("kubectl describe", "      Reason:       CrashLoopBackOff\n"),
    ),
    silent=(
        Example("one restart", "INFO: up\n", deployment=_cases.container(events=_loop(1), restarts=1)),
        Example("by a person", "INFO: up\n", deployment=_cases.container(events=_loop(5, asked=True))),
        Example("seldom", "INFO: up\n", deployment=_cases.container(events=_loop(3, every=290))),
        Example("long ago", "INFO: up\n", deployment=_cases.container(restarts=7)),
        Example("a test's name", "test_oom.py::test_classify_exit_code[1-CrashLoopBackOff] PASSED          [ 42%]\n"),
    ),
)
