"""What the kubelet's checks are judged by: their answers, what fastops saw, and why a service may be down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from fixes.model import Evidence, Fires, View
from fixes.signatures import (
    _shared,
    address_in_use,
    bind_loopback,
    cpu_throttled,
    db_unreachable,
    event_loop_blocked,
    fd_exhausted,
    missing_env,
    oom_killed,
    pool_exhausted,
    threadpool_exhausted,
    worker_boot_failed,
    worker_timeout,
)
from fixes.signatures._shared import At
from probes.base import Value
from probes.loghits import LogHit
from probes.model import HttpSample, Replica
from probes.orchestrator import ProbeSpec

REFUSED = re.compile(r"(?i)connection refused|couldn't connect to server|failed to connect to")
LATE = re.compile(r"context deadline exceeded|Client\.Timeout exceeded|i/o timeout|timed? ?out")
NO_PROGRAM = re.compile(
    r"exec: \"?(?P<program>[^\s\":]+)\"?: executable file not found|sh: (?:\d+: )?(?P<shell>[\w.\-]+): not found"
)
QUICK_SECONDS = 0.5
LEAST = 3
_CAUSES = (
    event_loop_blocked,
    bind_loopback,
    missing_env,
    worker_boot_failed,
    address_in_use,
    oom_killed,
    fd_exhausted,
    pool_exhausted,
    threadpool_exhausted,
    db_unreachable,
    worker_timeout,
    cpu_throttled,
)
"""Failures for which a service does not answer its check: they are the finding then."""


class Wrong(NamedTuple):
    """Why a check cannot succeed, or that it kills what works."""

    why: str
    facts: Mapping[str, Value]
    found: tuple[tuple[LogHit, At], ...]
    more: tuple[Evidence, ...] = ()


def has_a_cause(view: View) -> bool:
    """Whether the service has a reason of its own not to answer."""
    return any(isinstance(module.SIGNATURE.detect(view), Fires) for module in _CAUSES)


def asked(view: View, replica: Replica) -> list[HttpSample]:
    """What the health endpoint answered fastops in the window."""
    return [p for p in replica.health_probes if p.at >= view.start]


def spec(view: View, place: At, probe: str) -> ProbeSpec | None:
    """The check of this role of the pod that a line is about."""
    replica = _shared.replica_of(view, place.replica)
    return next((one for one in (replica.probes if replica is not None else None) or () if one.role == probe), None)
