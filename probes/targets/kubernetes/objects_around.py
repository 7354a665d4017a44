"""What stands around pods, as the API answers: the fields that are used, each of which may be absent."""

from __future__ import annotations

from datetime import datetime

from msgspec import Raw, field

from probes.targets.kubernetes.objects import Amounts, Metadata, Part, Port
from probes.targets.kubernetes.objects_apps import IntOrPercent, Selector


class ServicePort(Part, frozen=True):
    """``spec.ports[]`` of a Service."""

    name: str | None = None
    port: int | None = None
    target_port: Port | None = None
    protocol: str | None = None


class ServiceSpec(Part, frozen=True):
    """``spec`` of a Service."""

    type: str | None = None
    selector: dict[str, str] | None = None
    ports: tuple[ServicePort, ...] | None = None


class Service(Part, frozen=True):
    """A Service."""

    metadata: Metadata | None = None
    spec: ServiceSpec | None = None


class ScaleTarget(Part, frozen=True):
    """``spec.scaleTargetRef``."""

    kind: str = ""
    name: str = ""


class AutoscalerSpec(Part, frozen=True):
    """``spec`` of a HorizontalPodAutoscaler."""

    scale_target_ref: ScaleTarget | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None


class AutoscalerStatus(Part, frozen=True):
    """``status`` of a HorizontalPodAutoscaler."""

    current_replicas: int | None = None


class HorizontalPodAutoscaler(Part, frozen=True):
    """A HorizontalPodAutoscaler (``autoscaling/v2``)."""

    metadata: Metadata | None = None
    spec: AutoscalerSpec | None = None
    status: AutoscalerStatus | None = None


class UpdatePolicy(Part, frozen=True):
    """``spec.updatePolicy`` of a VerticalPodAutoscaler."""

    update_mode: str | None = None


class ContainerPolicy(Part, frozen=True):
    """``spec.resourcePolicy.containerPolicies[]``; the name ``*`` is of all that have none of their own."""

    container_name: str | None = None
    mode: str | None = None
    controlled_values: str | None = None
    controlled_resources: tuple[str, ...] | None = None
    """``None`` for both, ``cpu`` and ``memory``."""


class ResourcePolicy(Part, frozen=True):
    """``spec.resourcePolicy`` of a VerticalPodAutoscaler."""

    container_policies: tuple[ContainerPolicy, ...] | None = None


class VerticalSpec(Part, frozen=True):
    """``spec`` of a VerticalPodAutoscaler."""

    target_ref: ScaleTarget | None = None
    update_policy: UpdatePolicy | None = None
    resource_policy: ResourcePolicy | None = None


class VerticalPodAutoscaler(Part, frozen=True):
    """A VerticalPodAutoscaler (``autoscaling.k8s.io/v1``)."""

    metadata: Metadata | None = None
    spec: VerticalSpec | None = None


class BudgetSpec(Part, frozen=True):
    """``spec`` of a PodDisruptionBudget."""

    selector: Selector | None = None
    min_available: IntOrPercent | None = None
    max_unavailable: IntOrPercent | None = None


class BudgetStatus(Part, frozen=True):
    """``status`` of a PodDisruptionBudget."""

    disruptions_allowed: int | None = None


class PodDisruptionBudget(Part, frozen=True):
    """A PodDisruptionBudget."""

    metadata: Metadata | None = None
    spec: BudgetSpec | None = None
    status: BudgetStatus | None = None


class NodeStatus(Part, frozen=True):
    """``status`` of a Node."""

    allocatable: Amounts | None = None
    capacity: Amounts | None = None


class Node(Part, frozen=True):
    """A Node."""

    metadata: Metadata | None = None
    status: NodeStatus | None = None


class Involved(Part, frozen=True):
    """``involvedObject`` of an Event."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str | None = None


class Source(Part, frozen=True):
    """``source`` of an Event."""

    component: str | None = None


class Series(Part, frozen=True):
    """``series`` of an Event."""

    count: int | None = None
    last_observed_time: datetime | None = None


class Event(Part, frozen=True):
    """An Event (``core/v1``)."""

    metadata: Metadata | None = None
    type: str | None = None
    reason: str | None = None
    message: str | None = None
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: Series | None = None
    source: Source | None = None
    reporting_component: str | None = None
    involved_object: Involved | None = None


class ListMetadata(Part, frozen=True):
    """``metadata`` of a list."""

    more: str | None = field(default=None, name="continue")
    resource_version: str | None = None


class RawList(Part, frozen=True):
    """A list whose items are read one by one."""

    metadata: ListMetadata | None = None
    items: tuple[Raw, ...] | None = None


class RawEvent(Part, frozen=True):
    """One event of a watch: ``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK``, ``ERROR``."""

    type: str = ""
    object: Raw = Raw(b"null")


class Status(Part, frozen=True):
    """What the API answers where it does not answer the object: the ``ERROR`` of a watch."""

    code: int | None = None
    reason: str | None = None
    message: str | None = None
