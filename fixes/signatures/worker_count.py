"""The number of workers does not fit the CPU or the memory that the container has.

What it means. Too few workers leave cores idle while requests wait; too many take turns on a small quota and take
memory for nothing. gunicorn's own advice, 2 × CPU + 1, counts the host's cores when it is computed in a container.

What proves it. Serving processes under a manager outside of 2 … 2 × CPU + 1, where CPU is the control group's quota,
else the machine's cores; or so many that their largest share of memory, times their number, exceeds 80 % of the
limit. It is a warning where they are more than twice too many.

What it is not. One process per container in several replicas. A lone process (``single-process``). Workers that are
just starting or being replaced.

What to do. As many as the rule says, and as memory allows.
"""

from __future__ import annotations

import math
from datetime import timedelta

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases, _shared
from probes.base import NodeId
from probes.model import Cpu, Deployment, Limit, Memory, Node, Replica, Worker

SHARE = 0.8
SETTLED = timedelta(seconds=30)


def detect(view: View) -> Verdict:
    """Fires for the first replica whose number of workers is off."""
    deployment = view.deployment
    if max(deployment.desired or 0, len(deployment.replicas)) >= 2:
        return SILENT
    for replica in deployment.running:
        workers = [w for w in replica.workers if w.role == "worker"]
        if not workers or not any(w.role == "master" for w in replica.workers) or _unsettled(view, replica, workers):
            continue
        if _awaited(deployment, len(workers)):
            continue
        fires = _by_cpu(view, replica, len(workers)) or _by_memory(replica, workers)
        if fires is not None:
            return fires
    return SILENT


def settled(deployment: Deployment) -> bool:
    """Whether all workers were counted that long after they were started: else the silence is no answer."""
    for replica in deployment.running:
        born = [
            moment for moment in (replica.started_at, *(w.started_at for w in replica.workers)) if moment is not None
        ]
        if not replica.workers or not born or replica.sampled_at is None or replica.sampled_at - max(born) < SETTLED:
            return False
    return True


def _unsettled(view: View, replica: Replica, workers: list[Worker]) -> bool:
    born = [moment for moment in (replica.started_at, *(w.started_at for w in workers)) if moment is not None]
    return any(view.now - moment < SETTLED for moment in born)


def _awaited(deployment: Deployment, count: int) -> bool:
    """Whether fewer are there than are configured: others are just ending, or being replaced."""
    wanted = deployment.setting("workers")
    return isinstance(wanted, int) and count < wanted


def _by_cpu(view: View, replica: Replica, count: int) -> Fires | None:
    quota = replica.cpu.limit.value if replica.cpu.limit.limited else None
    cores = quota or (float(view.node.cpus) if view.node is not None and view.node.cpus else None)
    if cores is None or (quota is None and replica.cpu.limit.limited is None):
        return None
    most = max(2, math.floor(2 * cores + 1))
    if 2 <= count <= most:
        return None
    what = f"{cores:g} cores of quota" if quota else f"{cores:g} cores"
    many = f"{count} workers" if count > 1 else "one worker"
    text = f"{many} on {what}; 2 to {most} fit"
    return Fires(
        severity="warning" if count > 2 * most else "info",
        title=text,
        evidence=(
            Evidence("proc", text, at=replica.sampled_at, replica=replica.id, value=float(count), unit="workers"),
        ),
        facts={"workers": count, "advised": most},
    )


def _by_memory(replica: Replica, workers: list[Worker]) -> Fires | None:
    limit = replica.memory.limit.value if replica.memory.limit.limited else None
    largest = max((w.pss_bytes or 0 for w in workers), default=0)
    if not limit or not largest or len(workers) * largest <= SHARE * limit:
        return None
    text = (
        f"{len(workers)} workers of up to {_shared.mebibytes(largest)} do not fit into 80 % of "
        f"{_shared.mebibytes(limit)}"
    )
    return Fires(
        severity="info",
        title=text,
        evidence=(
            Evidence("proc", text, at=replica.sampled_at, replica=replica.id, value=float(largest), unit="bytes"),
        ),
        facts={"workers": len(workers), "advised": max(1, int(SHARE * limit // largest))},
    )


def _service(count: int, cores: float | None, *, pss: int | None = None, limit: float | None = None) -> Deployment:
    workers = tuple(_cases.worker(17 + i, pss_bytes=pss) for i in range(count))
    return _cases.container(
        workers=(_cases.worker(1, role="master"), *workers),
        cpu=Cpu(limit=Limit(limited=cores is not None, value=cores)),
        memory=Memory(limit=Limit(limited=limit is not None, value=limit)),
    )


_NODE = Node(NodeId("n"), "n", cpus=4)

SIGNATURE = Signature(
    id=SignatureId("worker-count"),
    title="Number of workers",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("set-workers"), RemedyId("advise")),
    proof=Proof(basis="settings", window_seconds=90.0, shown=settled),
    source="docs.gunicorn.org/en/stable/design.html#how-many-workers; fastapi.tiangolo.com/deployment/docker",
    fires=(
        Example("65 on half a core", deployment=_service(65, 0.5)),
        Example("five on one core", deployment=_service(5, 1.0)),
        Example("one under gunicorn", deployment=_service(1, 2.0)),
        Example("more than memory holds", deployment=_service(4, 2.0, pss=300 << 20, limit=float(1 << 30))),
    ),
    silent=(
        Example("two on half a core", deployment=_service(2, 0.5)),
        Example("nine on four cores", deployment=_service(9, None), node=_NODE),
        Example("the cores are not known", deployment=_service(20, None)),
        Example(
            "the other of two is being replaced",
            deployment=_cases.deployment(*_service(1, 2.0).replicas, settings={"workers": 2}),
        ),
        Example("a lone process", deployment=_cases.container(workers=(_cases.worker(role="server"),))),
        Example(
            "two replicas",
            deployment=_cases.deployment(*(r for _ in range(2) for r in _service(1, 2.0).replicas)),
        ),
        Example(
            "it is just starting",
            deployment=_cases.container(
                workers=(_cases.worker(1, role="master"), _cases.worker()),
                cpu=Cpu(limit=Limit(limited=True, value=2.0)),
                started_at=_cases.ago(5),
            ),
        ),
    ),
)
