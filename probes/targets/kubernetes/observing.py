"""All that is read beside the objects, while there is a connection: figures, answers, logs, documents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from probes.base import DeploymentId, Failure, ReplicaId
from probes.beside import beside
from probes.latency import latency
from probes.loghits import LogLine
from probes.logs import Matcher
from probes.model import Interest, Latency, Replica
from probes.scraping import Scraper
from probes.target import Options, Unreadable
from probes.targets.kubernetes.access import ClusterAccess
from probes.targets.kubernetes.choice import FEW
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.contents import Contents
from probes.targets.kubernetes.documents import Documents
from probes.targets.kubernetes.fleet import Fleet
from probes.targets.kubernetes.kubelets import Kubelets
from probes.targets.kubernetes.logbooks import Logs
from probes.targets.kubernetes.measure import Meter
from probes.targets.kubernetes.mirror import Mirror
from probes.targets.kubernetes.ports import likely_ports
from probes.targets.kubernetes.prometheus import Prometheus
from probes.targets.kubernetes.readings import Readings
from probes.targets.kubernetes.sampler import Sampler
from probes.targets.kubernetes.views import ServiceView
from probes.targets.kubernetes.workers import Reader

_TICK_SECONDS = 1.0
_AGE_TICKS = 20
_LATENCY_TICKS = 5
_LATENCY_TICKS_OF_MANY = 15


class Observing:
    """Kept over reconnects: what was read stays, and is gone on with."""

    def __init__(
        self,
        client: ApiClient,
        fleet: Fleet,
        mirror: Mirror,
        access: ClusterAccess,
        options: Options,
    ) -> None:
        self._client = client
        self._fleet = fleet
        self._options = options
        self._matcher: Matcher | None = None
        self._kubelets = Kubelets()
        self._readings = Readings(fleet.measured, fleet.touch)
        self._logs = Logs(lambda: fleet.deployments, options.lookback, fleet.touch, self._kubelets)
        fleet.hits, fleet.coverage = self._logs.hits, self._logs.coverage
        self._prometheus_failure: Failure | None = None
        self._meter = Meter(
            client,
            self._readings,
            self._kubelets,
            namespace=lambda: mirror.namespace,
            deployments=lambda: fleet.deployments,
            services=lambda: [one for one in mirror.objects("services").values() if isinstance(one, ServiceView)],
            latency=self._told_by_server,
            prometheus=self._configured(options.prometheus),
        )
        self._sampler = Sampler(
            access,
            Reader(client) if options.execute and not options.read_only else None,
            self._readings,
            self._kubelets,
            interval_seconds=options.interval_seconds,
            deployments=lambda: fleet.deployments,
            command=fleet.command,
        )
        self._documents = Documents(fleet)
        self._contents = Contents(fleet, self._meter.settled) if options.execute and not options.read_only else None
        self._where: dict[ReplicaId, DeploymentId] = {}
        self._scraper = Scraper(access, lambda: fleet.deployments, likely_ports, fleet.touch)
        self._served: Mapping[DeploymentId, Latency] = {}

    async def prepare(self) -> None:
        """Compiles the patterns, which takes a moment; what the API says of what is listed waits for them."""
        if self._matcher is None:
            self._matcher = await asyncio.to_thread(Matcher, self._options.patterns)
            self._logs.prepare(self._matcher)

    async def run(self) -> None:
        """Reads until it is cancelled; :meth:`prepare` first."""
        self._logs.connect(self._client)
        helpers = [
            asyncio.create_task(one)
            for one in (
                self._sampler.run(),
                _again(self._meter.step),
                _again(self._meter.step_beside),
                self._documents.run(self._client),
                self._scraper.run(),
            )
        ]
        if self._contents is not None:
            helpers.append(asyncio.create_task(self._contents.run(self._client)))
        try:
            await beside(self._keep(), *helpers)
        finally:
            for one in helpers:
                one.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._logs.disconnect()

    def update(self, changed: frozenset[DeploymentId]) -> None:
        """Takes note of what became of these deployments, and of what the API said about what is listed."""
        if changed:
            for key in changed & self._fleet.deployments.keys():
                self._where.update(dict.fromkeys((one.id for one in self._fleet.deployments[key].replicas), key))
            self._sampler.update(changed)
            self._logs.update(changed)
        if self._logs.ready:
            for heard in self._fleet.heard():
                self._logs.hear(heard.deployment, heard.replica, heard.event)

    def replica(self, replica: ReplicaId) -> Replica | None:
        """A replica as it is now, while it is listed."""
        deployment = self._fleet.deployments.get(self._where.get(replica, DeploymentId("")))
        return next((one for one in deployment.replicas if one.id == replica), None) if deployment else None

    def focus(self, interest: Interest) -> None:
        """What to read first."""
        self._sampler.interest = self._meter.interest = self._scraper.interest = interest
        if self._contents is not None:
            self._contents.interest = interest
        self._logs.focus(interest)
        self._sampler.wake()

    def settled(self) -> bool:
        """Whether everything that is waited for was read once, or cannot be."""
        told = self._documents.settled and (self._contents is None or self._contents.settled)
        return told and self._logs.settled() and self._meter.settled() and self._sampler.settled()

    def failures(self) -> tuple[Failure, ...]:
        """What keeps it from being read."""
        own = (self._prometheus_failure,) if self._prometheus_failure is not None else ()
        return (*own, *self._meter.failures(), *self._logs.failures())

    def lines(self, deployment: DeploymentId, after: int) -> Sequence[LogLine]:
        """The kept tail of a deployment's logs."""
        return self._logs.lines(deployment, after)

    async def close(self) -> None:
        """Ends what is open."""
        await self._logs.disconnect()
        await self._meter.close()

    async def _keep(self) -> None:
        ticks = 0
        while True:
            self._logs.tick()
            ticks += 1
            few = len(self._fleet.deployments) <= FEW
            if ticks % (_LATENCY_TICKS if few else _LATENCY_TICKS_OF_MANY) == 0:
                self._tell_latency()
            if ticks % _AGE_TICKS == 0:
                self._fleet.age()
                alive = {one.id for found in self._fleet.deployments.values() for one in found.replicas}
                self._where = {one: key for one, key in self._where.items() if one in alive}
                self._sampler.forget(alive)
                self._meter.forget(alive)
            await asyncio.sleep(_TICK_SECONDS if not self._logs.hurried else _TICK_SECONDS / 10)

    def _told_by_server(self, found: Mapping[DeploymentId, Latency]) -> None:
        self._served = found
        self._tell_latency()

    def _tell_latency(self) -> None:
        """What the services themselves tell, else what a Prometheus server does."""
        scrapes, looked_at = self._scraper.scrapes(), self._scraper.interest
        scraped = {self._where[one] for one in scrapes if one in self._where}
        told = dict(self._served)
        near = {looked_at.focused} if looked_at.focused is not None else set()
        for key in scraped | near | looked_at.visible | looked_at.troubled:
            found = self._fleet.deployments.get(key)
            if found is None:
                continue
            own = latency(
                found.replicas,
                found.settings,
                found.server,
                scrapes,
                partial(self._logs.requests, key),
                time.monotonic(),
                time.time(),
                self._served.get(key),
            )
            if own is not None:
                told[key] = own
        self._fleet.told_latency(told)

    def _configured(self, url: str | None) -> Prometheus | None:
        if url is None:
            return None
        try:
            return Prometheus(url)
        except Unreadable as unreadable:
            self._prometheus_failure = unreadable.failure
            return None


async def _again(step: Callable[[], Awaitable[None]]) -> None:
    while True:
        await step()
        await asyncio.sleep(_TICK_SECONDS * 2)
