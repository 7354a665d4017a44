"""The services that run as processes of this machine."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property

import msgspec

from probes import doubt, schedule
from probes.aside import Aside
from probes.base import DeploymentId, Failure, ReplicaId, TargetId
from probes.control import Control
from probes.controls import Controls, Subject, in_question
from probes.loghits import LogLine
from probes.logs import Matcher
from probes.model import Deployment, Interest, Link, Listener, Node, Replica, TargetState
from probes.procfs import ProcFs, Tree
from probes.schedule import JobKind
from probes.scraping import Scraper
from probes.target import Access, Drafter, Options, ReadOnly, Writer
from probes.targets.local import measure, preserve
from probes.targets.local.access import LocalAccess
from probes.targets.local.ask import Asker
from probes.targets.local.find import Finder, Master
from probes.targets.local.logs import POLL_SECONDS
from probes.targets.local.measure import Measured, Meter
from probes.targets.local.service import Service
from probes.targets.local.services import Services
from probes.targets.local.write import LocalWriter

LOCAL = TargetId("local")
SWEEP_SECONDS = 3.0
"""Between two looks at the list of processes."""
NODE_SECONDS = 10.0
STARTING_SECONDS = 2.0
REFRESH_SECONDS = 10.0
DOUBT_POLL_SECONDS = 0.2
"""While answers of a small fleet's loops do not tell yet whether they turn."""
QUIET_SECONDS = 5.0
"""A state is published at least this often, so that whoever looks knows how fresh it is."""
_PROC_SECONDS = 10.0
_STUCK = Failure(
    "timeout",
    "new processes, memory, CPU, workers and listeners",
    "reading /proc does not come back",
    "the machine is overloaded, or a process hangs in the kernel; measured again once the read is over",
)


