"""The kernel ended the server or one of its workers for want of memory.

What it means. The control group reached its memory limit (or the machine ran out), the kernel chose a process and
killed it at once. Requests in flight are lost. If it was the main process, the container ends with exit code 137 and
starts again by its restart policy; if it was a worker, the master starts another and the engine sees nothing, or
(hypercorn's) ends with the worker, in order and with exit code 0. It is critical where it comes to this again, or where
nothing of the service runs since.

What proves it. Docker's ``State.OOMKilled`` of a container that ended in the window; an ``oom`` event of the engine
with a death beside it; the control group's ``oom_kill`` counter rising while a worker died; on Kubernetes ``reason:
OOMKilled`` of a run that ended in the window (since 1.28 the kernel ends all processes of the container together).

What it is not. Exit code 137 alone is SIGKILL: ``docker stop`` past its grace period, ``kill -9``, a supervisor, the
kubelet after a failed liveness probe or an eviction. Docker's flag beside another exit code, or after an end that was
asked for: it tells that some process of the container was killed so, at any time; with exit code 0 or 143 only an
``oom`` event within 5 s of an end that nobody asked for is proof. A flag, a ``lastState`` or an exit
from before the window is history. A helper process that the kernel killed while server and workers
live on is not this either, nor is it when a worker ends for another reason more than 30 s before or after.

What to do. Give it the memory that it needs, or find what grows; recycling workers bounds a slow leak.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from fixes.model import SILENT, Evidence, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _kubernetes, _oom_killed_examples, _shared, _wording
from fixes.signatures._shared import NEAR, Rise
from probes.model import Replica

_LOST = (_wording.KILLED, _wording.KILLED_BEFORE_21, _wording.CHILD_DIED, _wording.TIMED_OUT)
_IN_ORDER = (0, 143)
"""Ends that were asked for: engines call them OOMKilled where any process of the container was ever killed so."""
_ENDED = ("exited", "dead", "restarting")
KILLED = 137
"""128 + SIGKILL."""
DOCKER_GRACE_SECONDS = 10.0
"""Between TERM and KILL of ``docker stop``, unless it is told otherwise."""
SLACK = timedelta(seconds=5)
"""Between what the engine tells of one thing in several ways, and between a kill and the end that it leads to."""
ONE_KILL = timedelta(seconds=1)
"""Between two events of one kill: Docker Engine 20.10 told three in a second where a worker died once."""
_BY_SIGNAL = _shared.keys((_wording.KILLED, _wording.KILLED_BEFORE_21))
"""What these lines say is a kill even where nobody knows when they were written."""


def detect(view: View) -> Verdict:
    """Fires when the kernel killed for memory and a server or worker died of it within the window."""
    rises = _shared.oom_rises(view)
    evidence: list[Evidence] = []
    deaths, unclear = 0, False
    for replica, end, told_of in _kubernetes.ends(view):
        if end.reason == "OOMKilled" and end.exit_code not in _IN_ORDER:
            evidence.append(told_of)
            deaths += _again(view, replica)
    of_pods = {e.replica for e in evidence}
    for replica in view.deployment.replicas:
        told = _engine(view, replica)
        counted, doubt = _counter(view, replica, rises.get(replica.id))
        unclear = unclear or (doubt and not told)
        evidence += told + counted
        if (told or counted) and replica.id not in of_pods:
            deaths += max(_kills(rises.get(replica.id)) or _moments(told), 1)  # the kernel counts right
    if evidence:
        return _fires(view, evidence, deaths)
    return Undecided("whether a server or a worker died when the kernel killed for memory") if unclear else SILENT


def _again(view: View, replica: Replica) -> int:
    """How often it came to this in the window, as far as a pod's status tells, which names the end of one run alone.

    A run that began in the window after another one ended then, too.
    """
    restarts, end = replica.restarts or 0, replica.last_end
    if replica.created_at is not None and replica.created_at >= view.start:
        return max(1, restarts)
    began = end.started_at if end is not None else None
    return 2 if restarts > 1 and began is not None and began >= view.start else 1


def _moments(told: Sequence[Evidence]) -> int:
    """How often the engine's events tell of a kill: of one it tells several times within the same second."""
    counted: list[datetime] = []
    for at in sorted(e.at for e in told if e.source == "event" and e.at is not None):
        if not counted or at - counted[-1] > ONE_KILL:
            counted.append(at)
    return len(counted)


def _kills(rise: Rise | None) -> int:
    return rise.by if rise else 0


def _engine(view: View, replica: Replica) -> list[Evidence]:
    """What the engine itself says: its flag on a container that ended in the window, and its events."""
    found: list[Evidence] = []
    ended = replica.finished_at
    if replica.oom_killed and ended is not None and ended >= view.start and _by_kernel(replica, ended):
        code = f", exit code {replica.exit_code}" if replica.exit_code else ""
        found.append(Evidence("inspect", f"State.OOMKilled is true{code}", at=ended, replica=replica.id))
    for event in replica.events:
        if event.kind != "oom" or event.at < view.start:
            continue
        ended_with_it = _ended_with(replica, event.at)
        if ended_with_it or _died(view, replica, Rise(1, event.at, 1, ((event.at, event.at),))):
            text = "oom: out of memory" + (", and the container ended at once" if ended_with_it else "")
            found.append(Evidence("event", event.text or text, at=event.at, replica=replica.id))
    return found


