"""Deployments to make examples from: a container with a server, a Deployment of pods, and what differs from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from probes.base import DeploymentId, ReplicaId, TargetId, Value
from probes.history import Point
from probes.model import Deployment, Event, Limit, Memory, Replica, Setting, Worker
from probes.orchestrator import Ended, Orchestrated, ProbeSpec, Revision, Rollout, ServicePort, Waiting

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
"""The moment at which every example is looked at."""
REPLICA = ReplicaId("c0ffee")
POD = ReplicaId("shop/api-7d4b9c-x2x1z/api")
READINESS = ProbeSpec("readiness", "http", path="/ready", port=8000)
LIVENESS = ProbeSpec("liveness", "http", path="/health", port=8000)
STARTED = NOW - timedelta(hours=2)


def ago(seconds: float) -> datetime:
    """So long before the moment of the example."""
    return NOW - timedelta(seconds=seconds)


def replica(**changes: object) -> Replica:
    """A container that has been running for two hours."""
    plain = Replica(
        id=REPLICA, name="api", state="running", ready=True, started_at=STARTED, created_at=STARTED, sampled_at=NOW
    )
    return msgspec.structs.replace(plain, **changes)


def deployment(*replicas: Replica, settings: Mapping[str, Value] = {}, **changes: object) -> Deployment:
    """A FastAPI service in a container, of these replicas."""
    plain = Deployment(
        id=DeploymentId("docker/api"),
        target=TargetId("docker"),
        name="api",
        kind="container",
        framework="fastapi",
        recognised_by="uvicorn app:app, fastapi 0.115 installed",
        replicas=replicas or (replica(),),
        settings={name: Setting(value, "command line") for name, value in settings.items()},
    )
    return msgspec.structs.replace(plain, **changes)


def container(settings: Mapping[str, Value] = {}, **changes: object) -> Deployment:
    """A deployment of one container with these differences."""
    return deployment(replica(**changes), settings=settings)


def pod(**changes: object) -> Replica:
    """A pod that has been ready for two hours, with both checks and a memory limit of 1 GiB."""
    plain = replica(
        id=POD,
        name="api-7d4b9c-x2x1z",
        restarts=0,
        image="shop/api:1.2.4",
        image_id="sha256:1",
        revision="7d4b9c",
        declared_ports=(8000,),
        probes=(READINESS, LIVENESS),
        memory=Memory(limit=Limit(limited=True, value=float(1 << 30))),
        stop_signal_timeout_seconds=30.0,
    )
    return msgspec.structs.replace(plain, **changes)


def workload(*pods: Replica, settings: Mapping[str, Value] = {}, **changes: object) -> Deployment:
    """A FastAPI service in a Deployment of these pods, with a Service in front."""
    plain = Deployment(
        id=DeploymentId("k8s/kind/shop/Deployment/api"),
        target=TargetId("k8s/kind"),
        name="api",
        namespace="shop",
        kind="Deployment",
        framework="fastapi",
        recognised_by="uvicorn app:app",
        replicas=pods or (pod(),),
        desired=len(pods) or 1,
        settings={name: Setting(value, "command line") for name, value in settings.items()},
        orchestrated=Orchestrated(
            services=(ServicePort("api", 80, 8000),),
            rollout=Rollout(complete=True),
            revisions=(Revision(2, "api-7d4b9c", current=True), Revision(1, "api-5f6d7e")),
        ),
    )
    return msgspec.structs.replace(plain, **changes)


def waiting(reason: str, seconds: float = 180, message: str | None = None, **changes: object) -> Replica:
    """A pod whose container does not run, for so long."""
    crashed = reason == "CrashLoopBackOff"
    plain: dict[str, object] = {
        "state": "restarting" if crashed else "created",
        "ready": False,
        "started_at": None,
        "created_at": ago(seconds + 1),
        "waiting": Waiting(reason, message, ago(seconds)),
    }
    return pod(**(plain | changes))


def of_another(reason: str, container: str = "agent", message: str | None = None) -> Waiting:
    """What a container beside the one that serves waits for."""
    return Waiting(reason, f"container {container}: {message or reason}", ago(30), container)


def ended(reason: str, code: int, seconds_ago: float = 60, ran_seconds: float = 30, **changes: object) -> Ended:
    """The previous run of a pod's container: how it ended, so long ago."""
    began = ago(seconds_ago + ran_seconds)
    plain = Ended(ago(seconds_ago), reason, code, started_at=began)
    return msgspec.structs.replace(plain, **changes)


def worker(pid: int = 17, **changes: object) -> Worker:
    """A worker under a master, an hour old."""
    plain = Worker(pid=pid, replica=REPLICA, role="worker", inner_pid=pid, started_at=ago(3600), age_seconds=3600)
    return msgspec.structs.replace(plain, **changes)


def points(*pairs: tuple[float, float]) -> tuple[Point, ...]:
    """A series: seconds before now (negative) and value."""
    return tuple(Point(*pair) for pair in pairs)


def event(kind: str, seconds_ago: float, exit_code: int | None = None) -> Event:
    """Something that happened to the container so long ago."""
    return msgspec.convert({"at": ago(seconds_ago), "kind": kind, "exit_code": exit_code}, Event)
