"""Which replicas of an orchestrator count, and how bad a failure can be while others serve.

A replica that was told to go fails nothing any more. One of a former revision that is not ready is being replaced; one
that is ready still serves, and counts. A pod that has done its work is no service any more. What stands in the logs of
those that do not count is left out with them.
"""

from __future__ import annotations

from msgspec.structs import replace

from fixes.model import Severity
from probes.model import Deployment, DeploymentKind, Replica

ORCHESTRATED: frozenset[DeploymentKind] = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod"}
)
"""Kinds of deployments that Kubernetes keeps."""


def counted(deployment: Deployment) -> Deployment:
    """The deployment without the replicas that do not count; the same object where all do."""
    if deployment.kind not in ORCHESTRATED:
        return deployment
    left_out = {
        replica.id
        for replica in deployment.replicas
        if replica.terminating or _is_done(deployment, replica) or _is_former(deployment, replica)
    }
    if not left_out:
        return deployment
    return replace(
        deployment,
        replicas=tuple(replica for replica in deployment.replicas if replica.id not in left_out),
        hits=tuple(hit for hit in deployment.hits if hit.replica not in left_out),
    )


def severity(deployment: Deployment, worst: Severity) -> Severity:
    """A failure's severity: an object of Kubernetes is critical only while none of its replicas is ready."""
    if worst != "critical" or deployment.kind not in ORCHESTRATED:
        return worst
    serves = any(r.ready and r.state == "running" and not r.terminating for r in deployment.replicas)
    return "error" if serves else worst


def _is_done(deployment: Deployment, replica: Replica) -> bool:
    """Whether it is a Job's, or a pod of its own, that ended well and will not be started again."""
    ended_well = replica.state == "exited" and replica.exit_code == 0
    return deployment.kind in ("Job", "Pod") and ended_well and replica.restart_policy in ("Never", "OnFailure")


def _is_former(deployment: Deployment, replica: Replica) -> bool:
    """Whether it is of another revision than the current one, and not ready."""
    if replica.ready or replica.revision is None or deployment.orchestrated is None:
        return False
    current = next((one.name for one in deployment.orchestrated.revisions if one.current), None)
    # A pod's label is its revision's name (StatefulSet), or the name's last part (Deployment, DaemonSet).
    return current is not None and current != replica.revision and not current.endswith(f"-{replica.revision}")
