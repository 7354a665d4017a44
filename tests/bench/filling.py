"""Writes the company into a bare API server, where nothing changes it afterwards."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import random
import ssl
import threading
from pathlib import Path

from . import company, states
from .company import Json, Workload

_JOBS = 6


class Writer:
    """Keep-alive connections as the administrator, one for each thread."""

    def __init__(self, port: int, keys: Path) -> None:
        """``keys`` holds ``ca.crt``, ``admin.crt`` and ``admin.key``."""
        self._port = port
        self._tls = ssl.create_default_context(cafile=keys / "ca.crt")
        self._tls.load_cert_chain(keys / "admin.crt", keys / "admin.key")
        self._local = threading.local()

    def send(self, method: str, path: str, body: Json | None = None) -> Json | None:
        """The answer; ``None`` where the object is there already."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=self._tls, timeout=60)
            self._local.connection = connection
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"content-type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        if answer.status == 409:
            return None
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        found: Json = json.loads(data)
        return found


def fill(writer: Writer, pods: int) -> int:
    """Writes so many pods and all that belongs to them, or adds what is missing; how many Deployments there are."""
    for name in company.namespaces():
        writer.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    for node in company.nodes():
        _node(writer, node)
    planned = company.plan(pods)
    with concurrent.futures.ThreadPoolExecutor(_JOBS) as pool:
        for written in [pool.submit(_workload, writer, *one) for one in planned]:
            written.result()
        for sent in [pool.submit(_event, writer, *one) for one in company.events()]:
            sent.result()
    return len(planned)


def _node(writer: Writer, node: Json) -> None:
    path = f"/api/v1/nodes/{node['metadata']['name']}"
    if writer.send("POST", "/api/v1/nodes", node) is None:
        return
    made = writer.send("GET", path)
    assert made is not None
    made["spec"].pop("taints", None)
    made = writer.send("PUT", path, made)
    assert made is not None
    writer.send("PUT", f"{path}/status", made | {"status": node["status"]})


def _workload(writer: Writer, one: Workload, first: int, count: int) -> None:
    apps = f"/apis/apps/v1/namespaces/{one.namespace}"
    made = _ensure(
        writer,
        f"{apps}/deployments",
        {
            "metadata": {"name": one.name, "labels": one.labels},
            "spec": {
                "replicas": one.replicas,
                "selector": {"matchLabels": one.selector},
                "template": {"metadata": {"labels": one.labels}, "spec": one.template},
            },
        },
    )
    made = _ensure(
        writer,
        f"{apps}/replicasets",
        {
            "metadata": {
                "name": one.replicaset,
                "labels": one.pod_labels,
                "annotations": {"deployment.kubernetes.io/revision": "1"},
                "ownerReferences": _owner("Deployment", made),
            },
            "spec": {
                "replicas": one.replicas,
                "selector": {"matchLabels": one.selector | {"pod-template-hash": one.hash}},
                "template": {"metadata": {"labels": one.pod_labels}, "spec": one.template},
            },
        },
    )
    rng = random.Random(f"{one.name}/{one.hash}")
    for number in range(first, first + count):
        _pod(writer, one, _owner("ReplicaSet", made), number, rng)


def _pod(writer: Writer, one: Workload, owner: list[Json], number: int, rng: random.Random) -> None:
    state = states.draw(rng)
    name = f"{one.replicaset}-{company.suffix(rng)}"
    status = states.status(rng, state, name, one.template["containers"][0]["image"], number)
    path = f"/api/v1/namespaces/{one.namespace}/pods"
    annotations = {"prometheus.io/scrape": "true", "checksum/config": f"{rng.getrandbits(256):064x}"}
    place = {} if state == "pending" else {"nodeName": company.node_of(number)}
    pod = {
        "metadata": {
            "name": name, "labels": one.pod_labels, "annotations": annotations, "ownerReferences": owner,
        },
        "spec": one.template | place,
    }  # fmt: skip
    made = writer.send("POST", path, pod)
    if made is not None:
        writer.send("PUT", f"{path}/{name}/status", made | {"status": status})


def _event(writer: Writer, namespace: str, event: Json) -> None:
    writer.send("POST", f"/api/v1/namespaces/{namespace}/events", event)


def _ensure(writer: Writer, path: str, body: Json) -> Json:
    made = writer.send("POST", path, body) or writer.send("GET", f"{path}/{body['metadata']['name']}")
    assert made is not None
    return made


def _owner(kind: str, made: Json) -> list[Json]:
    meta = made["metadata"]
    of = {"apiVersion": "apps/v1", "kind": kind, "name": meta["name"], "uid": meta["uid"]}
    return [of | {"controller": True, "blockOwnerDeletion": True}]