def _by_kernel(replica: Replica, ended: datetime) -> bool:
    """Whether the main process itself ended by SIGKILL that nobody asked for: the flag may be of any process."""
    return replica.exit_code in (None, KILLED) and not _asked_for(replica, ended)


def _asked_for(replica: Replica, ended: datetime) -> bool:
    grace = timedelta(seconds=replica.stop_signal_timeout_seconds or DOCKER_GRACE_SECONDS) + SLACK
    return any(e.kind in ("kill", "stop") and ended - grace <= e.at <= ended + SLACK for e in replica.events)


def _ended_with(replica: Replica, killed: datetime) -> bool:
    """Whether the container ended, by itself and with whatever code, as the kernel killed a process of it.

    hypercorn's parent ends in order when its worker is killed. Beyond these seconds an orderly end is another matter.
    """
    ends = [e.at for e in replica.events if e.kind == "die"]
    if replica.state in _ENDED and replica.finished_at is not None:
        ends.append(replica.finished_at)
    return any(abs(ended - killed) <= SLACK and not _asked_for(replica, ended) for ended in ends)


def _counter(view: View, replica: Replica, rise: Rise | None) -> tuple[list[Evidence], bool]:
    """The control group's counter where a death goes with it; and whether that could not be told."""
    if rise is None:
        return [], False
    if _died(view, replica, rise):
        value = float(rise.seen)
        text = f"oom_kill of the control group rose by {rise.by}"
        return [Evidence("cgroup", text, at=rise.at, replica=replica.id, value=value, unit="kills")], False
    known = [w for w in replica.workers if w.started_at is not None]
    return [], not known


def _died(view: View, replica: Replica, rise: Rise) -> bool:
    """Whether the main process or a worker died about then: by the engine, by the log, by a worker that is younger."""
    if any(e.kind == "die" and e.exit_code not in _IN_ORDER and rise.near(e.at) for e in replica.events):
        return True
    ended = replica.state in _ENDED and replica.exit_code not in _IN_ORDER
    if ended and rise.near(replica.finished_at):
        return True
    if any(
        hit.replica == replica.id and (rise.near(place.at) or (place.at is None and hit.key in _BY_SIGNAL))
        for hit, place in _shared.places(view, *_LOST)
    ):
        return True
    begun = replica.started_at
    return any(
        rise.near(w.started_at) and (begun is None or w.started_at is None or w.started_at > begun + NEAR)
        for w in _shared.serving(replica)
        if w.role == "worker"
    )


def _fires(view: View, evidence: list[Evidence], deaths: int) -> Fires:
    replicas = [_shared.replica_of(view, e.replica) for e in evidence if e.replica is not None]
    limits = [
        r.memory.limit.value for r in replicas if r is not None and r.memory.limit.limited and r.memory.limit.value
    ]
    limit = min(limits, default=None)
    pids = [hit.fields.get("pid", "") for hit in view.hits(_wording.KILLED.key, _wording.KILLED_BEFORE_21.key)]
    main = any(e.source == "inspect" for e in evidence)
    who = "the server" if main or not pids else f"worker {pids[-1]}"
    at_limit = f" at its limit of {_shared.mebibytes(limit)}" if limit else ""
    seen = _shared.seen(view, deaths)
    moments = sorted(e.at for e in evidence if e.at is not None)
    down = all(r.state in ("exited", "dead") for r in view.deployment.replicas)
    facts: dict[str, str | int | float | bool] = {"main_process": main}
    peaks = [r.memory.peak_bytes for r in replicas if r is not None and r.memory.peak_bytes]
    if limit:
        facts["limit_bytes"] = int(limit)
    if peaks:
        facts["peak_bytes"] = max(peaks)
    return Fires(
        severity="critical" if deaths > 1 or down else "error",
        title=f"{who} was killed by the kernel for memory{at_limit}{seen}",
        evidence=tuple(evidence[-8:]),
        count=max(1, deaths),
        first_at=moments[0] if moments else None,
        last_at=moments[-1] if moments else None,
        facts=facts,
    )


SIGNATURE = Signature(
    id=SignatureId("oom-killed"),
    title="Killed by the kernel for memory",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("set-memory-limit"), RemedyId("enable-worker-recycling"), RemedyId("set-workers")),
    proof=Proof(happens=True),
    source="Linux cgroup v1 memory.oom_control and v2 memory.events; Docker Engine API, ContainerState.OOMKilled",
    patterns=_LOST,
    explains=(SignatureId("worker-sigkill"), SignatureId("worker-timeout"), SignatureId("crash-loop")),
    fires=_oom_killed_examples.FIRES,
    silent=_oom_killed_examples.STAYS_SILENT,
)
