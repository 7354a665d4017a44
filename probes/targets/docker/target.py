"""The Docker target: connects, lists, follows, and publishes what it knows, whatever happens to the engine."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property

import msgspec

from probes import text
from probes.base import DeploymentId, Failure, ReplicaId
from probes.beside import beside
from probes.loghits import LogLine
from probes.logs import Matcher
from probes.model import Deployment, Interest, Link, LinkState, Node, Replica, TargetState
from probes.procfs import ProcFs
from probes.scraping import Scraper
from probes.target import Access, Drafter, Options, ReadOnly, Unreadable, Writer
from probes.targets.docker import contexts
from probes.targets.docker.access import DockerAccess
from probes.targets.docker.client import EngineClient
from probes.targets.docker.engine import Engine, meminfo
from probes.targets.docker.files import Files
from probes.targets.docker.fleet import Fleet
from probes.targets.docker.measure import LocalMeter
from probes.targets.docker.ports import port_of
from probes.targets.docker.preserve import preserve
from probes.targets.docker.recognition import Recogniser
from probes.targets.docker.remote import RemoteMeter
from probes.targets.docker.sampler import Sampler
from probes.targets.docker.tunnel import Tunnel

_PUBLISH_SECONDS = 0.15
"""Between two publications: readings that come together are told together."""
_BACKOFF_SECONDS = (0.5, 15.0)
_PATIENCE_SECONDS = 18.0
"""After so long on a live link the state counts as complete, and says what is missing: one bad container must not
delay the others for ever."""
_NAMED = 5
_FORBIDDEN = frozenset({"permission-denied", "forbidden"})


class DockerTarget:
    """Implements :class:`probes.target.Target`; raises :class:`Unreadable` when there is no such context."""

    def __init__(self, spec: str = "docker", options: Options | None = None) -> None:
        self.options = options or Options()
        self.place = contexts.resolve(spec)
        self.id = self.place.target
        self._fleet = Fleet(self.id, self.options)
        self._access = DockerAccess(self._fleet.containers, self.place.url)
        self.access: Access = self._access
        self._meter = LocalMeter(ProcFs())
        self._recogniser = Recogniser()
        self._tunnel = Tunnel(self.place.url) if self.place.endpoint is None else None
        self._same_machine = self.place.endpoint is not None and self.place.endpoint.socket is not None
        self._client = EngineClient(
            self.place.endpoint,
            read_only=self.options.read_only,
            opener=None if self._tunnel is None else self._tunnel.open,
            where=None if self._tunnel is None else text.line(self.place.url, 200),
        )
        self._access.client = self._client
        self._access.files = Files(self._client, ProcFs(), local=self._same_machine)
        self._sampler: Sampler | None = None
        self._scraper = Scraper(self._access, lambda: self._fleet.deployments, self._ports, self._fleet.touch)
        self._fleet.scrapes = self._scraper.scrapes
        self._interest = Interest()
        self._node: Node | None = None
        self._version: str | None = None
        self._link = Link(state="connecting", since=datetime.now(UTC))
        self._live_until: datetime | None = None
        self._engine: Engine | None = None
        """Once its containers are being listed: what it still waits for is missing from the state."""
        self._live_at = 0.0
        self._complete = False
        self._matcher: Matcher | None = None
        self._publish: Callable[[TargetState], None] = lambda _: None

    @cached_property
    def drafter(self) -> Drafter:
        """What drafts fixes; loaded when the first is: a start needs none."""
        from probes.targets.docker.draft import DockerDrafter

        return DockerDrafter(self._client, local=self._same_machine)

    async def run(self, publish: Callable[[TargetState], None]) -> None:
        """Publishes until cancelled; an engine that is down or forbidden is a state, and tried again."""
        self._publish = publish
        self._link = Link(state="connecting", since=datetime.now(UTC))  # also after a run that a defect ended
        self._tell()
        publisher = asyncio.create_task(self._publish_changes())
        try:
            await beside(self._keep_connected(), publisher)
        finally:
            publisher.cancel()
            await asyncio.gather(publisher, return_exceptions=True)
            await self._fleet.close()

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            was_live = False
            try:
                await self._connect_and_follow()
            except Unreadable as unreadable:
                was_live = self._link.state == "live"
                failures = 1 if was_live else failures + 1
                low, high = _BACKOFF_SECONDS
                delay = min(high, low * 2 ** min(failures - 1, 6)) * random.uniform(0.7, 1.3)  # noqa: S311
                self._lost(unreadable.failure, delay, was_live=was_live)
                await asyncio.sleep(delay)

    async def _connect_and_follow(self) -> None:
        client = self._client
        engine = Engine(
            client,
            self._fleet,
            self._access,
            self._recogniser,
            self._meter,
            same_machine=self._same_machine,
            started=self._started,
        )
        tasks: list[asyncio.Task[None]] = []
        try:
            await engine.open()
            self._version, self._node = client.version, engine.node
            self._link = Link(state="live", since=datetime.now(UTC))
            self._live_at, self._complete = asyncio.get_running_loop().time(), False
            self._tell()
            self._sampler = self._new_sampler(client)
            tasks.append(asyncio.create_task(self._sampler.run()))
            tasks.append(asyncio.create_task(self._scraper.run()))
            matching = asyncio.create_task(self._follow_logs(client))
            tasks.append(matching)
            await engine.list()
            self._engine = engine
            self._fleet.woken.set()
            await beside(engine.follow(), *tasks)
        finally:
            self._sampler = self._engine = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._fleet.follow(None, None)
            await engine.close()
            await client.close()

    def _new_sampler(self, client: EngineClient) -> Sampler:
        sampler = Sampler(
            self._access,
            self._meter,
            RemoteMeter(client),
            interval_seconds=self.options.interval_seconds,
            deployments=lambda: self._fleet.deployments,
            containers=self._fleet.containers,
            changed=self._fleet.touch,
        )
        sampler.interest = self._interest
        return sampler

    async def _follow_logs(self, client: EngineClient) -> None:
        if self._matcher is None:
            self._matcher = await asyncio.to_thread(Matcher, self.options.patterns)
        self._fleet.follow(client, self._matcher)

    def _ports(self, _: Deployment, replica: Replica) -> tuple[int, ...]:
        container = self._fleet.containers.get(replica.id)
        port = port_of(container) if container is not None else None
        return () if port is None else (port,)

    def _started(self, replica: ReplicaId) -> None:
        if self._sampler is not None:
            self._sampler.renew(replica)

    async def _publish_changes(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0 if not self._complete else None):
                    await self._fleet.woken.wait()
            woken = self._fleet.woken.is_set()
            self._fleet.woken.clear()
            complete = self._is_complete()
            if woken or complete != self._complete:
                self._complete = complete
                self._tell()
                if not complete and self._sampler is not None:
                    self._sampler.wake()
            await asyncio.sleep(_PUBLISH_SECONDS)

    def _is_complete(self) -> bool:
        if self._link.state != "live" or self._engine is None:
            return False
        if self._complete or (not self._engine.waiting and self._fleet.settled()):
            return True
        return asyncio.get_running_loop().time() - self._live_at > _PATIENCE_SECONDS

    def _failures(self) -> tuple[Failure, ...]:
        """What a complete state lacks."""
        waiting = sorted(self._engine.waiting.values()) if self._engine is not None and self._complete else []
        if not waiting:
            return ()
        named = ", ".join(waiting[:_NAMED]) + (f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else "")
        what = f"{len(waiting)} container{'s' if len(waiting) > 1 else ''} ({named})"
        why = "the engine did not let them be looked at in time, so they may be missing from the list"
        return (Failure("timeout", what, why, "scan again when the engine is less busy"),)

    def _tell(self) -> None:
        changed = self._fleet.refresh()
        now = datetime.now(UTC)
        if self._link.state == "live":
            self._live_until = now
        nodes = {}
        if self._node is not None:
            available = meminfo("MemAvailable") if self._fleet.here else None
            nodes = {self._node.id: msgspec.structs.replace(self._node, memory_available_bytes=available)}
        self._publish(
            TargetState(
                target=self.id,
                link=self._link,
                as_of=self._live_until or now,
                version=self._version,
                nodes=nodes,
                failures=self._failures(),
                deployments=dict(self._fleet.deployments),
                changed=changed,
                complete=self._complete,
            )
        )

    def _lost(self, failure: Failure, delay: float, *, was_live: bool) -> None:
        now = datetime.now(UTC)
        state: LinkState = "forbidden" if failure.code in _FORBIDDEN else "stale" if was_live else "down"
        same = self._link.state == state
        self._link = Link(
            state=state,
            since=self._link.since if same else now,
            why=f"{failure.why}.",
            hint=failure.hint or None,
            retry_at=now + timedelta(seconds=delay),
        )
        self._complete = False
        self._tell()

    def focus(self, interest: Interest) -> None:
        """What to read first."""
        self._interest = self._scraper.interest = interest
        if self._sampler is not None:
            self._sampler.interest = interest
            self._sampler.wake()

    def lines(self, deployment: DeploymentId, after: int = 0) -> Sequence[LogLine]:
        """The kept tail of a deployment's logs."""
        return self._fleet.lines(deployment, after)

    async def preserve(self, deployment: DeploymentId) -> Mapping[str, bytes]:
        """Logs, inspect, processes, counters and stacks of a deployment's replicas."""
        return await preserve(self._access, self._fleet.members(deployment))

    def writer(self) -> Writer:
        """Raises :class:`ReadOnly` in read-only mode."""
        if self.options.read_only:
            raise ReadOnly("This session is read-only.")
        from probes.targets.docker.write import DockerWriter

        return DockerWriter(self._client)

    async def close(self) -> None:
        """Ends connections and the tunnel."""
        await self._fleet.close()
        await self._client.close()
        if self._tunnel is not None:
            await self._tunnel.close()
