"""Services, autoscalers, budgets, nodes and events: from the API's answer to what is kept. Pure."""

from __future__ import annotations

from probes.orchestrator import VERTICAL_RESOURCES
from probes.targets.kubernetes import objects, objects_around
from probes.targets.kubernetes.quantities import quantity
from probes.targets.kubernetes.sharing import Sharing
from probes.targets.kubernetes.views import BudgetView, HappeningView, NodeView, ScalerView, ServiceView, VerticalView

_MESSAGE_CAP = 1000


def service(found: objects_around.Service, share: Sharing) -> ServiceView | None:
    """A Service; one without a selector, or of the type ExternalName, leads to no pods of its own choice."""
    meta, spec = found.metadata or objects.Metadata(), found.spec or objects_around.ServiceSpec()
    if not meta.name:
        return None
    ports = tuple(
        (one.port, one.target_port or one.port)
        for one in spec.ports or ()
        if one.port is not None and one.protocol in {None, "TCP"}
    )
    return ServiceView(
        namespace=share.text(meta.namespace) or "default",
        name=meta.name,
        uid=meta.uid or "",
        version=meta.resource_version or "",
        selector={} if spec.type == "ExternalName" else spec.selector or {},
        ports=ports,
    )


def scaler(found: objects_around.HorizontalPodAutoscaler, share: Sharing) -> ScalerView | None:
    """A HorizontalPodAutoscaler."""
    meta, spec = found.metadata or objects.Metadata(), found.spec or objects_around.AutoscalerSpec()
    target = spec.scale_target_ref or objects_around.ScaleTarget()
    if not meta.name:
        return None
    return ScalerView(
        namespace=share.text(meta.namespace) or "default",
        name=meta.name,
        uid=meta.uid or "",
        version=meta.resource_version or "",
        kind=target.kind,
        target=target.name,
        minimum=1 if spec.min_replicas is None else spec.min_replicas,
        maximum=spec.max_replicas or 1,
        current=found.status.current_replicas if found.status else None,
    )


def vertical(found: objects_around.VerticalPodAutoscaler, share: Sharing) -> VerticalView | None:
    """A VerticalPodAutoscaler; the mode ``Off`` only recommends, and ``RequestsOnly`` leaves limits alone.

    What it owns of one container it is said to own; all of those without a policy of their own have that of ``*``.
    """
    meta, spec = found.metadata or objects.Metadata(), found.spec or objects_around.VerticalSpec()
    target = spec.target_ref or objects_around.ScaleTarget()
    policies = (spec.resource_policy.container_policies if spec.resource_policy else None) or ()
    owned = set() if any(one.container_name == "*" for one in policies) else set(VERTICAL_RESOURCES)
    for one in policies:
        if one.mode != "Off" and one.controlled_values != "RequestsOnly":
            owned.update(VERTICAL_RESOURCES if one.controlled_resources is None else one.controlled_resources)
    off = spec.update_policy is not None and spec.update_policy.update_mode == "Off"
    if not meta.name:
        return None
    return VerticalView(
        namespace=share.text(meta.namespace) or "default",
        name=meta.name,
        uid=meta.uid or "",
        version=meta.resource_version or "",
        kind=target.kind,
        target=target.name,
        owns=() if off else tuple(name for name in VERTICAL_RESOURCES if name in owned),
    )


def budget(found: objects_around.PodDisruptionBudget, share: Sharing) -> BudgetView | None:
    """A PodDisruptionBudget; one without a selector covers nothing (``policy/v1`` selects all by an empty one)."""
    meta, spec = found.metadata or objects.Metadata(), found.spec
    selector = spec.selector if spec else None
    if not meta.name:
        return None
    expressions = (selector.match_expressions if selector else None) or ()
    return BudgetView(
        namespace=share.text(meta.namespace) or "default",
        name=meta.name,
        uid=meta.uid or "",
        version=meta.resource_version or "",
        selector=None if selector is None else selector.match_labels or {},
        expressions=tuple((one.key, one.operator, one.values or ()) for one in expressions),
        allowed=found.status.disruptions_allowed if found.status else None,
    )


def node(found: objects_around.Node, _share: Sharing) -> NodeView | None:
    """A Node; what pods can have where it says so, else what it has."""
    meta, status = found.metadata or objects.Metadata(), found.status or objects_around.NodeStatus()
    if not meta.name:
        return None
    usable, whole = status.allocatable or objects.Amounts(), status.capacity or objects.Amounts()
    memory = quantity(usable.memory) or quantity(whole.memory)
    return NodeView(
        namespace="",
        name=meta.name,
        uid=meta.uid or "",
        version=meta.resource_version or "",
        cpus=quantity(usable.cpu) or quantity(whole.cpu),
        memory_bytes=None if memory is None else round(memory),
    )


def happening(found: objects_around.Event, share: Sharing) -> HappeningView | None:
    """An Event about an object in a namespace."""
    meta, about = found.metadata or objects.Metadata(), found.involved_object
    if not meta.name or about is None or not about.name:
        return None
    series = found.series or objects_around.Series()
    source = found.source.component if found.source else None
    return HappeningView(
        namespace=share.text(about.namespace or meta.namespace) or "default",
        name=meta.name,
        uid=meta.uid or "",
        version=meta.resource_version or "",
        kind=share.text(about.kind) or "",
        about=about.name,
        about_uid=about.uid,
        at=series.last_observed_time
        or found.last_timestamp
        or found.event_time
        or found.first_timestamp
        or meta.creation_timestamp,
        type=share.text(found.type) or "",
        reason=share.text(found.reason) or "",
        source=share.text(source or found.reporting_component) or "",
        message=share.text((found.message or "")[:_MESSAGE_CAP]) or "",
        count=max(1, series.count or found.count or 1),
        field=share.text(about.field_path),
    )
