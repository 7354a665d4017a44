"""Whether a container has the memory for a small program, which its own processes must not miss.

What a program needs counts towards the container's limit: where little is left, running one may end the service.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal

from probes.base import DeploymentId, ReplicaId
from probes.model import Deployment, Memory
from probes.targets.kubernetes.ids import replica_id
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.undecided import Unseen

SHORT_BYTES = 32 << 20
"""With less left below its memory limit no Python is run in a container: it needs up to half of that."""
SMALL_BYTES = 128 << 20
"""Below such a limit no Python is run while nobody knows what is used: a FastAPI service alone takes half of that."""
WAIT_SECONDS = 20.0
"""So long figures are waited for: sources have those of a new container after 15 s."""
_REMEMBERED = 20_000

_PYTHON, _SHELL = ("python3", "python"), "sh"

Room = Literal["enough", "short", "awaited"]

_Key = tuple[ReplicaId, object]


def readers(memory: Memory) -> tuple[str, ...]:
    """What may read a container of whose memory this is known, best first: a shell needs a megabyte, Python eight.

    While nobody knows what is used the shell reads: what it finds tells, so that the next look may be Python's. A
    container that is small, or full, is not read where it has no shell.
    """
    limit, used = memory.limit.value, memory.used_bytes
    if limit is None or (used is not None and limit - used >= SHORT_BYTES):
        return (*_PYTHON, _SHELL)
    return (_SHELL, *_PYTHON) if used is None and limit >= SMALL_BYTES else (_SHELL,)


class Headroom:
    """Remembers since when it waits for the figures of which container."""

    def __init__(self, asked: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        """``asked`` tells whether every source of figures was asked once."""
        self._asked = asked
        self._clock = clock
        self._since: dict[_Key, tuple[float, bool]] = {}
        """When one without figures was first seen, and whether all sources had been asked by then."""

    def of(
        self, one: Unseen, listed: Mapping[DeploymentId, Deployment], measured: Mapping[ReplicaId, Measured]
    ) -> Room:
        """What is known of it now; ``awaited`` for 20 s at most, and only where figures may come."""
        limit = one.container.memory_limit.value
        if limit is None:
            return "enough"
        replica = replica_id(one.pod.namespace, one.pod.name, one.container.name)
        known = measured.get(replica)
        used = known.memory.used_bytes if known is not None and known.memory is not None else None
        if used is not None:
            return "short" if limit - used < SHORT_BYTES else "enough"
        deployment = listed.get(one.deployment)
        if (
            deployment is not None
            and any(replica == its.id for its in deployment.replicas)
            and self._awaits(one, replica)
        ):
            return "awaited"
        return "short" if limit < SMALL_BYTES else "enough"

    def _awaits(self, one: Unseen, replica: ReplicaId) -> bool:
        """What was there when the sources were first asked, and has no figures then, gets none soon."""
        if len(self._since) > _REMEMBERED:
            self._since.clear()
        asked = self._asked()
        since, before = self._since.setdefault((replica, one.template), (self._clock(), asked))
        return self._clock() - since < WAIT_SECONDS and before == asked
