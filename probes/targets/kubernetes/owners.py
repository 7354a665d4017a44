"""From a pod to the workload that it belongs to. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from probes.targets.kubernetes.apps import HASH
from probes.targets.kubernetes.views import HappeningView, PodView, WorkloadKind, WorkloadView

Place = tuple[str, WorkloadKind, str]
_DIRECT: Mapping[str, WorkloadKind] = {"StatefulSet": "StatefulSet", "DaemonSet": "DaemonSet", "Job": "Job"}
_TOLD_OF: Mapping[str, WorkloadKind] = {**_DIRECT, "Deployment": "Deployment"}


def of_pod(pod: PodView, replicasets: Mapping[str, WorkloadView]) -> Place:
    """Where a pod belongs. What another kind of controller made counts as a pod of its own."""
    if pod.owner_kind == "ReplicaSet" and pod.owner_name:
        found = replicasets.get(pod.owner_uid or "")
        if found is not None:
            return of_replicaset(found)
        deployment = _deployment(pod.owner_name, pod.labels)
        if deployment is not None:
            return pod.namespace, "Deployment", deployment
        return pod.namespace, "ReplicaSet", pod.owner_name
    kind = _DIRECT.get(pod.owner_kind or "")
    if kind is not None and pod.owner_name:
        return pod.namespace, kind, pod.owner_name
    return pod.namespace, "Pod", pod.name


def of_replicaset(found: WorkloadView) -> Place:
    """The Deployment of a ReplicaSet, or the ReplicaSet itself where none (or another controller) keeps it."""
    if found.owner_kind == "Deployment" and found.owner_name:
        return found.namespace, "Deployment", found.owner_name
    return found.namespace, "ReplicaSet", found.name


def guesses(found: WorkloadView) -> tuple[Place, ...]:
    """Where pods of a ReplicaSet may have been put before it was known."""
    deployment = _deployment(found.name, found.labels)
    alone: Place = (found.namespace, "ReplicaSet", found.name)
    return (alone,) if deployment is None else (alone, (found.namespace, "Deployment", deployment))


def of_happening(view: HappeningView, replicasets: Mapping[str, WorkloadView]) -> Place | None:
    """The workload that an event is about, where it is about one."""
    if view.kind == "ReplicaSet":
        found = replicasets.get(view.about_uid)
        return of_replicaset(found) if found is not None else (view.namespace, "ReplicaSet", view.about)
    kind = _TOLD_OF.get(view.kind)
    return None if kind is None else (view.namespace, kind, view.about)


def _deployment(replicaset: str, labels: Mapping[str, str]) -> str | None:
    """A Deployment names its ReplicaSets ``NAME-HASH`` and writes the hash into a label of theirs and of their pods."""
    found = labels.get(HASH)
    if found and replicaset.endswith(f"-{found}"):
        return replicaset[: -len(found) - 1] or None
    return None
