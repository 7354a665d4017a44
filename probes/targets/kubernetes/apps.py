"""Deployments and the like: from the API's answer to what is kept. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from probes.orchestrator import Managed
from probes.targets.kubernetes import objects, objects_apps
from probes.targets.kubernetes.parse import controller
from probes.targets.kubernetes.sharing import Sharing
from probes.targets.kubernetes.template import enabled, word
from probes.targets.kubernetes.views import RevisionView, TemplateView, WorkloadView

_ControllerKind = Literal["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"]
_IMAGES = 16
HASH = "pod-template-hash"
"""The label of a Deployment's ReplicaSets and pods with the hash that ends their ReplicaSet's name."""
_Trouble = tuple[str, str | None]
_REVISION = TemplateView()


def workload(kind: _ControllerKind, found: objects_apps.Controller, share: Sharing) -> WorkloadView | None:
    """What is kept of a controller of pods; ``None`` for one without a name."""
    meta = found.metadata or objects.Metadata()
    if not meta.name:
        return None
    spec, status = found.spec or objects_apps.ControllerSpec(), found.status or objects_apps.ControllerStatus()
    described = spec.template or objects_apps.Template()
    annotations = meta.annotations
    owner = controller(meta)
    revised = kind == "ReplicaSet" and owner is not None
    labels = share.labels(None, meta.labels)
    on_template = described.metadata.annotations if described.metadata else None
    desired, ready, updated = _counts(kind, spec, status)
    pod_labels = described.metadata.labels if described.metadata and not revised else None
    return WorkloadView(
        namespace=share.text(meta.namespace) or "default",
        name=meta.name,
        uid=meta.uid or "",
        version=meta.resource_version or "",
        kind=kind,
        # An owned ReplicaSet is a revision of its owner, of which the images tell enough: there are ten for each.
        template=_REVISION if revised else share.template(on_template, described.spec),
        labels=labels if not revised else {HASH: labels[HASH]} if HASH in labels else {},
        template_labels=share.labels(None, pod_labels),
        owner_kind=share.text(owner.kind) if owner else None,
        owner_name=share.text(owner.name) if owner else None,
        owner_uid=share.text(owner.uid) if owner else None,
        enable=enabled(annotations),
        managed=managed(labels, annotations),
        created_at=meta.creation_timestamp,
        revision=_number(annotations.revision if annotations else None),
        images=images(described.spec),
        desired=desired,
        ready=ready,
        updated=updated,
        complete=_complete(kind, meta, status, desired, updated),
        trouble=_trouble(status),
        max_surge=_surge(kind, spec, desired),
        paused=bool(spec.paused),
    )


def images(spec: objects.PodSpec | None) -> tuple[str, ...]:
    """The images of a template, cleaned."""
    found = (word(one.image) for one in (spec.containers if spec else None) or ())
    return tuple(one for one in found if one)[:_IMAGES]


def revision(found: objects_apps.ControllerRevision, share: Sharing) -> RevisionView | None:
    """What is kept of a ControllerRevision."""
    meta = found.metadata or objects.Metadata()
    owner = controller(meta)
    if not meta.name or owner is None:
        return None
    data = found.data.spec if found.data else None
    spec = data.template.spec if data and data.template else None
    names = (word(one.image) for one in (spec.containers if spec else None) or ())
    return RevisionView(
        namespace=share.text(meta.namespace) or "default",
        name=meta.name,
        uid=meta.uid or "",
        version=meta.resource_version or "",
        owner_uid=owner.uid,
        number=found.revision,
        created_at=meta.creation_timestamp,
        images=tuple(one for one in names if one)[:_IMAGES],
    )


def managed(labels: Mapping[str, str], annotations: objects.Annotations | None) -> Managed | None:
    """Who keeps the object as it is: Argo CD, Flux, Helm. Flux writes Helm's marks too, so those come last.

    argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking; fluxcd.io/flux/components/{kustomize,helm}; the marks
    of Helm 3 are in its pkg/action/validate.go. ``app.kubernetes.io/instance`` alone proves nothing: charts set it too.
    """
    tracked = annotations.argocd_tracking if annotations else None
    application = (tracked.partition(":")[0] if tracked else None) or labels.get("argocd.argoproj.io/instance")
    if application:
        return Managed("argocd", word(application) or "unknown")
    for owner in ("kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"):
        name = labels.get(f"{owner}/name")
        if name:
            namespace = labels.get(f"{owner}/namespace")
            return Managed("flux", word(f"{namespace}/{name}" if namespace else name) or "unknown")
    release = annotations.helm_release if annotations else None
    if release and labels.get("app.kubernetes.io/managed-by") == "Helm":
        return Managed("helm", word(release) or "unknown")
    return None


def _counts(
    kind: _ControllerKind, spec: objects_apps.ControllerSpec, status: objects_apps.ControllerStatus
) -> tuple[int | None, int | None, int | None]:
    """Desired, ready and updated replicas; the API leaves zeros out of a status."""
    if kind == "DaemonSet":
        return status.desired_number_scheduled, status.number_ready or 0, status.updated_number_scheduled or 0
    if kind == "Job":
        return None, None, None
    return 1 if spec.replicas is None else spec.replicas, status.ready_replicas or 0, status.updated_replicas or 0


def _complete(
    kind: _ControllerKind,
    meta: objects.Metadata,
    status: objects_apps.ControllerStatus,
    desired: int | None,
    updated: int | None,
) -> bool:
    """As ``kubectl rollout status`` decides it (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go)."""
    if meta.generation is not None and (status.observed_generation or 0) < meta.generation:
        return False
    if kind == "Deployment":
        wanted, now = desired or 0, status.replicas or 0
        return (updated or 0) >= wanted and now <= (updated or 0) and (status.available_replicas or 0) >= wanted
    if kind == "DaemonSet":
        return (updated or 0) >= (desired or 0) and (status.number_available or 0) >= (desired or 0)
    if kind == "StatefulSet":
        same = status.update_revision == status.current_revision
        return (status.ready_replicas or 0) >= (desired or 0) and same
    return (status.ready_replicas or 0) >= (desired or 0)


def _trouble(status: objects_apps.ControllerStatus) -> _Trouble | None:
    """Pods that cannot be created, else a rollout that does not get on."""
    conditions = {one.type: one for one in status.conditions or ()}
    failed, progress = conditions.get("ReplicaFailure"), conditions.get("Progressing")
    if failed is not None and failed.status == "True":
        return failed.reason or "FailedCreate", failed.message
    if progress is not None and progress.status == "False":
        return progress.reason or "Progressing", progress.message
    return None


def _surge(kind: _ControllerKind, spec: objects_apps.ControllerSpec, desired: int | None) -> int | None:
    """Replicas above the desired ones that a rollout may start; a share is rounded up, as the controller does."""
    if kind not in {"Deployment", "DaemonSet"}:
        return 0
    strategy = (spec.strategy if kind == "Deployment" else spec.update_strategy) or objects_apps.Strategy()
    if strategy.type in {"Recreate", "OnDelete"}:
        return 0
    given = strategy.rolling_update.max_surge if strategy.rolling_update else None
    default: objects_apps.IntOrPercent = "25%" if kind == "Deployment" else 0
    value = default if given is None else given
    if isinstance(value, int):
        return value
    share = _number(value.removesuffix("%")) if value.endswith("%") else None
    return None if share is None or desired is None else math.ceil(desired * share / 100)


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdecimal() and len(value) < 10 else None
