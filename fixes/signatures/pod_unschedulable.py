"""No node takes the pod, or a quota forbids it.

What it means. The scheduler finds no node with enough memory, CPU or the wanted labels, so the pod waits; or the
namespace's quota is used up and the pod is not made at all.

What proves it. ``0/N nodes are available`` with its reasons, or ``exceeded quota`` of a pod that was to be made.

What it is not. A pod that waits for less than two minutes, or for which an autoscaler adds a node just now. A pod that
was scheduled later.

What to do. Ask for less, free what nobody needs, or add a node; going back to a revision that fitted serves meanwhile.
"""

from __future__ import annotations

import re

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _logged, _shared, _wording

NO_NODE = _wording.pattern(
    "kubernetes/no-node", r"(?:^|[^0-9])0/\d+ nodes are available: (?P<why>[^\"]{0,300}?)(?:\. preemption|[\"']|$)"
)
QUOTA = _wording.pattern("kubernetes/quota", r"is forbidden: exceeded quota: (?P<quota>[^,\s]+),")
HELPED = _wording.pattern(
    "kubernetes/scheduled", r"Successfully assigned \S+ to |TriggeredScaleUp|pod triggered scale-up"
)
_YOUNG = re.compile(r"FailedScheduling\s+(?:\d{1,2}s|1m\d{0,2}s?)\s")


def detect(view: View) -> Verdict:
    """Fires on pods that were not scheduled later."""
    found = []
    for hit, place in _shared.places(view, NO_NODE, QUOTA):
        later = _shared.latest_line(view, place.replica, None, HELPED)
        if (later is None or later.line < place.line) and not _YOUNG.search(hit.sample):
            found.append((hit, place))
    if not found:
        return _shared.unseen(view)
    fields = found[-1][0].fields
    why = f"the quota {fields['quota']} is used up" if "quota" in fields else fields.get("why", "").strip(" .")
    return _logged.fires(view, found, "critical", f"no node takes the pod: {why}"[:240], count=1, facts={"why": why})


SIGNATURE = Signature(
    id=SignatureId("pod-unschedulable"),
    title="Pod cannot be scheduled",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("advise"),),
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
        Example("nodes are there", "3/3 nodes are available\n"),
    ),
)
