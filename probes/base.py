"""What all data is made of: the frozen base, identifiers, and failures as data."""

from __future__ import annotations

from typing import NewType

import msgspec

TargetId = NewType("TargetId", str)
"""``docker``, ``docker@CONTEXT``, ``local``: the first part of every id of that target."""


DeploymentId = NewType("DeploymentId", str)
"""``docker/checkout``, ``docker/PROJECT/SERVICE``, ``local/NAME``; parts are percent-encoded."""


ReplicaId = NewType("ReplicaId", str)
"""The engine's own id of a container, or ``PID:START`` of a local master (start in clock ticks since boot)."""


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
