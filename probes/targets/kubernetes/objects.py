"""Objects of the Kubernetes API as its answers hold them: only the fields that are used, each of which may be absent.

These live for one page or one watch event: :mod:`.parse` makes of them what is kept. Environment values stand in them
as the API gives them, secrets included. Field names and meanings: kubernetes.io/docs/reference/kubernetes-api.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field

Quantity = str | int | float
Port = int | str
"""A number, or the name of a port."""


class Part(Struct, frozen=True, rename="camel", gc=False):
    """The base: decoded from JSON, so it is never part of a circle and needs no garbage collector."""


class Owner(Part, frozen=True):
    """``metadata.ownerReferences[]``."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Annotations(Part, frozen=True):
    """The annotations that are read; the others (``last-applied-configuration`` holds secrets) are skipped unread."""

    enable: str | None = field(default=None, name="fastops.io/enable")
    change: str | None = field(default=None, name="fastops.io/change")
    default_container: str | None = field(default=None, name="kubectl.kubernetes.io/default-container")
    revision: str | None = field(default=None, name="deployment.kubernetes.io/revision")
    helm_release: str | None = field(default=None, name="meta.helm.sh/release-name")
    argocd_tracking: str | None = field(default=None, name="argocd.argoproj.io/tracking-id")


class Metadata(Part, frozen=True):
    """``metadata``."""

    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    annotations: Annotations | None = None
    owner_references: tuple[Owner, ...] | None = None


class KeyRef(Part, frozen=True):
    """A key of a Secret or of a ConfigMap."""

    name: str | None = None
    key: str | None = None


class FieldRef(Part, frozen=True):
    """``valueFrom.fieldRef``."""

    field_path: str | None = None


class ResourceRef(Part, frozen=True):
    """``valueFrom.resourceFieldRef``."""

    resource: str | None = None


class ValueFrom(Part, frozen=True):
    """``env[].valueFrom``."""

    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceRef | None = None


class Variable(Part, frozen=True):
    """``env[]``."""

    name: str = ""
    value: str | None = None
    value_from: ValueFrom | None = None


class Variables(Part, frozen=True):
    """``envFrom[]``: all keys of a Secret or of a ConfigMap."""

    prefix: str | None = None
    secret_ref: KeyRef | None = None
    config_map_ref: KeyRef | None = None


class ContainerPort(Part, frozen=True):
    """``ports[]``."""

    container_port: int | None = None
    name: str | None = None
    protocol: str | None = None


class Amounts(Part, frozen=True):
    """``resources.limits`` or ``resources.requests``."""

    memory: Quantity | None = None
    cpu: Quantity | None = None


class Resources(Part, frozen=True):
    """``resources``."""

    limits: Amounts | None = None
    requests: Amounts | None = None


class HttpGet(Part, frozen=True):
    """``httpGet`` of a probe."""

    path: str | None = None
    port: Port | None = None
    scheme: str | None = None
    host: str | None = None


class TcpSocket(Part, frozen=True):
    """``tcpSocket`` of a probe."""

    port: Port | None = None
    host: str | None = None


class Exec(Part, frozen=True):
    """``exec`` of a probe."""

    command: tuple[str, ...] | None = None


class Grpc(Part, frozen=True):
    """``grpc`` of a probe."""

    port: int | None = None
    service: str | None = None


class Probe(Part, frozen=True):
    """``readinessProbe``, ``livenessProbe``, ``startupProbe``."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    grpc: Grpc | None = None
    timeout_seconds: int | None = None
    period_seconds: int | None = None
    initial_delay_seconds: int | None = None
    failure_threshold: int | None = None
    success_threshold: int | None = None


class Container(Part, frozen=True):
    """``spec.containers[]``."""

    name: str = ""
    image: str | None = None
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    working_dir: str | None = None
    env: tuple[Variable, ...] | None = None
    env_from: tuple[Variables, ...] | None = None
    ports: tuple[ContainerPort, ...] | None = None
    resources: Resources | None = None
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None


class Gate(Part, frozen=True):
    """``spec.schedulingGates[]``."""

    name: str = ""


class PodSpec(Part, frozen=True):
    """``spec`` of a pod or of a template."""

    containers: tuple[Container, ...] | None = None
    node_name: str | None = None
    restart_policy: str | None = None
    host_network: bool | None = None
    termination_grace_period_seconds: int | None = None
    scheduling_gates: tuple[Gate, ...] | None = None


class Condition(Part, frozen=True):
    """``status.conditions[]``."""

    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = None


class StateWaiting(Part, frozen=True):
    """``state.waiting``."""

    reason: str | None = None
    message: str | None = None


class StateRunning(Part, frozen=True):
    """``state.running``."""

    started_at: datetime | None = None


class StateTerminated(Part, frozen=True):
    """``state.terminated``."""

    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(Part, frozen=True):
    """``state`` and ``lastState``; one of the three."""

    waiting: StateWaiting | None = None
    running: StateRunning | None = None
    terminated: StateTerminated | None = None


class ContainerStatus(Part, frozen=True):
    """``status.containerStatuses[]``."""

    name: str = ""
    ready: bool | None = None
    restart_count: int | None = None
    image: str | None = None
    image_id: str | None = field(default=None, name="imageID")
    container_id: str | None = field(default=None, name="containerID")
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class PodStatus(Part, frozen=True):
    """``status`` of a pod."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    conditions: tuple[Condition, ...] | None = None
    pod_ip: str | None = field(default=None, name="podIP")
    start_time: datetime | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(Part, frozen=True):
    """A Pod."""

    metadata: Metadata | None = None
    spec: PodSpec | None = None
    status: PodStatus | None = None
