"""A company that runs mostly FastAPI, as objects of the Kubernetes API: workloads, pods, nodes and events. Pure.

60 namespaces, 12 nodes, Deployments of 3 to 6 pods each, seven of ten of them FastAPI. Number N is always the same
object, so a larger company only adds to a smaller one.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

Json = dict[str, Any]

_TEAMS = [
    "checkout",
    "orders",
    "billing",
    "search",
    "catalog",
    "identity",
    "notify",
    "ledger",
    "media",
    "growth",
    "fraud",
    "shipping",
]
_STAGES = ["prod", "staging", "qa", "dev", "perf"]
_NOUNS = [
    "api",
    "gateway",
    "worker",
    "ingest",
    "report",
    "sync",
    "export",
    "audit",
    "quotes",
    "webhooks",
    "tokens",
    "feed",
]
_FASTAPI = (
    ("uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"),
    ("uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000", "--workers", "2"),
    ("python", "-m", "uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"),
    ("gunicorn", "main:app", "-k", "uvicorn.workers.UvicornWorker", "-w", "4", "-b", "0.0.0.0:8000"),
    ("fastapi", "run", "main.py", "--port", "8000"),
)
_OTHERS = (
    ("nginx", "-g", "daemon off;"),
    ("celery", "-A", "tasks", "worker", "-c", "4"),
    ("redis-server", "--appendonly", "yes"),
    ("node", "dist/server.js"),
    ("java", "-Xmx512m", "-jar", "/app/service.jar"),
    ("/app/service", "--listen", ":8000"),
)
_FASTAPI_SHARE = 0.7
NOWHERE = 240
"""The first number of all addresses: no machine has one of that block (RFC 1112, class E), nothing is sent there."""
_NODES = 12
_EVENTS = 400
_BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
_NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # those of Kubernetes' own suffixes
_SEED = 1
_SAID = (
    ("BackOff", "Back-off restarting failed container app in pod"),
    ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
    ("FailedScheduling", "0/12 nodes are available: 12 Insufficient memory."),
    ("Failed", "Error: ImagePullBackOff"),
)


class Workload(msgspec.Struct, frozen=True):
    """One Deployment with its ReplicaSet."""

    number: int
    namespace: str
    name: str
    labels: dict[str, str]
    template: Json
    replicas: int
    hash: str

    @property
    def selector(self) -> dict[str, str]:
        """What its pods are known by."""
        return {"app.kubernetes.io/name": self.name}

    @property
    def replicaset(self) -> str:
        """The name of its ReplicaSet."""
        return f"{self.name}-{self.hash}"

    @property
    def pod_labels(self) -> dict[str, str]:
        """Those of its ReplicaSet and pods."""
        return self.labels | {"pod-template-hash": self.hash}


def namespaces() -> list[str]:
    """All of them."""
    return [f"{team}-{stage}" for team in _TEAMS for stage in _STAGES]


def plan(pods: int) -> list[tuple[Workload, int, int]]:
    """Workloads for so many pods, each with the number of its first pod and how many it has."""
    planned: list[tuple[Workload, int, int]] = []
    first = 0
    while first < pods:
        one = workload(len(planned))
        count = min(one.replicas, pods - first)
        planned.append((one, first, count))
        first += count
    return planned


def workload(number: int) -> Workload:
    """Workload ``number``."""
    rng = random.Random(f"{_SEED}/{number}")
    team, stage = _TEAMS[number % len(_TEAMS)], rng.choice(_STAGES)
    argv = rng.choice(_FASTAPI) if rng.random() < _FASTAPI_SHARE else rng.choice(_OTHERS)
    name = f"{team}-{rng.choice(_NOUNS)}-{number}"
    version = f"{rng.randrange(1, 6)}.{rng.randrange(40)}.{rng.randrange(9)}"
    labels = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": team,
        "app.kubernetes.io/version": version,
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": f"{team}-service-2.14.0",
        "team": team,
        "stage": stage,
    }
    template = _template(team, f"{team}-{stage}", name, version, argv)
    return Workload(
        number,
        f"{team}-{stage}",
        name,
        labels,
        template,
        rng.randrange(3, 7),
        "".join(rng.choices(_NAME_LETTERS, k=10)),
    )


def _template(team: str, namespace: str, name: str, version: str, argv: tuple[str, ...]) -> Json:
    values = {
        "APP_NAME": name, "APP_ENV": namespace, "LOG_LEVEL": "info", "LOG_FORMAT": "json", "PORT": "8000",
        "DATABASE_HOST": f"{team}-db.{namespace}.svc.cluster.local", "DATABASE_POOL_SIZE": "20",
        "REDIS_URL": f"redis://{team}-redis.{namespace}.svc:6379/0", "OTEL_SERVICE_NAME": name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector.observability:4317", "SENTRY_RELEASE": name,
        "PYTHONUNBUFFERED": "1", "WEB_CONCURRENCY": "2", "REQUEST_TIMEOUT": "30",
    }  # fmt: skip
    environment: list[Json] = [{"name": key, "value": value} for key, value in values.items()]
    environment += [
        {"name": "DATABASE_PASSWORD", "valueFrom": {"secretKeyRef": {"name": f"{team}-db", "key": "password"}}},
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    probe = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 10, "timeoutSeconds": 2}
    apart = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
    }
    container = {
        "name": "app",
        "image": f"{team}/{name}:{version}",
        "command": [argv[0]],
        "args": list(argv[1:]),
        "env": environment,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 8000, "name": "http"}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "livenessProbe": probe | {"initialDelaySeconds": 10},
        "readinessProbe": probe,
        "securityContext": {
            "runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "tmp", "mountPath": "/tmp"}],
    }  # fmt: skip
    return {
        "containers": [container],
        "serviceAccountName": team,
        "terminationGracePeriodSeconds": 30,
        "volumes": [{"name": "config", "configMap": {"name": name}}, {"name": "tmp", "emptyDir": {}}],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": apart}]
            }
        },
    }


def nodes() -> list[Json]:
    """All of them, with their statuses."""
    capacity = {"cpu": "32", "memory": "131072000Ki", "pods": "1000", "ephemeral-storage": "200Gi"}
    unset = ("machineID", "systemUUID", "bootID", "kernelVersion", "kubeProxyVersion")
    return [
        {
            "metadata": {"name": f"node-{number:02}", "labels": {"kubernetes.io/hostname": f"node-{number:02}"}},
            "status": {
                "capacity": capacity,
                "allocatable": capacity,
                "addresses": [{"type": "InternalIP", "address": f"{NOWHERE}.20.0.{number + 1}"}],
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": stamp(random.Random(number))}],
                "nodeInfo": dict.fromkeys(unset, "")
                | {"kubeletVersion": "v1.34.4", "osImage": "Debian GNU/Linux 13", "operatingSystem": "linux"}
                | {"containerRuntimeVersion": "containerd://2.1.0", "architecture": "amd64"},
            },
        }
        for number in range(_NODES)
    ]


def node_of(pod: int) -> str:
    """The node that pod ``pod`` runs on."""
    return f"node-{pod % _NODES:02}"


def events() -> list[tuple[str, Json]]:
    """Warnings about pods that are gone, each with its namespace."""
    return [_event(number) for number in range(_EVENTS)]


def _event(number: int) -> tuple[str, Json]:
    rng = random.Random(f"{_SEED}/event/{number}")
    namespace, when = rng.choice(namespaces()), stamp(rng, 20)
    reason, message = rng.choice(_SAID)
    about = f"{namespace.split('-')[0]}-api-{number}-{suffix(rng)}"
    return namespace, {
        "metadata": {"name": f"{about}.{rng.getrandbits(64):016x}"},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "count": rng.randrange(1, 200),
        "firstTimestamp": when,
        "lastTimestamp": when,
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": about, "apiVersion": "v1"},
        "source": {"component": "kubelet", "host": node_of(number)},
    }


def stamp(rng: random.Random, days: int = 10) -> str:
    """A time in the first days of the company, as the API writes it."""
    return (_BEGAN + timedelta(seconds=rng.randrange(days * 86_400))).strftime("%Y-%m-%dT%H:%M:%SZ")


def suffix(rng: random.Random) -> str:
    """What makes a pod's name unique."""
    return "".join(rng.choices(_NAME_LETTERS, k=5))
