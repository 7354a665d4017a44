"""No node takes the pod, or a quota forbids it.

What it means. The scheduler finds no node with enough memory, CPU or the wanted labels, so the pod waits; or the
namespace's quota is used up and the pod is not made at all. Or scheduling gates hold it back: a controller (a queue
of jobs, an admission webhook) set them, and has to lift them before a node is looked for.

What proves it. The pod's condition ``PodScheduled`` is false with reason ``Unschedulable`` for two minutes; the
deployment's rollout says ``FailedCreate`` because of ``exceeded quota`` or a LimitRange. In pasted text ``0/N nodes are
available`` with its reasons, or ``exceeded quota`` of a pod that was to be made. For gates, reason ``SchedulingGated``
for 10 minutes, after which Kubernetes itself gives a rollout up: a warning, since a queue may be meant.

What it is not. A pod that waits for less than two minutes, or for which an autoscaler adds a node just now. A pod that
was scheduled later.

What to do. Ask for less, free what nobody needs, or add a node; see why a gate's controller does not lift it. Going
back to a revision that fitted serves meanwhile.
"""

from __future__ import annotations

import re
from datetime import timedelta

from fixes.model import Evidence, Example, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _cases, _kubernetes, _logged, _shared, _wording
from probes.model import Replica
from probes.orchestrator import Orchestrated, Rollout

NO_NODE = _wording.unquoted(
    "kubernetes/no-node", r"(?:^|[^0-9])0/\d+ nodes are available: (?P<why>[^\"]{0,300}?)(?:\. preemption|[\"']|$)"
)
QUOTA = _wording.unquoted("kubernetes/quota", r"is forbidden: exceeded quota: (?P<quota>[^,\s]+),")
HELPED = _wording.unquoted(
    "kubernetes/scheduled", r"Successfully assigned \S+ to |TriggeredScaleUp|pod triggered scale-up"
)
_YOUNG = re.compile(r"FailedScheduling\s+(?:\d{1,2}s|1m\d{0,2}s?)\s")


_REASON = frozenset({"Unschedulable"})
_FORBIDDEN = re.compile(
    r"exceeded quota: (?P<quota>[^,\s]+)|is forbidden: \[?(?P<range>(?:minimum|maximum) \w+ usage per .{1,150})"
)
LEAST = timedelta(minutes=2)
_GATED = frozenset({"SchedulingGated"})
LEAST_GATED = timedelta(minutes=10)
"""``progressDeadlineSeconds`` of a Deployment that says nothing else."""


def detect(view: View) -> Verdict:
    """Fires on pods that no node takes, or that may not be made."""
    verdict = _of_pods(view)
    if verdict is not None:
        return verdict
    found = [
        (hit, place)
        for hit, place in _shared.places(view, NO_NODE, QUOTA)
        if not _is_helped(view, place) and not _YOUNG.search(hit.sample) and not _has_status(view, place)
    ]
    if not found:
        return _kubernetes.unseen(view)
    fields = found[-1][0].fields
    why = f"the quota {fields['quota']} is used up" if "quota" in fields else fields.get("why", "").strip(" .")
    return _logged.fires(view, found, "critical", f"no node takes the pod: {why}"[:240], count=1, facts={"why": why})


def _of_pods(view: View) -> Verdict | None:
    """By the status of the pods, and of the rollout that should make them; ``None`` where these say nothing."""
    found = [(r, e) for r, e in _kubernetes.waiting(view, _REASON) if not _grows(view, r)]
    long = [(r, e) for r, e in found if e.at is None or view.now - e.at >= LEAST]
    if long:
        replica = long[0][0]
        why = _why((replica.waiting.message if replica.waiting is not None else None) or "")
        title = f"no node takes the pod: {why}" if why else "no node takes the pod"
        told = [evidence for _, evidence in long]
        return _logged.fires(view, (), "critical", title[:240], count=len(long), facts={"why": why}, more=told)
    gated = None if found else _gated(view)
    if isinstance(gated, Fires):
        return gated
    refused = _refused(view)
    if refused is not None:
        why, evidence = refused
        title = f"the pod may not be made: {why}"
        return _logged.fires(view, (), "critical", title[:240], count=1, facts={"why": why}, more=(evidence,))
    return Undecided("2 min of a pod that waits for a node") if found else gated


def _gated(view: View) -> Verdict | None:
    """Of pods that scheduling gates hold back."""
    found = [(r, e) for r, e in _kubernetes.waiting(view, _GATED) if not r.terminating]
    since = [e.at or r.created_at for r, e in found]
    waited = max((view.now - at for at in since if at is not None), default=None)
    if waited is None:
        return None
    if waited < LEAST_GATED:
        return Undecided("10 min of a pod that scheduling gates hold back")
    gates = next((r.waiting.message for r, _ in found if r.waiting is not None and r.waiting.message), "unnamed")
    title = f"scheduling gates have held the pod back for {_shared.duration(waited.total_seconds())}: {gates}"
    told = [e for _, e in found]
    return _logged.fires(view, (), "warning", title[:240], count=len(told), facts={"gates": gates}, more=told)


def _refused(view: View) -> tuple[str, Evidence] | None:
    """Why the controller may not make its pods, where its rollout says so."""
    rollout = view.deployment.orchestrated.rollout if view.deployment.orchestrated is not None else None
    if rollout is None or rollout.reason != "FailedCreate":
        return None
    found = _FORBIDDEN.search(rollout.message or "")
    if found is None:
        return None
    why = f"the quota {found['quota']} is used up" if found["quota"] else found["range"].strip("] ")
    return why, Evidence("inspect", f"{rollout.reason}: {rollout.message}"[:600])


