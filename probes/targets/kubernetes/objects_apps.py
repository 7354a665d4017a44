"""What keeps pods running, as the ``apps/v1`` API answers: the fields that are used, each of which may be absent."""

from __future__ import annotations

from probes.targets.kubernetes.objects import Condition, Metadata, Part, PodSpec, Port

IntOrPercent = Port
"""``3`` or ``25%``."""


class Template(Part, frozen=True):
    """``spec.template``."""

    metadata: Metadata | None = None
    spec: PodSpec | None = None


class Requirement(Part, frozen=True):
    """``matchExpressions[]``."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] | None = None


class Selector(Part, frozen=True):
    """``spec.selector`` of everything but a Service."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[Requirement, ...] | None = None


class RollingUpdate(Part, frozen=True):
    """``rollingUpdate`` of a strategy."""

    max_surge: IntOrPercent | None = None
    max_unavailable: IntOrPercent | None = None


class Strategy(Part, frozen=True):
    """``spec.strategy`` or ``spec.updateStrategy``."""

    type: str | None = None
    rolling_update: RollingUpdate | None = None


class ControllerSpec(Part, frozen=True):
    """``spec`` of a Deployment, StatefulSet, DaemonSet or ReplicaSet."""

    replicas: int | None = None
    paused: bool | None = None
    template: Template | None = None
    strategy: Strategy | None = None
    update_strategy: Strategy | None = None
    progress_deadline_seconds: int | None = None


class ControllerStatus(Part, frozen=True):
    """``status`` of the four kinds; each fills its own fields."""

    observed_generation: int | None = None
    replicas: int | None = None
    updated_replicas: int | None = None
    ready_replicas: int | None = None
    available_replicas: int | None = None
    current_revision: str | None = None
    update_revision: str | None = None
    desired_number_scheduled: int | None = None
    updated_number_scheduled: int | None = None
    number_available: int | None = None
    number_ready: int | None = None
    conditions: tuple[Condition, ...] | None = None


class Controller(Part, frozen=True):
    """A Deployment, StatefulSet, DaemonSet or ReplicaSet."""

    metadata: Metadata | None = None
    spec: ControllerSpec | None = None
    status: ControllerStatus | None = None


class RevisionContainer(Part, frozen=True):
    """What a ControllerRevision tells of a container."""

    image: str | None = None


class RevisionPodSpec(Part, frozen=True):
    """``data.spec.template.spec`` of a ControllerRevision."""

    containers: tuple[RevisionContainer, ...] | None = None


class RevisionTemplate(Part, frozen=True):
    """``data.spec.template`` of a ControllerRevision."""

    spec: RevisionPodSpec | None = None


class RevisionSpec(Part, frozen=True):
    """``data.spec`` of a ControllerRevision."""

    template: RevisionTemplate | None = None


class RevisionData(Part, frozen=True):
    """``data`` of a ControllerRevision."""

    spec: RevisionSpec | None = None


class ControllerRevision(Part, frozen=True):
    """A revision of a StatefulSet or of a DaemonSet."""

    metadata: Metadata | None = None
    revision: int | None = None
    data: RevisionData | None = None
