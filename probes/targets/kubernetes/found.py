"""A Prometheus server that the cluster runs: looked for among its Services, and asked beside the usual sources.

Latency it is always asked for, as nobody else in the cluster has it; memory, CPU and throttling only while
metrics-server or the kubelets do not tell them: those are fresher. It runs beside the other sources, so that a slow
server holds up none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from probes.base import DeploymentId, ReplicaId
from probes.model import Latency, Replica
from probes.target import Unreadable
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.prometheus import Prometheus, candidates
from probes.targets.kubernetes.readings import CADVISOR, Readings
from probes.targets.kubernetes.views import ServiceView

Running = Mapping[ReplicaId, tuple[DeploymentId, Replica]]
ASK_SECONDS = 30.0
"""Between two rounds of questions; for each 4,000 replicas so much more."""
_LOOK_SECONDS = 2.0
"""Until Services are looked through again, twice as long each time: they may be listed after pods."""
_AGAIN_SECONDS = 180.0
"""Until the same Service is asked again whether it is one, and the longest between two looks."""
_CANDIDATES = 3
"""Asked in one look."""
_PATIENCE_SECONDS = 3.0
"""How long a first picture waits for it."""


async def ask(
    server: Prometheus, running: Running, readings: Readings, *, figures: bool
) -> Mapping[DeploymentId, Latency]:
    """Latency by deployment; puts memory and CPU into ``readings`` where ``figures``. Raises :class:`Unreadable`."""
    if figures:
        for replica, figure in (await server.figures(running.keys())).items():
            readings.figure(replica, CADVISOR, figure.at, figure.memory, figure.cpu)
    return await server.latency({replica.rpartition("/")[0]: key for replica, (key, _) in running.items()})


def ask_again_seconds(running: Running) -> float:
    """Until the next round."""
    return ASK_SECONDS * (1 + len(running) // 4000)


class Found:
    """Searches and asks until it is cancelled; one round is :meth:`step`."""

    def __init__(
        self,
        client: ApiClient,
        readings: Readings,
        *,
        running: Callable[[], Running],
        services: Callable[[], list[ServiceView]],
        latency: Callable[[Mapping[DeploymentId, Latency]], None],
        lacking: Callable[[], bool],
    ) -> None:
        """``lacking`` tells whether the usual sources tell too little of memory and CPU."""
        self._client = client
        self._readings = readings
        self._running = running
        self._services = services
        self._latency = latency
        self._lacking = lacking
        self._server: Prometheus | None = None
        self._service = ""
        self._look_seconds = _LOOK_SECONDS
        self._due = 0.0
        self._again: dict[str, float] = {}
        self._filled = False
        self._begun: float | None = None
        self._round = False
        self.figures = False
        """Whether there is one that has figures of containers."""

    def settled(self) -> bool:
        """Whether it was looked for and asked once, or has had its time."""
        return self._round or (self._begun is not None and time.monotonic() - self._begun > _PATIENCE_SECONDS)

    async def step(self) -> None:
        """Does what is due. Raises nothing but cancellation."""
        now = time.monotonic()
        self._begun = now if self._begun is None else self._begun
        if now < self._due and not (self.figures and self._lacking() and not self._filled):
            return
        running = self._running()
        if not running:
            return
        if self._server is None:
            await self._search({one.partition("/")[0] for one in running})
        if self._server is not None:
            await self._ask(self._server, running)
        self._round = True

    async def _search(self, namespaces: set[str]) -> None:
        now = time.monotonic()
        self._due = now + self._look_seconds
        self._look_seconds = min(2 * self._look_seconds, _AGAIN_SECONDS)
        self._again = {service: until for service, until in self._again.items() if until > now}
        for service in [one for one in candidates(self._services()) if one.key not in self._again][:_CANDIDATES]:
            self._again[service.key] = now + _AGAIN_SECONDS
            server = Prometheus(None, self._client, service)
            try:
                offer = await server.offers(namespaces)
            except Unreadable:
                continue  # most are not allowed to ask, or it is none: what that costs, doctor says
            if offer.figures or (offer.latency and self._server is None):
                self._server, self._service, self.figures = server, service.key, offer.figures
            if offer.figures:
                break

    async def _ask(self, server: Prometheus, running: Running) -> None:
        self._due = time.monotonic() + ask_again_seconds(running)
        self._filled = self.figures and self._lacking()
        try:
            self._latency(await ask(server, running, self._readings, figures=self._filled))
        except Unreadable:
            self._lose()

    def _lose(self) -> None:
        """What is gone is looked for anew: it may have moved. What it told is past."""
        now = time.monotonic()
        self._again[self._service] = now + _AGAIN_SECONDS
        self._server, self.figures, self._filled = None, False, False
        self._look_seconds = _LOOK_SECONDS
        self._due = now + self._look_seconds
        self._latency({})
