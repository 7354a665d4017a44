"""What all data is made of: the frozen base, identifiers, and failures as data."""

from __future__ import annotations

from typing import NewType

import msgspec

TargetId = NewType("TargetId", str)
"""``docker``, ``docker@CONTEXT``, ``local``, ``k8s/CONTEXT``: what the ids of that target begin with."""


DeploymentId = NewType("DeploymentId", str)
"""``docker/checkout``, ``docker/PROJECT/SERVICE``, ``local/NAME``, ``k8s/CONTEXT/NAMESPACE/KIND/NAME``; parts are
percent-encoded."""


def target_of(deployment: str) -> TargetId:
    """The target that a full id of a deployment begins with: its first part, on Kubernetes the first two."""
    first, *rest = deployment.split("/", 2)
    return TargetId(f"{first}/{rest[0]}" if first == "k8s" and rest else first)


ReplicaId = NewType("ReplicaId", str)
"""The engine's own id of a container, ``PID:START`` of a local master (start in clock ticks since boot), or
``NAMESPACE/POD/CONTAINER``."""


NodeId = NewType("NodeId", str)


PatternKey = NewType("PatternKey", str)
"""Opaque to the log matcher: ``SIGNATURE/NAME`` by convention of the signatures."""


Value = str | int | float | bool


class Frozen(msgspec.Struct, frozen=True):
    """The base of all data: immutable, compared by value."""


class Failure(Frozen, frozen=True):
    """Something that could not be read, as one sentence in three parts."""

    code: str
    """Stable and machine-readable: ``permission-denied``, ``not-found``, ``timeout``, ``unreachable``, …"""
    what: str
    why: str
    hint: str