def _why(message: str) -> str:
    """Of the scheduler's words the reasons, without the count of nodes and what it tried."""
    return message.partition(" nodes are available: ")[2].partition(". preemption")[0].strip(" .") or message


def _grows(view: View, replica: Replica) -> bool:
    """Whether an autoscaler adds a node for this pod."""
    return _shared.latest_line(view, replica.id, None, HELPED) is not None


def _has_status(view: View, place: _shared.At) -> bool:
    """Whether the pod of a line says itself how it is: ``kubectl describe`` tells of a pod without a node in events."""
    replica = _shared.replica_of(view, place.replica)
    return (
        _kubernetes.runs(view) and replica is not None and (replica.state != "created" or replica.waiting is not None)
    )


def _is_helped(view: View, place: _shared.At) -> bool:
    later = _shared.latest_line(view, place.replica, None, HELPED)
    return later is not None and later.line > place.line


_MEMORY = (
    "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims "
    "found for incoming pod."
)
_EXCEEDED = (
    'pods "api-7d4b9c-x2x1z" is forbidden: exceeded quota: small, requested: limits.memory=1Gi, used: '
    "limits.memory=1Gi, limited: limits.memory=1Gi"
)
_RANGE = 'pods "api-7d4b9c-x2x1z" is forbidden: maximum memory usage per Container is 512Mi, but limit is 1Gi'


def _failed(message: str) -> Orchestrated:
    return Orchestrated(rollout=Rollout(complete=False, reason="FailedCreate", message=message))


SIGNATURE = Signature(
    id=SignatureId("pod-unschedulable"),
    title="Pod cannot be scheduled",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("rollback"), RemedyId("advise")),
    proof=BY_START,
    source="kubernetes.io/docs/concepts/scheduling-eviction; kubernetes.io/docs/concepts/policy/resource-quotas",
    patterns=(NO_NODE, QUOTA, HELPED),
    fires=(
        Example(
            "memory",
            "Warning  FailedScheduling  5m  default-scheduler  0/3 nodes are available: 3 Insufficient memory. "
            "preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.\n",
        ),
        Example("in YAML", "    message: '0/1 nodes are available: 1 Insufficient cpu.'\n"),
        Example(
            "a quota",
            'Warning  FailedCreate  1m  replicaset-controller  Error creating: pods "api-1" is forbidden: exceeded '
            "quota: small, requested: limits.memory=1Gi, used: limits.memory=1Gi, limited: limits.memory=1Gi\n",
        ),
        Example("a pod that waits", deployment=_cases.workload(_cases.waiting("Unschedulable", 150, _MEMORY))),
        Example(
            "the pod of a new revision, while the former serves",
            deployment=_cases.workload(
                _cases.waiting("Unschedulable", 150, _MEMORY), _cases.pod(id="b", revision="5f6d7e")
            ),
        ),
        Example(
            "a described pod, of which nothing but its events tells",
            f"  Warning  FailedScheduling  5m  default-scheduler  {_MEMORY}\n",
            deployment=_cases.workload(_cases.pod(state="created", ready=False), kind="Pod", orchestrated=None),
        ),
        Example(
            "pods that a quota forbids",
            deployment=_cases.workload(_cases.pod(), desired=2, orchestrated=_failed(_EXCEEDED)),
        ),
        Example("pods that a LimitRange forbids", deployment=_cases.workload(orchestrated=_failed(_RANGE))),
        Example(
            "a pod behind a gate",
            deployment=_cases.workload(_cases.waiting("SchedulingGated", 700, "example.com/queue")),
        ),
    ),
    silent=(
        Example(
            "less than two minutes",
            "Warning  FailedScheduling  12s  default-scheduler  0/3 nodes are available: 3 Insufficient memory.\n",
        ),
        Example(
            "a node is being added",
            "Warning  FailedScheduling  5m  default-scheduler  0/3 nodes are available: 3 Insufficient cpu.\n"
            "Normal   TriggeredScaleUp  4m  cluster-autoscaler  pod triggered scale-up: [{pool 1->2 (max: 5)}]\n",
        ),
        Example(
            "it was scheduled later",
            "Warning  FailedScheduling  5m  default-scheduler  0/3 nodes are available: 3 Insufficient cpu.\n"
            "Normal   Scheduled  3m  default-scheduler  Successfully assigned shop/api-1 to node-2\n",
        ),
        Example(
            "a pod that waits for a minute",
            deployment=_cases.workload(_cases.waiting("Unschedulable", 60, _MEMORY)),
            undecided=True,
        ),
        Example(
            "a pod behind a gate, for a minute",
            deployment=_cases.workload(_cases.waiting("SchedulingGated", 60, "example.com/queue")),
            undecided=True,
        ),
        Example(
            "a pod for which a node is being added",
            "Normal  TriggeredScaleUp  cluster-autoscaler  pod triggered scale-up: [{pool 1->2 (max: 5)}]\n",
            deployment=_cases.workload(_cases.waiting("Unschedulable", 150, _MEMORY)),
        ),
        Example(
            "a pod that has a node by now",
            f"Warning  FailedScheduling  default-scheduler  {_MEMORY}\n",
            deployment=_cases.workload(),
        ),
        Example(
            "pods that cannot be made for another reason",
            deployment=_cases.workload(orchestrated=_failed('serviceaccount "api" not found')),
        ),
        Example("nodes are there", "3/3 nodes are available\n"),
    ),
)
