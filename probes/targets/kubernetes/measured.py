"""What was measured of one replica: filled by the sampler, laid over what the API says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from probes.base import Failure, Frozen
from probes.model import Cpu, HttpSample, Listener, Memory, StackSample, Worker


class Measured(Frozen, frozen=True):
    """A reading of one replica; ``None`` where it was not, or could not be, read.

    Limits that are unknown here are those of the pod's description.
    """

    memory: Memory | None = None
    cpu: Cpu | None = None
    workers: tuple[Worker, ...] = ()
    """Those of other servers in the same container, too: they have ``beside`` set."""
    listeners: tuple[Listener, ...] | None = None
    loop_probes: tuple[HttpSample, ...] = ()
    health_probes: tuple[HttpSample, ...] = ()
    stacks: tuple[StackSample, ...] = ()
    drivers: tuple[str, ...] = ()
    packages: Mapping[str, str] = {}
    """Distributions that the service can import → version."""
    sampled_at: datetime | None = None
    unreadable: tuple[Failure, ...] = ()
