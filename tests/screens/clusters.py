"""Recorded reports of Kubernetes: workloads of two contexts, pods in every kind of trouble."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from fixes.model import Evidence, Report
from probes.base import DeploymentId, Failure, NodeId, ReplicaId, TargetId
from probes.model import Deployment, Replica
from probes.orchestrator import (
    Autoscaler,
    DisruptionBudget,
    Ended,
    Managed,
    Orchestrated,
    ProbeSpec,
    Revision,
    Rollout,
    ServicePort,
    Waiting,
)
from tests.screens import reports as r

PROD, TEST = TargetId("k8s/prod"), TargetId("k8s/test")
SHELL = Failure("read-only", "the processes of its pods", "reading them needs an exec, and this is read-only", "")


def workload(
    name: str, *, target: TargetId = PROD, namespace: str = "shop", pods: int = 3, kind: str = "Deployment"
) -> Deployment:
    """A workload whose pods are well."""
    one = r.deployment(name, target=target, workers=0)
    replicas = tuple(
        replace(
            one.replicas[0],
            id=ReplicaId(f"{namespace}/{name}-5c9f8d7b6-{n:05}/app"),
            name=f"{name}-5c9f8d7b6-{n:05}",
            restarts=0,
            node=NodeId(f"{target}/node/pool-a-{n % 3}"),
            revision="5c9f8d7b6",
            workers=(),
        )
        for n in range(pods)
    )
    return replace(
        one,
        id=DeploymentId(f"{target}/{namespace}/{kind}/{name}"),
        kind=kind,
        namespace=namespace,
        replicas=replicas,
        desired=pods,
        orchestrated=Orchestrated(rollout=Rollout(complete=True, updated=pods)),
    )


def _pods(of: Deployment, *changed: Replica) -> Deployment:
    return replace(of, replicas=(*changed, *of.replicas[len(changed) :]))


_FINE = workload("checkout")
_CRASHING = replace(
    _FINE.replicas[0],
    state="restarting",
    ready=False,
    restarts=7,
    revision="77aa",
    waiting=Waiting("CrashLoopBackOff", "back-off 5m0s restarting failed container"),
    last_end=Ended(r.NOW - timedelta(minutes=4), "OOMKilled", exit_code=137),
)
CHECKOUT = replace(
    _pods(_FINE, _CRASHING, replace(_FINE.replicas[1], unreadable=(SHELL,))),
    restarts=7,
    orchestrated=Orchestrated(
        services=(ServicePort("checkout", 80, 8000, "http"), ServicePort("metrics", 9090, None, "metrics")),
        autoscaler=Autoscaler("checkout", 3, 10, 3),
        disruption=DisruptionBudget("checkout", 0),
        rollout=Rollout(
            complete=False,
            updated=1,
            reason="ProgressDeadlineExceeded",
            message='ReplicaSet "checkout-77aa" has timed out progressing.',
        ),
        revisions=(
            Revision(8, "checkout-77aa", r.NOW - timedelta(minutes=12), ("shop/checkout:2.0",), 1, 0, current=True),
            Revision(7, "checkout-5c9f8d7b6", r.NOW - timedelta(days=3), ("shop/checkout:1.9",), 2, 2),
        ),
        managed=Managed("helm", "shop"),
    ),
)
CHECKOUT = replace(
    CHECKOUT,
    replicas=tuple(
        replace(
            one,
            probes=(
                ProbeSpec("readiness", "http", path="/health", port=8000),
                ProbeSpec("liveness", "tcp", port=8000, failure_threshold=1, initial_delay_seconds=5),
            ),
        )
        for one in CHECKOUT.replicas
    ),
)
ORDERS = workload("orders", kind="StatefulSet", pods=1)
PAY = workload("checkout", namespace="pay", pods=2)
STAGED = workload("checkout", target=TEST, namespace="shop", pods=1)

OOM = r.finding(
    CHECKOUT,
    "oom-killed",
    "critical",
    "checkout-5c9f8d7b6-00000 was killed for memory",
    (Evidence(source="status", text="last state: OOMKilled, exit 137", at=r.NOW - timedelta(minutes=4)),),
    (r.offer("set-memory-limit", "Raise the memory limit"), r.offer("rollback", "Roll back to revision 7")),
    count=7,
)
LOOP = r.finding(
    CHECKOUT,
    "crash-loop",
    "error",
    "checkout-5c9f8d7b6-00000 is restarted again and again",
    (Evidence(source="status", text="waiting: CrashLoopBackOff, 7 restarts", at=r.NOW),),
    cause="oom-killed",
)


def report(*, second: bool = False) -> Report:
    """The production context, and with ``second`` another one."""
    states = [r.state(PROD, (CHECKOUT, ORDERS, PAY))]
    if second:
        states.append(r.state(TEST, (STAGED,)))
    return r.report(*states, findings=(LOOP, OOM))


def large(count: int) -> Report:
    """Many workloads of one pod each in many namespaces."""
    many = tuple(workload(f"service-{n:05}", namespace=f"team-{n % 40:02}", pods=1) for n in range(count))
    return r.report(r.state(PROD, many), findings=())
