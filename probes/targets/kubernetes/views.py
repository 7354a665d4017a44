"""What is kept in memory of each object: small, without literal secrets, shared between the pods of one template."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from probes.model import UNLIMITED, Limit
from probes.orchestrator import Ended, Managed, ProbeSpec, Waiting

WorkloadKind = Literal["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod"]


class View(Struct, frozen=True, gc=False):
    """The base: frozen, never part of a circle."""


class ObjectView(View, frozen=True):
    """What every object has."""

    namespace: str
    """Empty for what belongs to no namespace."""
    name: str
    uid: str
    version: str
    """``resourceVersion``: opaque, compared for equality only."""

    @property
    def key(self) -> str:
        """``NAMESPACE/NAME``: unique within its kind."""
        return f"{self.namespace}/{self.name}"


class ContainerView(View, frozen=True):
    """One container of a template."""

    name: str
    image: str | None = None
    argv: tuple[str, ...] = ()
    """Command and arguments as they are run, secrets included: for recognition alone. Variables that are written
    ``$(NAME)`` are filled in where their value stands beside them."""
    entry_known: bool = False
    """The command is given: without one the image's own runs, with ``argv`` as its arguments where there are any."""
    shown: tuple[str, ...] = ()
    """``argv``, secrets redacted."""
    working_dir: str | None = None
    environment: Mapping[str, str] = {}
    """Literal values, secrets redacted."""
    environment_from: Mapping[str, str] = {}
    """Variables taken from elsewhere, as :attr:`probes.model.Replica.environment_from`; ``PREFIX*`` stands for all
    keys of what ``envFrom`` names."""
    ports: tuple[int, ...] = ()
    """TCP ports that it declares."""
    named_ports: Mapping[str, int] = {}
    memory_limit: Limit = UNLIMITED
    cpu_limit: Limit = UNLIMITED
    memory_request_bytes: int | None = None
    cpu_request_cores: float | None = None
    probes: tuple[ProbeSpec, ...] = ()


class TemplateView(View, frozen=True, eq=False):
    """What pods are made from. One object for all pods that agree in it: compared and hashed by identity."""

    containers: tuple[ContainerView, ...] = ()
    enable: bool | None = None
    """What ``fastops.io/enable`` says."""
    default_container: str | None = None
    grace_seconds: float | None = None
    host_network: bool = False
    restart_policy: str | None = None

    def container(self, name: str) -> ContainerView | None:
        """The container of this name."""
        return next((one for one in self.containers if one.name == name), None)


class StatusView(View, frozen=True):
    """One container as it is now; foreign text in it is not cleaned yet."""

    name: str
    ready: bool | None = None
    restarts: int | None = None
    image_id: str | None = None
    container_id: str | None = None
    running: bool = False
    started_at: datetime | None = None
    waiting: Waiting | None = None
    ended: Ended | None = None
    """How it ended, where it is over."""
    before: Ended | None = None
    """How its previous run ended."""


class PodView(ObjectView, frozen=True):
    """A pod."""

    template: TemplateView
    labels: Mapping[str, str] = {}
    owner_kind: str | None = None
    """Of the controller that made it."""
    owner_name: str | None = None
    owner_uid: str | None = None
    revision: str | None = None
    """``pod-template-hash``, or ``controller-revision-hash``."""
    node: str | None = None
    address: str | None = None
    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    created_at: datetime | None = None
    terminating: bool = False
    unready: str | None = None
    """Why its condition ``Ready`` is false or unknown, as it says; ``None`` where it is neither."""
    unscheduled: Waiting | None = None
    """Why it has no node, where it waits for one."""
    initialising: Waiting | None = None
    """The init container that the pod's start waits for, since it runs."""
    statuses: tuple[StatusView, ...] = ()
    starting: StatusView | None = None
    """The init container that keeps it from starting, where one is in trouble."""

    def status(self, container: str) -> StatusView | None:
        """The status of the container of this name."""
        return next((one for one in self.statuses if one.name == container), None)

    @property
    def over(self) -> bool:
        """It ended and will not run again: history, not a replica."""
        return self.phase in {"Succeeded", "Failed"}


class WorkloadView(ObjectView, frozen=True):
    """A Deployment, StatefulSet, DaemonSet or ReplicaSet."""

    kind: WorkloadKind
    template: TemplateView
    labels: Mapping[str, str] = {}
    template_labels: Mapping[str, str] = {}
    owner_kind: str | None = None
    owner_name: str | None = None
    owner_uid: str | None = None
    enable: bool | None = None
    managed: Managed | None = None
    created_at: datetime | None = None
    revision: int | None = None
    """Of a ReplicaSet or ControllerRevision: its number."""
    images: tuple[str, ...] = ()
    desired: int | None = None
    ready: int | None = None
    updated: int | None = None
    complete: bool = False
    """All replicas are of the current template and available."""
    trouble: tuple[str, str | None] | None = None
    """The orchestrator's own word for why it does not get on, and its message."""
    max_surge: int | None = None
    paused: bool = False


class RevisionView(ObjectView, frozen=True):
    """A ControllerRevision."""

    owner_uid: str | None = None
    number: int | None = None
    created_at: datetime | None = None
    images: tuple[str, ...] = ()


class ServiceView(ObjectView, frozen=True):
    """A Service."""

    selector: Mapping[str, str] = {}
    """An empty one leads to no pods."""
    ports: tuple[tuple[int, int | str], ...] = ()
    """Its TCP ports and what each leads to: a number, or a name."""


class ScalerView(ObjectView, frozen=True):
    """A HorizontalPodAutoscaler."""

    kind: str
    target: str
    minimum: int
    maximum: int
    current: int | None = None


class VerticalView(ObjectView, frozen=True):
    """A VerticalPodAutoscaler."""

    kind: str
    target: str
    owns: tuple[str, ...]
    """``cpu`` and ``memory`` where it writes limits of them; none where it only recommends, or leaves limits alone."""


class BudgetView(ObjectView, frozen=True):
    """A PodDisruptionBudget."""

    selector: Mapping[str, str] | None = None
    """``None`` covers nothing; an empty one covers all."""
    expressions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """Key, operator and values, all of which must hold."""
    allowed: int | None = None


class NodeView(ObjectView, frozen=True):
    """A Node: what pods can have of it."""

    cpus: float | None = None
    memory_bytes: int | None = None


class HappeningView(ObjectView, frozen=True):
    """An Event of the API; foreign text in it is not cleaned yet."""

    kind: str
    """Of the object that it is about."""
    about: str
    """That object's name."""
    about_uid: str
    at: datetime | None
    """When it was seen last."""
    type: str = ""
    reason: str = ""
    source: str = ""
    message: str = ""
    count: int = 1
    field: str | None = None
    """The part of the object: ``spec.containers{app}``."""
