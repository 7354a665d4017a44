"""What an orchestrator says of a replica and of the deployment around it, as plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from probes.base import Frozen

ProbeRole = Literal["readiness", "liveness", "startup"]
ProbeHandler = Literal["http", "tcp", "exec", "grpc"]
Keeper = Literal["helm", "argocd", "flux"]


class Waiting(Frozen, frozen=True):
    """Why a container does not run, or why a pod has no node."""

    reason: str
    """As the orchestrator says it: ``CrashLoopBackOff``, ``ErrImagePull``, ``CreateContainerConfigError``,
    ``Unschedulable``, ``FailedCreate``, …"""
    message: str | None = None
    since: datetime | None = None
    container: str | None = None
    """Which container it is, where it is another one of the pod than the one that serves."""


class Ended(Frozen, frozen=True):
    """How a container's previous run ended."""

    at: datetime | None
    reason: str | None = None
    """``OOMKilled``, ``Error``, ``Completed``, ``ContainerCannotRun``, …"""
    exit_code: int | None = None
    signal: int | None = None
    started_at: datetime | None = None
    message: str | None = None


class ProbeSpec(Frozen, frozen=True):
    """A health check that the orchestrator makes. Numbers are those in force, defaults included."""

    role: ProbeRole
    handler: ProbeHandler
    path: str | None = None
    """Of an HTTP check."""
    port: int | None = None
    """Resolved: a port that is named stands here as its number."""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    host: str | None = None
    command: tuple[str, ...] = ()
    """Of an ``exec`` check, secrets redacted."""
    timeout_seconds: float = 1.0
    period_seconds: float = 10.0
    initial_delay_seconds: float = 0.0
    failure_threshold: int = 3
    success_threshold: int = 1


class ServicePort(Frozen, frozen=True):
    """A port on which a Service sends traffic to the replicas."""

    service: str
    port: int
    target_port: int | None
    """The container port that it leads to; ``None`` where it is named and no container has a port of that name."""
    target_name: str | None = None
    """The name, where it is given by name."""


class Autoscaler(Frozen, frozen=True):
    """A HorizontalPodAutoscaler of the deployment."""

    name: str
    minimum: int
    maximum: int
    current: int | None = None


class DisruptionBudget(Frozen, frozen=True):
    """A PodDisruptionBudget that covers the replicas."""

    name: str
    allowed: int | None
    """How many replicas may be disrupted now."""


class Revision(Frozen, frozen=True):
    """One revision of a deployment's template that the orchestrator still has."""

    number: int
    name: str
    """Of the object that keeps it: the ReplicaSet, the ControllerRevision."""
    created_at: datetime | None = None
    images: tuple[str, ...] = ()
    desired: int = 0
    ready: int = 0
    current: bool = False


class Rollout(Frozen, frozen=True):
    """How a deployment's template is, or is being, rolled out."""

    complete: bool
    """All replicas are of the current revision and ready."""
    updated: int | None = None
    reason: str | None = None
    """``ProgressDeadlineExceeded``, ``FailedCreate``, …: the orchestrator's own word, where it is in trouble."""
    message: str | None = None
    max_surge: int | None = None
    """How many replicas more than desired a rollout may start, as a number."""
    paused: bool = False


class Managed(Frozen, frozen=True):
    """Who keeps the object as it is, and would undo a change made beside it."""

    by: Keeper
    name: str
    """Of the release, the application, the kustomization."""


VERTICAL_RESOURCES = ("cpu", "memory")
"""What a VerticalPodAutoscaler can own."""


class Orchestrated(Frozen, frozen=True):
    """What the orchestrator alone knows of a deployment."""

    services: tuple[ServicePort, ...] = ()
    autoscaler: Autoscaler | None = None
    disruption: DisruptionBudget | None = None
    rollout: Rollout | None = None
    revisions: tuple[Revision, ...] = ()
    """Newest first, 10 at most."""
    managed: Managed | None = None
    vertical_autoscaler: str | None = None
    """The name of a VerticalPodAutoscaler that owns its resources, where one is known of."""
    vertical_owns: tuple[str, ...] = VERTICAL_RESOURCES
    """Which of them. It makes existing limits larger and smaller, and sets none where there is none."""
    labels: Mapping[str, str] = {}
    """Of the object itself."""
