"""Deployments to make examples from: a container with a server, and what differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from probes.base import DeploymentId, ReplicaId, TargetId, Value
from probes.history import Point
from probes.model import Deployment, Event, Replica, Setting, Worker

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
"""The moment at which every example is looked at."""
REPLICA = ReplicaId("c0ffee")
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
