"""A container without a memory limit.

What it means. A leak or a burst takes what the whole machine has. Then the kernel chooses a victim among all processes
of the machine, and it need not be this one.

What proves it. The engine's configuration of a running container, or its control group, without a limit. Where a pod
of the same deployment was evicted in the window because the node ran out of memory, and used more than it had asked
for, the kubelet's words stand beside it.

What it is not. A process on the machine itself, which has no limit of an engine. A limit that could not be read. A pod
to which a LimitRange gave one when it was made. A VerticalPodAutoscaler is no limit: it scales those that stand, and
sets none where there is none.

What to do. A limit of 1.5 times the most that was seen in use, 512 MiB at least.
"""

from __future__ import annotations

import re

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases
from probes.model import UNLIMITED, Limit, Memory, Replica
from probes.orchestrator import Orchestrated

_PRESSED = re.compile(r"low on resource: memory\b.*\bwas using \S+, request is ")
"""Source: kubelet, pkg/kubelet/eviction/helpers.go (1.20 to 1.34): the second half only where it uses more."""


def detect(view: View) -> Verdict:
    """Fires for running containers that are known to have no limit."""
    if view.deployment.kind == "process":
        return SILENT
    free = [r for r in view.deployment.running if r.memory.limit.limited is False]
    if not free:
        return SILENT
    evicted = _evicted(view)
    what = "the node ran out of memory and evicted a pod" if evicted else "a leak takes what the whole machine has"
    plain = (Evidence("inspect", "no memory limit is set", at=r.sampled_at, replica=r.id) for r in free[:8])
    return Fires(
        severity="warning",
        title=f"no memory limit: {what}",
        evidence=(*evicted[:4], *plain),
        count=len(free),
    )


def _evicted(view: View) -> list[Evidence]:
    """The pods that had to go for the node's memory and used more than they had asked for."""
    return [
        Evidence("inspect", r.error or "", at=r.finished_at, replica=r.id)
        for r in view.deployment.replicas
        if _PRESSED.search(r.error or "") and (r.finished_at is None or r.finished_at >= view.start)
    ]


def _gone() -> Replica:
    return _cases.pod(
        state="exited",
        ready=False,
        finished_at=_cases.ago(60),
        memory=Memory(limit=UNLIMITED),
        error="Evicted: The node was low on resource: memory. Threshold quantity: 100Mi, available: 88Mi. Container "
        "api was using 900Mi, request is 64Mi, has larger consumption of memory.",
    )


SIGNATURE = Signature(
    id=SignatureId("memory-unlimited"),
    title="No memory limit",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("set-memory-limit"),),
    proof=Proof("settings", shown=lambda d: all(r.memory.limit.limited is not None for r in d.running)),
    source="docs.docker.com/engine/containers/resource_constraints; "
    "kubernetes.io/docs/concepts/configuration/manage-resources-containers",
    fires=(
        Example("a container", deployment=_cases.container(memory=Memory(limit=UNLIMITED))),
        Example(
            "one of two replicas",
            deployment=_cases.deployment(
                _cases.replica(memory=Memory(limit=Limit(limited=True, value=1e9))),
                _cases.replica(id="beef", memory=Memory(limit=UNLIMITED)),
            ),
        ),
        Example("a pod", deployment=_cases.workload(_cases.pod(memory=Memory(limit=UNLIMITED)))),
        Example(
            "beside one that had to go for the node's memory",
            deployment=_cases.workload(_gone(), _cases.pod(id="b", memory=Memory(limit=UNLIMITED))),
        ),
        Example(
            "a pod whose requests an autoscaler sets",
            deployment=_cases.workload(
                _cases.pod(memory=Memory(limit=UNLIMITED)), orchestrated=Orchestrated(vertical_autoscaler="api")
            ),
        ),
    ),
    silent=(
        Example("a limit", deployment=_cases.container(memory=Memory(limit=Limit(limited=True, value=1e9)))),
        Example(
            "a local process",
            deployment=_cases.deployment(_cases.replica(memory=Memory(limit=UNLIMITED)), kind="process"),
        ),
        Example("a pod with a limit, its own or a LimitRange's", deployment=_cases.workload()),
        Example(
            "a pod with a limit, beside one that had to go",
            deployment=_cases.workload(_gone(), _cases.pod(id="b")),
        ),
        Example("it is not known"),
        Example("it ended", deployment=_cases.container(state="exited", memory=Memory(limit=UNLIMITED))),
    ),
)
