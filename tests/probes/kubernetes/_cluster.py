"""Objects as the API answers them, and a fleet that is given them, for tests of the pure parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec

from probes.base import DeploymentId, TargetId
from probes.model import Deployment
from probes.target import Options
from probes.targets.kubernetes.fleet import Fleet
from probes.targets.kubernetes.listed import KINDS, KindName, Page
from probes.targets.kubernetes.sharing import Sharing
from probes.targets.kubernetes.views import ObjectView, PodView

Json = dict[str, Any]
TARGET = TargetId("k8s/test")
NOW = datetime.now(UTC).replace(microsecond=0)
UVICORN = ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(**much: float) -> str:
    return stamp(NOW - timedelta(**much))


def owner(kind: str, name: str, uid: str | None = None) -> list[Json]:
    return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid or f"uid-{name}", "controller": True}]


def container(**changes: Any) -> Json:
    made: Json = {"name": "app", "image": "shop:1", "command": UVICORN[:1], "args": UVICORN[1:]}
    made["ports"] = [{"containerPort": 8000, "name": "http"}]
    return {**made, **changes}


def pod(name: str = "web-abc-1", of: list[Json] | None = None, **changes: Any) -> Json:
    """A running pod of the ReplicaSet ``web-abc``; ``spec``, ``status`` and ``metadata`` are laid over."""
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "creationTimestamp": ago(hours=1),
        "labels": {"app": "web", "pod-template-hash": "abc"},
        "ownerReferences": owner("ReplicaSet", "web-abc") if of is None else of,
    }
    spec = {"containers": [container()], "nodeName": "node-1", "terminationGracePeriodSeconds": 30}
    return {
        "metadata": metadata | changes.pop("metadata", {}),
        "spec": spec | changes.pop("spec", {}),
        "status": changes.pop("status", running()),
    }


def running(name: str = "app", **changes: Any) -> Json:
    status = {
        "name": name,
        "ready": True,
        "restartCount": 0,
        "containerID": f"containerd://{name}-1",
        "state": {"running": {"startedAt": ago(minutes=50)}},
        "lastState": {},
    }
    return {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [status | changes]}


def workload(name: str = "web", **changes: Any) -> Json:
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "generation": 1,
        "annotations": {"deployment.kubernetes.io/revision": "1"},
    }
    spec = {
        "replicas": 2,
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container()]}},
    }
    status = {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    return {
        "metadata": metadata | changes.pop("metadata", {}),
        "spec": spec | changes.pop("spec", {}),
        "status": status | changes.pop("status", {}),
    }


def replicaset(name: str = "web-abc", deployment: str | None = "web", revision: int = 1, **changes: Any) -> Json:
    metadata = {
        "labels": {"app": "web", "pod-template-hash": name.rpartition("-")[2]},
        "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        "ownerReferences": owner("Deployment", deployment) if deployment else [],
    }
    return workload(name, metadata=metadata | changes.pop("metadata", {}), **changes)


def page(kind: KindName, *items: Any, share: Sharing | None = None) -> Page:
    listed = next(one for one in KINDS if one.name == kind)
    body = msgspec.json.encode({"metadata": {"resourceVersion": "7"}, "items": items})
    return listed.page(body, share or Sharing())


def view(kind: KindName, thing: Json) -> ObjectView:
    (found,) = page(kind, thing).views
    return found


def pod_view(thing: Json) -> PodView:
    return cast("PodView", view("pods", thing))


class Given:
    """A fleet, given objects as a mirror would give them."""

    def __init__(self, *, unknown: bool = False) -> None:
        self.fleet = Fleet(TARGET, Options(unknown=unknown))
        self.fleet.oldest = lambda: NOW - self.fleet.options.lookback  # type: ignore[method-assign]  # a suite may run for an hour
        self.changed: frozenset[DeploymentId] = frozenset()
        self._objects: dict[tuple[KindName, str], ObjectView] = {}
        self._share = Sharing()

    def put(self, kind: KindName, *things: Json) -> Given:
        """Puts objects and refreshes."""
        for one in page(kind, *things, share=self._share).views:
            self.fleet.take(self._objects.get((kind, one.key)), one)
            self._objects[kind, one.key] = one
        self.changed = self.fleet.refresh()
        return self

    def drop(self, kind: KindName, key: str) -> Given:
        """Removes an object and refreshes."""
        self.fleet.take(self._objects.pop((kind, key)), None)
        self.changed = self.fleet.refresh()
        return self

    def __getitem__(self, tail: str) -> Deployment:
        return self.fleet.deployments[DeploymentId(f"{TARGET}/{tail}")]

    def ids(self) -> set[str]:
        return {one.removeprefix(f"{TARGET}/") for one in self.fleet.deployments}
