"""What a case of the lab says on Kubernetes: one workload, what is done to it, what comes of it, what must be found.

A case is data. ``manifests.py`` makes objects of it, ``runner.py`` makes them real. Steps and facts that mean the same
on a Docker Engine are the lab's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from tests.lab.case import PORT, Answers, Hold, Load, Logged, Signal


class Delete(Struct, frozen=True):
    """``kubectl delete pod`` on each pod; ``None`` leaves the grace period as the pod has it."""

    grace_seconds: int | None = None


class Patch(Struct, frozen=True):
    """A strategic merge patch on the workload, such as a new revision of its template."""

    body: Mapping[str, Any]


class Waits(Struct, frozen=True):
    """The fact has happened when a container waits for one of these reasons, or has since gone beyond it."""

    reasons: tuple[str, ...]


class Ended(Struct, frozen=True):
    """The fact has happened when a container has ended like this, now or before it was started again."""

    reason: str | None = None
    exit_code: int | None = None


class Restarted(Struct, frozen=True):
    """The fact has happened when a container was started again so often, and runs if ``running``."""

    times: int = 1
    running: bool = False


class Happened(Struct, frozen=True):
    """The fact has happened when the API server holds an event of the workload, its ReplicaSets or pods like this."""

    reason: str
    text: str = ""
    times: int = 1


class Pods(Struct, frozen=True):
    """The fact has happened when so many pods are like this at the same time; ``None`` does not matter."""

    count: int = 1
    phase: str | None = None
    reason: str | None = None
    ready: bool | None = None


class Condition(Struct, frozen=True):
    """The fact has happened when the workload has this condition."""

    type: str
    status: str = "True"
    reason: str | None = None


class Replaced(Struct, frozen=True):
    """The fact has happened when none of the pods is left that were there at first, and as many others are ready."""


class Counted(Struct, frozen=True):
    """The fact has happened when the kubelet's cAdvisor measures at least this of a container."""

    metric: str
    at_least: float


Event = Waits | Ended | Restarted | Happened | Pods | Condition | Replaced | Counted
Fact = Logged | Answers | Event
Step = Load | Hold | Signal | Delete | Patch | Fact  # a fact as a step: go on when it has happened


class KubeCase(Struct, frozen=True):
    """One workload of the lab on Kubernetes.

    ``expect`` are the ids that must be found, ``allow`` those that may be; any other one is an
    invention. ``look_alike_of`` names what the case must not be taken for. ``container``, ``pod`` and ``spec`` take the
    place of fields of the container, the pod's spec and the workload's spec. ``beside`` are further containers of the
    pod. ``objects`` are made before it.
    """

    name: str
    command: tuple[str, ...]
    expect: frozenset[str] = frozenset()
    allow: frozenset[str] = frozenset()
    look_alike_of: str | None = None
    listed: bool = True
    image: str = "app"
    up: Fact | None = Answers()  # what tells that it has started; None when it never does
    drive: tuple[Step, ...] = ()  # begun once it is up
    until: tuple[Fact, ...] = ()  # what the drive brings about
    observe_seconds: float = 0
    kind: Literal["Deployment", "StatefulSet", "DaemonSet"] = "Deployment"
    replicas: int = 1
    port: int | None = PORT  # of the container, of its Service and of the load
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)  # of the workload
    annotations: Mapping[str, str] = field(default_factory=dict)  # of the workload
    container: Mapping[str, Any] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)
    beside: tuple[Mapping[str, Any], ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)
    objects: tuple[Mapping[str, Any], ...] = ()
    apart: bool = False  # its objects govern a whole namespace: it gets one of its own