class LocalTarget:
    """Implements :class:`probes.target.Target` for the processes of this machine."""

    def __init__(self, options: Options, *, supervisor: str | None = None) -> None:
        """``supervisor`` limits it to what the supervisor at this socket started: the demo's own services.

        They are few, so each is measured as if it were in trouble.
        """
        self.id = LOCAL
        self._options = options
        self._supervisor = supervisor
        self._procfs = ProcFs()
        self._finder = Finder(self._procfs, unknown=options.unknown, supervisor=supervisor)
        self._meter = Meter(self._procfs)
        self._aside = Aside("fastops-proc")
        self._stuck: Failure | None = None
        self._matcher = Matcher(options.patterns)
        self._services = Services(self.id, self._matcher, options.lookback)
        self._tree = Tree({}, 0.0)
        self._swept = self._node_at = float("-inf")
        self._node: Node = measure.node()
        self._interest = Interest()
        self._done: dict[tuple[JobKind, ReplicaId], float] = {}
        self._shown: Mapping[DeploymentId, Deployment] = {}
        self._since = datetime.now(UTC)
        self._published = float("-inf")
        self._complete = False
        self._failures: tuple[Failure, ...] = ()
        self._wake = asyncio.Event()
        self._round_ended = asyncio.Event()
        self._rounds = 0
        self._running = False
        self._doubted = False
        self._budget = schedule.budget(options.interval_seconds)
        self._access = LocalAccess(self._procfs, self._listeners)
        self._asker = Asker(self._access)
        self._controls = Controls(self._procfs, self._access, self._controlled)
        self._scraper = Scraper(self._access, lambda: self._shown, self._ports, self._scraped)
        self._services.scrapes = self._scraper.scrapes
        self.access: Access = self._access

    @cached_property
    def drafter(self) -> Drafter:
        """What drafts fixes; loaded when the first is: a start needs none."""
        from probes.targets.local.draft import LocalDrafter

        return LocalDrafter(self._procfs, self.master)

    async def run(self, publish: Callable[[TargetState], None]) -> None:
        """Sweeps, measures and asks until cancelled."""
        if self._procfs.stat(os.getpid()) is None:
            publish(self._state(_unsupported()))
            await asyncio.Event().wait()
        scraping: asyncio.Task[None] | None = None
        try:
            # Compiled before the first line: it takes a while and holds nobody up in a thread of its own.
            await asyncio.to_thread(self._matcher.prepare)
            self._running = True
            scraping = asyncio.create_task(self._scraper.run())
            while True:
                began = time.monotonic()
                await self._step(began)
                self._publish(publish, began)
                self._rounds += 1
                self._round_ended.set()
                await self._sleep(began)
        finally:
            self._running = False
            self._round_ended.set()
            if scraping is not None:
                scraping.cancel()
                await asyncio.gather(scraping, return_exceptions=True)
            self._asker.cancel()
            await self._controls.end()

    def focus(self, interest: Interest) -> None:
        """What to measure first."""
        if interest != self._interest:
            self._interest = self._scraper.interest = interest
            self._wake.set()

    def lines(self, deployment: DeploymentId, after: int = 0) -> Sequence[LogLine]:
        """The kept tail of a service's logs."""
        service = self._services.get(deployment)
        return () if service is None else service.log.lines(after)

    async def preserve(self, deployment: DeploymentId) -> Mapping[str, bytes]:
        """Its log's tail, two stack samples of each worker, descriptors and memory, redacted."""
        service = self._services.get(deployment)
        return {} if service is None else await preserve.evidence(service, self._procfs, self.access)

    def writer(self) -> Writer:
        """Raises :class:`ReadOnly` in read-only mode."""
        if self._options.read_only:
            raise ReadOnly("local processes are opened read-only")
        return LocalWriter(self._procfs, self.refresh)

    async def close(self) -> None:
        """Closes files, requests and journal readers."""
        await self._asker.end()
        self._services.close()
        await self._access.close()

    async def refresh(self) -> None:
        """Lists and measures everything anew and publishes it; returns when that is done, or when nobody runs this."""
        wanted = self._rounds + 2  # the round that is under way may have read already
        try:
            async with asyncio.timeout(REFRESH_SECONDS):
                while self._running and self._rounds < wanted:
                    self._done.clear()
                    self._swept = float("-inf")
                    self._wake.set()
                    self._round_ended.clear()
                    await self._round_ended.wait()
        except TimeoutError:
            return

    def master(self, deployment: DeploymentId) -> Master | None:
        """The running master of a service, as it was seen last."""
        service = self._services.get(deployment)
        return None if service is None or service.ended_at is not None else service.master

    async def _step(self, now: float) -> None:
        try:
            await self._read(now)
            self._stuck = None
        except TimeoutError:
            self._stuck = _STUCK
        self._services.poll()

    async def _read(self, now: float) -> None:
        """All that comes from ``/proc``, and the requests. Raises :class:`TimeoutError` where ``/proc`` hangs."""
        if now - self._swept >= max(self._options.interval_seconds, SWEEP_SECONDS):
            self._swept = now
            self._tree, masters = await self._aside.call(self._sweep, within_seconds=_PROC_SECONDS)
            self._services.take(masters, self._tree)
            self._done = {key: at for key, at in self._done.items() if key[1] in self._services.by_replica}
        if now - self._node_at >= NODE_SECONDS:
            self._node_at, self._node = now, measure.node()
        deployments = self._services.deployments(self._node.id)
        interest = self._interest
        if self._supervisor is not None:
            interest = msgspec.structs.replace(interest, troubled=frozenset(deployments))
        small = schedule.is_small(deployments.values())
        self._doubted = small and any(
            doubt.unsettled(replica.loop_probes) for one in deployments.values() for replica in one.replicas
        )
        jobs = schedule.due(now, deployments.values(), interest, self._budget, self._done, small=small)
        wanted = {job.replica for job in jobs if job.kind == "sample"} | self._starting(now)
        samples = [self._services.by_replica[replica] for replica in wanted]
        if samples:
            self._done.update({("sample", replica): now for replica in wanted})
            self._tree, found = await self._aside.call(lambda: self._measure(samples), within_seconds=_PROC_SECONDS)
            for service, one in zip(samples, found, strict=True):
                self._services.measured(service, one)
        for job in jobs:
            service = self._services.by_replica[job.replica]
            if job.kind != "sample" and service.is_up() and not self._asker.asks(job.kind, service):
                self._done[job.kind, job.replica] = now
                self._asker.ask(job.kind, service)
        self._controls.look(self._by_gunicorn(interest))

    def _by_gunicorn(self, interest: Interest) -> Iterator[Subject]:
        """What has a control socket, perhaps."""
        for replica, one in self._services.by_replica.items():
            if one.measured is None or one.ended_at is not None or one.master is None or one.master.command is None:
                continue
            if one.master.command.server == "gunicorn":
                near = interest.observed or one.id == interest.focused or one.id in interest.troubled
                yield Subject(replica, one.measured.workers, near or in_question(one.loop_probes))

    def _controlled(self, replica: ReplicaId, told: Control) -> None:
        service = self._services.by_replica.get(replica)
        if service is not None and service.ended_at is None:
            service.controlled(told)

    def _starting(self, now: float) -> set[ReplicaId]:
        """What does not listen yet is looked at again soon."""
        waiting = {replica for replica, service in self._services.by_replica.items() if service.is_starting()}
        return {one for one in waiting if now - self._done.get(("sample", one), 0.0) >= STARTING_SECONDS}

    def _sweep(self) -> tuple[Tree, tuple[Master, ...]]:
        tree = self._procfs.tree()
        return tree, self._finder.masters(tree)

    def _measure(self, services: Sequence[Service]) -> tuple[Tree, list[Measured | None]]:
        tree = self._procfs.tree()
        self._meter.forget(tree)
        return tree, [self._meter.measure(tree, one.master) if one.master is not None else None for one in services]

    def _publish(self, publish: Callable[[TargetState], None], now: float) -> None:
        """Says what is new; that nothing is, now and then."""
        state = self._state(self._stuck)
        if (
            state.changed
            or state.failures != self._failures
            or state.complete != self._complete
            or now - self._published >= QUIET_SECONDS
        ):
            self._published, self._complete, self._shown = now, state.complete, state.deployments
            self._failures = state.failures
            publish(state)

    def _state(self, failure: Failure | None = None) -> TargetState:
        deployments = self._services.deployments(self._node.id)
        changed = {key for key, one in deployments.items() if self._shown.get(key) is not one}
        changed |= self._shown.keys() - deployments.keys()
        return TargetState(
            target=self.id,
            link=Link(state="live", since=self._since),
            as_of=datetime.now(UTC),
            nodes={self._node.id: self._node},
            failures=() if failure is None else (failure,),
            deployments=deployments,
            changed=frozenset(changed),
            complete=self._services.complete(),
        )

    def _ports(self, _: Deployment, replica: Replica) -> tuple[int, ...]:
        service = self._services.by_replica.get(replica.id)
        port = service.port() if service is not None else None
        return () if port is None else (port,)

    def _scraped(self, replicas: Sequence[ReplicaId]) -> None:
        for replica in replicas:
            if replica in self._services.by_replica:
                self._services.by_replica[replica].changed = True

    def _listeners(self, replica: ReplicaId) -> tuple[Listener, ...]:
        service = self._services.by_replica.get(replica)
        return () if service is None else service.listeners()

    async def _sleep(self, began: float) -> None:
        """Until the next look at logs; sooner when what is looked at changes."""
        self._wake.clear()
        poll_seconds = DOUBT_POLL_SECONDS if self._doubted else POLL_SECONDS
        left = max(0.05, poll_seconds - (time.monotonic() - began))
        try:
            async with asyncio.timeout(left):
                await self._wake.wait()
        except TimeoutError:
            return


def _unsupported() -> Failure:
    return Failure(
        code="unsupported",
        what="the processes of this machine",
        why="they are read from /proc, which this system does not have",
        hint="Run fastops on the Linux machine that runs the services, or look at containers: fastops tui docker.",
    )
