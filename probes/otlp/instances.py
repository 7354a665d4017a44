"""What processes sent of their requests, put together. Pure.

Each process is one instance: by its ``service.instance.id``, which OpenTelemetry's Python SDK makes for each process,
else by the connection that it sends through, and by both where several processes were given the same one (workers that
are forked of one, or a variable that is the host's name).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from probes.otlp.decode import Export
from probes.otlp.instance import MOST_LATE_SECONDS, Instance, Peer
from probes.traffic import Traffic

OWNER = "fastops.deployment"
"""An attribute of the resource that names the deployment: for what comes through an address that is nobody's."""
INSTANCES = 1_000
NUMBERS = 1_000_000
"""Counters of all instances together: half a thousand processes with a hundred routes and answers each take 35 MiB.
Beyond, who was not heard for longest is forgotten."""


_Resource = tuple[tuple[str, str], ...]


class Name(NamedTuple):
    """What tells one process from all others."""

    resource: _Resource
    peer: Peer | None
    """Where the resource does not name the instance, or several processes have that name."""


class Instances:
    """All that was heard; the latest heard stands last."""

    def __init__(self) -> None:
        self._heard: dict[Name, Instance] = {}
        self._shared: set[_Resource] = set()
        """Names of an instance that several processes have."""
        self.size = 0
        """How many numbers are kept."""

    def take(self, exports: Iterable[Export], peer: Peer, now: float) -> None:
        """What came from ``peer`` at ``now`` (monotonic seconds)."""
        for export in exports:
            name = self._name(export, peer)
            one = self._heard.pop(name, None) or Instance(export.resource, peer)
            self.size -= one.size
            one.peer = peer
            one.take(export.points, now)
            self.size += one.size
            self._heard[name] = one
        self._forget(now)

    def _name(self, export: Export, peer: Peer) -> Name:
        told = tuple(sorted(export.resource.items()))
        if not export.resource.get("service.instance.id") or told in self._shared:
            return Name(told, peer)
        one = self._heard.get(Name(told, None))
        if one is None or one.peer == peer or not one.is_another(export.points):
            return Name(told, None)
        self._shared.add(told)
        self._heard = {Name(told, one.peer) if each is one else name: each for name, each in self._heard.items()}
        return Name(told, peer)

    def heard(self, now: float) -> tuple[Instance, ...]:
        """Those that still send, the latest last."""
        return tuple(one for one in self._heard.values() if one.is_heard(now))

    def _forget(self, now: float) -> None:
        for name in [name for name, one in self._heard.items() if now - one.heard_at > MOST_LATE_SECONDS]:
            self.size -= self._heard.pop(name).size
        while len(self._heard) > INSTANCES or self.size > NUMBERS:
            self.size -= self._heard.pop(next(iter(self._heard))).size
        if self._shared:
            self._shared.intersection_update([name.resource for name in self._heard])


def together(heard: Iterable[Instance], workers: int | None, replicas: int = 1) -> Traffic | None:
    """The requests of one deployment; ``workers`` is how many processes of it answer, ``None`` where nobody knows.

    Of more instances than processes the latest heard count: the others have ended. A process that was not asked for
    anything sends nothing: where others of the ``replicas`` were heard twice meanwhile, it is idle.
    """
    living = list(heard)
    if workers is not None:
        living = living[-max(1, workers) :]
    told = [found for one in living if (found := one.traffic()) is not None]
    if not told:
        return None
    buckets: dict[float, float] = {}
    for one in told:
        for bound, rate in one.buckets.items():
            buckets[bound] = buckets.get(bound, 0.0) + rate
    failed = [one.errors_per_second for one in told if one.errors_per_second is not None]
    short = workers is not None and len(told) < workers
    due = len(told) >= replicas and all(one.exports > 1 for one in living)
    return Traffic(
        at=max(one.at for one in told),
        source=told[-1].source + (f", {len(told)} of {workers} workers" if short else ""),
        per_second=sum(one.per_second for one in told),
        errors_per_second=sum(failed) if len(failed) == len(told) else None,
        buckets=buckets,
        whole=len(told) == len(living) and (due or not short),
    )
