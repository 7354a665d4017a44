"""A workload with its pods, and what stands around it, as a :class:`Deployment`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from probes import several, text
from probes.base import ReplicaId
from probes.loghits import LogCoverage, LogHit
from probes.model import Capability, Deployment, Framework, Latency, Replica
from probes.orchestrator import (
    VERTICAL_RESOURCES,
    Autoscaler,
    DisruptionBudget,
    Orchestrated,
    Revision,
    Rollout,
    ServicePort,
)
from probes.targets.kubernetes.commandlocks import locked
from probes.targets.kubernetes.group import Group
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.views import (
    BudgetView,
    PodView,
    RevisionView,
    ScalerView,
    ServiceView,
    TemplateView,
    VerticalView,
    WorkloadView,
)

_REVISIONS = 10
_LABELS = 64


class Around:
    """What stands around one workload."""

    __slots__ = ("budgets", "revisions", "scaler", "services", "vertical")

    def __init__(
        self,
        services: Sequence[ServiceView] = (),
        scaler: ScalerView | None = None,
        budgets: Sequence[BudgetView] = (),
        revisions: Sequence[WorkloadView | RevisionView] = (),
        vertical: VerticalView | None = None,
    ) -> None:
        self.services = services
        self.scaler = scaler
        self.budgets = budgets
        self.revisions = revisions
        self.vertical = vertical


def deployment(
    group: Group,
    around: Around,
    measured: Mapping[ReplicaId, Measured],
    oldest: datetime,
    capabilities: Mapping[Capability, str | None],
    *,
    hits: tuple[LogHit, ...] = (),
    logs: LogCoverage | None = None,
    latency: Latency | None = None,
) -> Deployment:
    """One deployment of its pods; there may be none of them."""
    known, workload = group.known, group.workload
    members = group.members(oldest)
    replicas = group.replicas(members, measured)
    command = known.command
    readings = [one for replica in replicas if (one := measured.get(replica.id)) is not None]
    packages = next((one.packages for one in readings if one.packages), group.told_now.packages)
    framework: Framework = "fastapi" if known.framework == "fastapi" else "unknown"
    alive = sum(1 for one in members if not one.over)
    return Deployment(
        id=group.id,
        target=group.target,
        name=text.clean(group.name, 253),
        kind=group.kind,
        framework=framework,
        recognised_by=known.why + several.also(replicas),
        replicas=replicas,
        desired=workload.desired if workload is not None and workload.desired is not None else alive,
        server=command.server if command else None,
        server_version=packages.get(command.server) if command else None,
        namespace=text.clean(group.namespace, 253),
        node=group.node_of(replicas),
        restarts=_restarts(replicas),
        settings=command.settings if command else {},
        packages=packages,
        drivers=tuple(sorted({driver for one in readings for driver in one.drivers})),
        capabilities=_allowed(capabilities, locked(group.template.container(known.container or ""), packages)),
        orchestrated=_orchestrated(group, around, members),
        hits=hits,
        logs=logs or LogCoverage(state="unread", why="not read yet"),
        latency=latency,
    )


def _allowed(
    capabilities: Mapping[Capability, str | None], locks: Mapping[Capability, str]
) -> Mapping[Capability, str | None]:
    """What its kind allows, less what its command does not let be changed."""
    return {name: why or locks.get(name) for name, why in capabilities.items()} if locks else capabilities


def _orchestrated(group: Group, around: Around, members: Sequence[PodView]) -> Orchestrated:
    workload = group.workload
    template = next((one.template for one in members if not one.over), group.template)
    return Orchestrated(
        services=tuple(
            _port(service, port, target, template) for service in around.services for port, target in service.ports
        ),
        autoscaler=_autoscaler(around.scaler),
        vertical_autoscaler=None if around.vertical is None else text.clean(around.vertical.name, 253),
        vertical_owns=VERTICAL_RESOURCES if around.vertical is None else around.vertical.owns,
        disruption=_disruption(around.budgets),
        rollout=None if workload is None else _rollout(workload),
        revisions=_revisions(workload, around.revisions),
        managed=None if workload is None else workload.managed,
        labels=_labels(workload.labels if workload is not None else group.labels),
    )


def _port(service: ServiceView, port: int, target: int | str, template: TemplateView) -> ServicePort:
    name = text.clean(service.name, 253)
    if isinstance(target, int):
        return ServicePort(name, port, target)
    found = next((one.named_ports[target] for one in template.containers if target in one.named_ports), None)
    return ServicePort(name, port, found, text.clean(target, 63))


def _autoscaler(found: ScalerView | None) -> Autoscaler | None:
    if found is None:
        return None
    return Autoscaler(text.clean(found.name, 253), found.minimum, found.maximum, found.current)


def _disruption(found: Sequence[BudgetView]) -> DisruptionBudget | None:
    """The strictest of them: pods under several budgets are not evicted at all."""
    strictest = min(found, key=lambda one: (one.allowed if one.allowed is not None else 0, one.name), default=None)
    return None if strictest is None else DisruptionBudget(text.clean(strictest.name, 253), strictest.allowed)


def _rollout(workload: WorkloadView) -> Rollout:
    reason, message = workload.trouble or (None, None)
    return Rollout(
        complete=workload.complete,
        updated=workload.updated,
        reason=text.clean(reason, 100) if reason else None,
        message=text.line(message, 1000) if message else None,
        max_surge=workload.max_surge,
        paused=workload.paused,
    )


def _revisions(workload: WorkloadView | None, found: Sequence[WorkloadView | RevisionView]) -> tuple[Revision, ...]:
    numbered = [(number, one) for one in found if (number := _number(one)) is not None]
    numbered.sort(key=lambda pair: -pair[0])
    own = workload.revision if workload is not None and workload.kind == "Deployment" else None
    current = own if own is not None else next((number for number, _ in numbered), None)
    return tuple(
        Revision(
            number=number,
            name=text.clean(one.name, 253),
            created_at=one.created_at,
            images=one.images,
            desired=(one.desired or 0) if isinstance(one, WorkloadView) else 0,
            ready=(one.ready or 0) if isinstance(one, WorkloadView) else 0,
            current=number == current,
        )
        for number, one in numbered[:_REVISIONS]
    )


def _number(found: WorkloadView | RevisionView) -> int | None:
    return found.revision if isinstance(found, WorkloadView) else found.number


def _labels(found: Mapping[str, str]) -> dict[str, str]:
    return {text.clean(name, 317): text.clean(value, 63) for name, value in list(found.items())[:_LABELS]}


def _restarts(replicas: Sequence[Replica]) -> int | None:
    known = [one.restarts for one in replicas if one.restarts is not None]
    return sum(known) if known else None
