"""Replicas and what an orchestrator says of them and around them, as JSON."""

from __future__ import annotations

from datetime import datetime

from console.contract.base import Out
from probes.model import Deployment, Replica
from probes.orchestrator import (
    Autoscaler,
    DisruptionBudget,
    Ended,
    Managed,
    ProbeSpec,
    Revision,
    Rollout,
    ServicePort,
    Waiting,
)


class InstanceOut(Out, frozen=True):
    """One replica: a container, a pod's serving container, a local master with its workers."""

    id: str
    name: str
    state: str
    ready: bool | None
    restarts: int | None
    exit_code: int | None
    started_at: datetime | None
    node: str | None
    revision: str | None
    """Of the template that it was made from, where an orchestrator counts them."""
    terminating: bool
    held_by: str | None
    """Why a pod takes no traffic although its serving container is well: another container, a gate, a silent node."""
    waiting: Waiting | None
    """Why it, or a container beside it, does not run, where an orchestrator says so."""
    last_end: Ended | None
    """How its previous run ended, where an orchestrator says so."""
    ended_by: str | None
    """Why it had to go, or could not begin, in the engine's or orchestrator's words (``Evicted: The node was low …``,
    ``PreemptionByScheduler: …``, ``Terminated: Pod was terminated in response to imminent node shutdown.``)."""
    memory_bytes: int | None
    memory_limit_bytes: int | None
    memory_request_bytes: int | None
    cores: float | None
    cores_request: float | None
    sampled_at: datetime | None


class OrchestratedOut(Out, frozen=True):
    """What the orchestrator alone knows of a deployment."""

    rollout: Rollout | None
    revisions: tuple[Revision, ...]
    """Newest first."""
    services: tuple[ServicePort, ...]
    autoscaler: Autoscaler | None
    disruption_budget: DisruptionBudget | None
    managed: Managed | None
    """Who keeps the object as it is."""
    probes: tuple[ProbeSpec, ...] | None
    """The checks that it makes of each replica, with the numbers in force; ``None`` where they are unknown."""


def instances(one: Deployment) -> tuple[InstanceOut, ...]:
    """The replicas, as they are listed."""
    return tuple(instance(replica) for replica in one.replicas)


def instance(one: Replica) -> InstanceOut:
    """One replica."""
    limit = one.memory.limit
    return InstanceOut(
        id=one.id,
        name=one.name,
        state=one.state,
        ready=one.ready,
        restarts=one.restarts,
        exit_code=one.exit_code,
        started_at=one.started_at,
        node=one.node,
        revision=one.revision,
        terminating=one.terminating,
        held_by=one.held_by,
        waiting=one.waiting,
        last_end=one.last_end,
        ended_by=one.error,
        memory_bytes=one.memory.used_bytes,
        memory_limit_bytes=int(limit.value) if limit.limited and limit.value is not None else None,
        memory_request_bytes=one.memory_request_bytes,
        cores=one.cpu.used_cores,
        cores_request=one.cpu_request_cores,
        sampled_at=one.sampled_at,
    )


def orchestrated(one: Deployment) -> OrchestratedOut | None:
    """What is around the replicas; ``None`` where no orchestrator runs them."""
    around = one.orchestrated
    if around is None:
        return None
    return OrchestratedOut(
        rollout=around.rollout,
        revisions=around.revisions,
        services=around.services,
        autoscaler=around.autoscaler,
        disruption_budget=around.disruption,
        managed=around.managed,
        probes=next((replica.probes for replica in reversed(one.replicas) if replica.probes is not None), None),
    )


def coverage(one: Deployment) -> dict[str, str]:
    """What was read of it: its logs, and the processes of its replicas."""
    running = one.running
    seen = sum(bool(replica.workers) for replica in running)
    workers = "unread" if not seen else "read" if seen == len(running) else "sampled"
    return {"logs": one.logs.state, "workers": workers}
