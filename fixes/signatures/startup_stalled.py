"""The application's start-up does not come to an end: it neither completes nor fails.

What it means. The lifespan's start-up (or a start-up event) waits for something without a time-out: a database, a
broker, a lock, a model that is downloaded. Until it returns, the server accepts no request. On Kubernetes an init
container can wait just so (``wait-for-it``, a migration behind a lock): the pod stays in ``Init:0/1``.

What proves it. ``Waiting for application startup.`` more than 60 s ago, and since then neither ``Application startup
complete.`` nor a failure nor another start, while the container runs and its CPU is idle. Or the pod's status: an init
container has been running for 10 minutes, after which Kubernetes itself gives a rollout up
(``progressDeadlineSeconds``). That is a warning: its log is not read, and a large migration may take that long.

What it is not. A start that computes (CPU busy), or one that takes as long as earlier starts did. One of several
workers, while others came up. A sidecar among the init containers, which never ends.

What to do. See where it waits (profile), and give each wait in the lifespan a time-out; read the init container's log.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import SILENT, Example, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _cases, _kubernetes, _logged, _loop, _shared, _wording
from probes.base import Value
from probes.loghits import LogHit
from probes.model import Replica
from probes.orchestrator import Waiting

LONG = timedelta(seconds=60)
LONG_INIT = timedelta(minutes=10)
"""``progressDeadlineSeconds`` of a Deployment that says nothing else (kubernetes.io/docs/concepts/workloads)."""
_INITIALISING = frozenset({"PodInitializing"})
_ENDS = (_wording.STARTED, *_wording.BOOT_FAILURES, _wording.STOPPING, _wording.BOOTING, _wording.TIMED_OUT)


def detect(view: View) -> Verdict:
    """Fires for replicas whose latest start waits for more than a minute, and for pods that wait for their init."""
    logged = _of_logs(view)
    if isinstance(logged, Fires):
        return logged
    beforehand = _of_init(view)
    return logged if beforehand is SILENT else beforehand


def _of_logs(view: View) -> Verdict:
    found, unknown = [], False
    for replica in view.deployment.running:
        waits = _shared.latest_line(view, replica.id, None, _wording.WAITING)
        if waits is None or waits.at is None or view.now - waits.at < max(LONG, _usual(view, replica)):
            continue
        ends = _shared.latest_line(view, replica.id, None, *_ENDS)
        if (ends is not None and ends.line > waits.line) or (replica.started_at or waits.at) > waits.at + LONG:
            continue
        busy = _loop.busy(replica)
        unknown = unknown or busy is None
        if busy is False:
            found += [(hit, waits) for hit in _hits(view, replica)]
    if not found:
        return Undecided("the CPU of its workers") if unknown else SILENT
    waited = max((view.now - place.at).total_seconds() for _, place in found if place.at is not None)
    title = f"the application's start-up has not ended for {_shared.duration(waited)}"
    return _logged.fires(view, found, "error", title, count=1, facts={"waited_seconds": round(waited)})


def _of_init(view: View) -> Verdict:
    """By the status of the pods whose init containers run."""
    found = [
        (evidence, view.now - evidence.at, replica.waiting.container)
        for replica, evidence in _kubernetes.waiting(view, _INITIALISING)
        if replica.waiting is not None and replica.waiting.container and evidence.at and not replica.terminating
    ]
    if not found:
        return SILENT
    _, waited, name = max(found, key=lambda one: one[1])
    lasted = _shared.duration(waited.total_seconds())
    if waited < LONG_INIT:
        return Undecided(f"10 min of the init container {name}, {lasted} seen")
    told = [evidence for evidence, so_long, _ in found if so_long >= LONG_INIT]
    facts: dict[str, Value] = {"waited_seconds": round(waited.total_seconds()), "init_container": name or ""}
    title = f"the pod's init container {name} has not ended for {lasted}"
    return _logged.fires(view, (), "warning", title, count=len(told), facts=facts, more=told)


def _hits(view: View, replica: Replica) -> list[LogHit]:
    return [h for h in view.deployment.hits if h.key == _wording.WAITING.key and h.replica == replica.id]


def _usual(view: View, replica: Replica) -> timedelta:
    """How long the longest earlier start of this replica took."""
    waits = sorted((m.line, m.at) for h in _hits(view, replica) for m in h.marks if m.at is not None)
    longest = timedelta()
    for hit in view.deployment.hits:
        if hit.key != _wording.STARTED.key or hit.replica != replica.id:
            continue
        for mark in hit.marks:
            begun = [at for line, at in waits if line < mark.line]
            if mark.at is not None and begun:
                longest = max(longest, mark.at - begun[-1])
    return longest * 1.5


def _init(seconds: float, terminating: bool = False) -> Replica:
    """A pod whose init container has been running for so long."""
    told = Waiting("PodInitializing", "init container wait has not ended", _cases.ago(seconds), "wait")
    return _cases.waiting("PodInitializing", seconds, waiting=told, terminating=terminating)


_WAITS = "2026-11-22T09:00:00Z INFO:     Waiting for application startup.\n"
_DONE = "INFO:     Application startup complete.\n"
_IDLE = _cases.container(workers=(_cases.worker(cpu_percent=1.0),))
# What follows dates the text: its last line that matters was written half a minute ago.
_NOW = "2026-11-22T09:05:00Z Worker (pid:1) was sent SIGKILL!\n"

SIGNATURE = Signature(
    id=SignatureId("startup-stalled"),
    title="Start-up does not end",
    severity="error",
    detect=detect,
    remedies=(RemedyId("profile"), RemedyId("edit-probes"), RemedyId("advise")),
    proof=BY_START,
    source="uvicorn/lifespan/on.py (0.17 to 0.54): it waits for the application without a limit",
    patterns=(_wording.WAITING, *_ENDS),
    fires=(
        Example("five minutes", _WAITS + _NOW, deployment=_IDLE),
        Example(
            "longer than before",
            "2026-11-22T08:59:00Z Waiting for application startup.\n2026-11-22T08:59:09Z " + _DONE + _WAITS + _NOW,
            deployment=_IDLE,
        ),
        Example("an init container that waits", deployment=_cases.workload(_init(620))),
        Example("one of a rollout that does not get on", deployment=_cases.workload(_init(7200), _cases.pod(id="b"))),
    ),
    silent=(
        Example("it completed", _WAITS + "2026-11-22T09:04:00Z " + _DONE + _NOW, deployment=_IDLE),
        Example("it failed", _WAITS + "2026-11-22T09:05:00Z Application startup failed. Exiting.\n", deployment=_IDLE),
        Example("half a minute", _WAITS, deployment=_IDLE),
        Example("it computes", _WAITS + _NOW, deployment=_cases.container(workers=(_cases.worker(cpu_percent=99.0),))),
        Example("its container ended", _WAITS + _NOW, deployment=_cases.container(state="exited")),
        Example(
            "earlier starts took as long",
            "2026-11-22T08:50:00Z Waiting for application startup.\n2026-11-22T08:54:50Z " + _DONE + _WAITS + _NOW,
            deployment=_IDLE,
        ),
        Example("an init container that has just begun", deployment=_cases.workload(_init(90)), undecided=True),
        Example("a pod that was told to go", deployment=_cases.workload(_init(900, terminating=True))),
        Example("an image that is being pulled", deployment=_cases.workload(_cases.waiting("PodInitializing", 900))),
        Example("its CPU is not known", _WAITS + _NOW, undecided=True),
    ),
)
