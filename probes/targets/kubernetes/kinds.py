"""Where the objects that fixes touch stand in the API, and where their pods' description stands in them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from probes.base import DeploymentId, Frozen
from probes.target import Refused

Json = dict[str, Any]


class Kind(Frozen, frozen=True):
    """One kind of object."""

    name: str
    group: str
    """``""`` for the core group."""
    plural: str
    template: tuple[str, ...] | None
    """Where its pods' description stands; ``None`` where it has none, ``()`` where the object itself is one."""

    def path(self, namespace: str, name: str | None = None) -> str:
        """The path of an object, or of the kind's list in a namespace."""
        base = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        path = f"{base}/namespaces/{quote(namespace, safe='')}/{self.plural}"
        return path if name is None else f"{path}/{quote(name, safe='')}"


_TEMPLATE = ("spec", "template")
KINDS: Mapping[str, Kind] = {
    "Deployment": Kind("Deployment", "apps", "deployments", _TEMPLATE),
    "StatefulSet": Kind("StatefulSet", "apps", "statefulsets", _TEMPLATE),
    "DaemonSet": Kind("DaemonSet", "apps", "daemonsets", _TEMPLATE),
    "ReplicaSet": Kind("ReplicaSet", "apps", "replicasets", _TEMPLATE),
    "Job": Kind("Job", "batch", "jobs", _TEMPLATE),
    "Pod": Kind("Pod", "", "pods", ()),
    "Service": Kind("Service", "", "services", None),
    "Secret": Kind("Secret", "", "secrets", None),
    "ConfigMap": Kind("ConfigMap", "", "configmaps", None),
    "ControllerRevision": Kind("ControllerRevision", "apps", "controllerrevisions", None),
}


class Subject(Frozen, frozen=True):
    """One object."""

    kind: Kind
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Its path in the API."""
        return self.kind.path(self.namespace, self.name)

    @property
    def title(self) -> str:
        """For people: ``Deployment shop/web``."""
        return f"{self.kind.name} {self.namespace}/{self.name}"


def subject_of(deployment: DeploymentId) -> Subject:
    """``k8s/CONTEXT/NAMESPACE/KIND/NAME``; raises :class:`Refused` for what is no workload."""
    parts = [unquote(part) for part in deployment.split("/")]
    if len(parts) != 5 or parts[3] not in KINDS:
        raise Refused(f"{deployment} is no object that can be changed from here.")
    return Subject(KINDS[parts[3]], parts[2], parts[4])


def subject_at(thing: Json) -> Subject:
    """The place of an object that was read."""
    metadata = thing["metadata"]
    return Subject(KINDS[thing["kind"]], metadata.get("namespace", "default"), metadata["name"])


def template_of(thing: Json) -> Json:
    """The pods' description in a workload (with ``metadata`` and ``spec``); the object itself for a pod."""
    at: Any = thing
    for key in KINDS[thing["kind"]].template or ():
        at = at[key]
    assert isinstance(at, dict)
    return at


def container_of(thing: Json, name: str) -> Json:
    """A container of a workload's template by its name; raises :class:`Refused`."""
    found = next((c for c in template_of(thing)["spec"]["containers"] if c["name"] == name), None)
    if found is None:
        raise Refused(f"{thing['kind']} {thing['metadata']['name']} has no container {name} any more.")
    assert isinstance(found, dict)
    return found
