"""Objects of Kubernetes, made of cases."""

from __future__ import annotations

from typing import Any

from tests.lab import images

from .case import KubeCase

CONTAINER = "app"
# Small, so that all of them find a place on one node; no limit is part of it.
REQUESTS = {"cpu": "10m", "memory": "32Mi"}
GRACE_SECONDS = 4


def manifests(case: KubeCase, namespace: str) -> list[dict[str, Any]]:
    """What the case consists of, in the order in which it has to be made."""
    own = [{**item, "metadata": {**item["metadata"], "namespace": namespace}} for item in case.objects]
    made = {(item["kind"], item["metadata"]["name"]) for item in own}
    if case.port is not None and ("Service", case.name) not in made:
        own.append(_service(case, namespace))
    return [*own, workload(case, namespace)]


def workload(case: KubeCase, namespace: str) -> dict[str, Any]:
    """The Deployment, StatefulSet or DaemonSet of the case."""
    selector = {"app": case.name}
    more = dict(case.pod)
    if "initContainers" in more:
        more["initContainers"] = [{**_image(case), **item} for item in more["initContainers"]]
    pod = {
        "dnsPolicy": "Default",  # there is no DNS in the cluster of the tests
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [_container(case), *({**_image(case), **item} for item in case.beside)],
        **more,
    }
    spec: dict[str, Any] = {
        "selector": {"matchLabels": selector},
        "template": {"metadata": {"labels": selector}, "spec": pod},
    }
    if case.kind != "DaemonSet":
        spec["replicas"] = case.replicas
    if case.kind == "StatefulSet":
        spec["serviceName"] = case.name
    return {
        "apiVersion": "apps/v1",
        "kind": case.kind,
        "metadata": {
            "name": case.name,
            "namespace": namespace,
            "labels": {**selector, **case.labels},
            "annotations": dict(case.annotations),
        },
        "spec": {**spec, **case.spec},
    }


def _container(case: KubeCase) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": CONTAINER,
        **_image(case),
        "command": list(case.command),
        "env": [{"name": name, "value": value} for name, value in case.environment.items()],
        "resources": {"requests": REQUESTS},
    }
    if case.port is not None:
        container["ports"] = [{"containerPort": case.port}]
    return {**container, **case.container}


def _image(case: KubeCase) -> dict[str, Any]:
    return {"image": images.tags(case.image)[-1], "imagePullPolicy": "IfNotPresent"}


def _service(case: KubeCase, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": case.name, "namespace": namespace},
        "spec": {"selector": {"app": case.name}, "ports": [{"port": 80, "targetPort": case.port}]},
    }


def limits(memory: str | None = None, cpu: str | None = None, storage: str | None = None) -> dict[str, Any]:
    """The field ``resources`` of a container with these limits and the small requests of the lab."""
    all_of_them = {"memory": memory, "cpu": cpu, "ephemeral-storage": storage}
    given = {name: value for name, value in all_of_them.items() if value is not None}
    # A request that is not given is taken from the limit: that much would then be kept free on the node.
    storage_request = {} if storage is None else {"ephemeral-storage": "1Mi"}
    return {"requests": {**REQUESTS, **storage_request}, "limits": given}


def http(path: str = "/health", port: int = 8000, **more: Any) -> dict[str, Any]:
    """A probe by HTTP every two seconds."""
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 2, **more}


# Two crowded cores start a server slowly and answer late: neither is to end it.
PATIENT: dict[str, Any] = {"startupProbe": http(failureThreshold=60, timeoutSeconds=5)}
PROBED = {**PATIENT, "readinessProbe": http(timeoutSeconds=5), "livenessProbe": http(timeoutSeconds=5)}
