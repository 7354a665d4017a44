"""Workloads as the API holds them, for tests that rewrite and patch them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from probes.base import DeploymentId, TargetId
from probes.model import Deployment
from probes.targets.kubernetes.facts import Facts

Json = dict[str, Any]
TARGET = TargetId("k8s/test")
GUNICORN = {"gunicorn": "27.0.1", "uvicorn": "0.54.0", "uvicorn-worker": "0.4.0"}


def container(**changes: Any) -> Json:
    """A container that serves."""
    return {
        "name": "app",
        "image": "shop:1",
        "command": ["uvicorn", "healthy:app", "--host", "0.0.0.0", "--port", "8000"],
        "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "1"}],
        "ports": [{"containerPort": 8000, "name": "http", "protocol": "TCP"}],
        "resources": {"limits": {"memory": "300Mi"}, "requests": {"cpu": "10m", "memory": "32Mi"}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
        **changes,
    }


def workload(*others: Json, kind: str = "Deployment", namespace: str = "shop", **changes: Any) -> Json:
    """A workload whose first container serves; ``changes`` are of that."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": "web",
            "namespace": namespace,
            "uid": "6f1c",
            "resourceVersion": "41",
            "generation": 2,
            "annotations": {"deployment.kubernetes.io/revision": "2"},
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container(**changes), *others]},
            },
        },
        "status": {"replicas": 2, "readyReplicas": 2},
    }


def service(*ports: Json) -> Json:
    """A Service."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "5e", "resourceVersion": "7"},
        "spec": {
            "selector": {"app": "web"},
            "ports": list(ports) or [{"port": 80, "targetPort": 80, "protocol": "TCP"}],
        },
    }


def facts(**changes: Any) -> Facts:
    """What a drafter knows of it."""
    return Facts(**{"container": "app", "server": "uvicorn", "packages": GUNICORN, "port": 8000, **changes})


def deployment(namespace: str, name: str = "web", kind: str = "Deployment", **changes: Any) -> Deployment:
    """The deployment of a workload, as a target lists it, without replicas."""
    known: Json = {
        "id": DeploymentId(f"{TARGET}/{namespace}/{kind}/{name}"),
        "target": TARGET,
        "name": name,
        "kind": kind,
        "framework": "fastapi",
        "recognised_by": "uvicorn healthy:app",
        "replicas": (),
        "server": "uvicorn",
        "packages": GUNICORN,
        "namespace": namespace,
    }
    return Deployment(**{**known, **changes})


NAMES = st.sampled_from(["a", "b", "c", "LOG_LEVEL", "app", "x/y~z", "fastops.io/enable"])
TEXTS = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=6)
VALUES = st.recursive(
    st.none() | st.integers(0, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def _named(key: str, names: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Json]]:
    item = st.tuples(names, st.dictionaries(NAMES.filter(lambda n: n != key), VALUES, max_size=2))
    return st.lists(item, max_size=4, unique_by=lambda one: one[0]).map(
        lambda all_: [{**rest, key: n} for n, rest in all_]
    )


@st.composite
def templates(draw: st.DrawFn) -> Json:
    """Any workload: containers, variables, volumes and mounts that come, go, and change places."""
    made = workload()
    extra = draw(st.dictionaries(NAMES, VALUES, max_size=3))
    containers = draw(_named("name", st.sampled_from(["app", "proxy", "log"])))
    for one in containers:
        one["env"] = draw(_named("name", st.sampled_from(["A", "B", "C", "D"])))
        one["volumeMounts"] = draw(_named("mountPath", st.sampled_from(["/a", "/b"])))
        if draw(st.booleans()):
            one["args"] = draw(st.lists(TEXTS, max_size=3))
    spec = {**extra, "containers": containers, "volumes": draw(_named("name", st.sampled_from(["v", "w"])))}
    made["spec"]["template"]["spec"] = spec
    made["metadata"]["labels"] = draw(st.dictionaries(NAMES, TEXTS, max_size=2))
    return made
