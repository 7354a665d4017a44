"""Runs what :mod:`probes.schedule` says is due: measurements, requests to the services, stacks of blocked loops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from probes import doubt, http
from probes.base import DeploymentId, Failure, ReplicaId
from probes.control import Control
from probes.controls import Controls
from probes.model import Deployment, HttpSample, Interest
from probes.schedule import KINDS, SMALL_REPLICAS, Budget, Job, JobKind, budget, due, is_small
from probes.target import Unreadable
from probes.targets.docker.access import DockerAccess
from probes.targets.docker.container import Container
from probes.targets.docker.measure import LocalMeter, Reading, Subject
from probes.targets.docker.ports import port_of
from probes.targets.docker.remote import RemoteMeter

TICK_SECONDS = 1.0
DOUBT_TICK_SECONDS = 0.2
"""While answers of a small fleet's loops do not tell yet whether they turn."""
YOUNG_SECONDS = 15.0
"""So long after its start a replica is measured often: workers are being born."""
SLOW_SECONDS = 1.0
"""A loop probe that takes longer is worth a look at the stack."""
BURST = 3
BURST_SECONDS = 30.0
_BETWEEN_STACKS = 0.4
_FIRST_RATE_SECONDS = 0.5
_SWEEP_SECONDS = 10.0
_REQUESTS_AT_ONCE = 8
_HEALTH_AGAIN_SECONDS = 300.0
"""After so long the health paths are tried again where none was found."""
_SATURATED = 0.9
_STUCK = Failure(
    "timeout",
    "memory, CPU, workers and listeners",
    "reading /proc does not come back",
    "the machine is overloaded, or a process hangs in the kernel; measured again once the read is over",
)


class Sampler:
    """Measures one engine's deployments until it is cancelled."""

    def __init__(
        self,
        access: DockerAccess,
        local: LocalMeter,
        remote: RemoteMeter,
        *,
        interval_seconds: float,
        deployments: Callable[[], Mapping[DeploymentId, Deployment]],
        containers: Mapping[ReplicaId, Container],
        changed: Callable[[Sequence[ReplicaId]], None],
    ) -> None:
        self._access = access
        self._local = local
        self._remote = remote
        self._deployments = deployments
        self._containers = containers
        self._changed = changed
        self._interval = interval_seconds
        self._done: dict[tuple[JobKind, ReplicaId], float] = {}
        self._burst_at: dict[ReplicaId, float] = {}
        self._young_until: dict[ReplicaId, float] = {}
        self._busy: set[tuple[JobKind, ReplicaId]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests = asyncio.Semaphore(_REQUESTS_AT_ONCE)
        self._controls = Controls(local.procfs, access, self._controlled)
        self._woken = asyncio.Event()
        self.interest = Interest()

    def wake(self) -> None:
        """Something new is there, or another interest: look at what is due now."""
        self._woken.set()

    def renew(self, replica: ReplicaId) -> None:
        """A new process runs: everything about it is due, and due again soon while it is young."""
        started = self._containers[replica].base.started_at if replica in self._containers else None
        age = (datetime.now(UTC) - started).total_seconds() if started is not None else 0.0
        self._young_until[replica] = time.monotonic() + min(YOUNG_SECONDS, YOUNG_SECONDS - age)
        for kind in KINDS:
            self._done.pop((kind, replica), None)
        self.wake()

    async def run(self) -> None:
        """Until cancelled; what is under way then ends with it."""
        try:
            while True:
                self._woken.clear()
                self._begin(time.monotonic())
                try:
                    async with asyncio.timeout(self._tick_seconds()):
                        await self._woken.wait()
                except TimeoutError:
                    continue
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._controls.end()

    def _tick_seconds(self) -> float:
        containers = self._containers.values()
        if len(containers) <= SMALL_REPLICAS and any(doubt.unsettled(tuple(one.loop_probes)) for one in containers):
            return min(DOUBT_TICK_SECONDS, self._interval)
        return min(TICK_SECONDS, self._interval)

    def _begin(self, now: float) -> None:
        allowance: Budget = budget(self._interval, local=any(one.local for one in self._containers.values()))
        self._young_until = {one: until for one, until in self._young_until.items() if until > now}
        young = frozenset(self._young_until)
        deployments = self._deployments().values()
        jobs = [
            job
            for job in due(now, deployments, self.interest, allowance, self._done, young, small=is_small(deployments))
            if (job.kind, job.replica) not in self._busy and job.replica in self._containers
        ]
        samples = [job for job in jobs if job.kind == "sample"]
        for job in jobs:
            self._done[job.kind, job.replica] = now
        local = [job for job in samples if self._containers[job.replica].local]
        if local:
            self._spawn(local, self._sweep(local))
        for job in samples:
            if job not in local:
                self._spawn([job], self._ask_engine(job))
        for job in jobs:
            if job.kind == "loop":
                self._spawn([job], self._loop(job))
            elif job.kind == "health":
                self._spawn([job], self._health(job))
        self._controls.look(s for c in self._containers.values() if (s := c.by_gunicorn(self.interest)) is not None)
        if len(self._done) > 4 * len(self._containers) + 64:
            self._forget()

    def _controlled(self, replica: ReplicaId, told: Control) -> None:
        container = self._containers.get(replica)
        if container is not None and container.running:
            container.controlled(told)
            self._changed((replica,))

    def _spawn(self, jobs: list[Job], work: Coroutine[Any, Any, None]) -> None:
        keys = {(job.kind, job.replica) for job in jobs}
        task = asyncio.create_task(work)
        self._busy |= keys
        self._tasks.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            self._busy.difference_update(keys)

        task.add_done_callback(ended)

    def _forget(self) -> None:
        alive = set(self._containers)
        self._done = {key: at for key, at in self._done.items() if key[1] in alive}
        self._burst_at = {key: at for key, at in self._burst_at.items() if key in alive}
        self._local.forget(alive)
        self._remote.forget(alive)

    def _subject(self, job: Job) -> Subject:
        container = self._containers[job.replica]
        command = container.known.command if container.known else None
        return Subject(
            replica=container.id,
            pid=container.pid,
            server=command.server if command else None,
            memory_limit=container.base.memory.limit,
            cpu_limit=container.base.cpu.limit,
            shared_network=container.shared_network,
            command=command,
            details_seconds=self._details_seconds(job.deployment),
            log_path=container.log_path,
        )

    def _details_seconds(self, deployment: DeploymentId) -> float:
        if deployment == self.interest.focused:
            return 0.0
        return 10.0 if deployment in self.interest.troubled else 30.0

    async def _sweep(self, jobs: list[Job]) -> None:
        """Measures; what was never measured is measured again at once, for a rate needs two samples."""
        fresh = [job for job in jobs if self._is_fresh(job)]
        await self._sweep_once(jobs)
        again = [job for job in fresh if job.replica in self._containers and self._containers[job.replica].running]
        if again:
            await asyncio.sleep(_FIRST_RATE_SECONDS)
            await self._sweep_once(again)

    def _is_fresh(self, job: Job) -> bool:
        container = self._containers.get(job.replica)
        return container is not None and container.reading is None

    async def _sweep_once(self, jobs: list[Job]) -> None:
        subjects = [self._subject(job) for job in jobs if job.replica in self._containers]
        try:
            readings = await self._local.aside.call(lambda: self._local.sweep(subjects), within_seconds=_SWEEP_SECONDS)
        except TimeoutError:
            self._take({one.replica: None for one in subjects}, _STUCK)
            return
        self._take(readings, None)

    async def _ask_engine(self, job: Job) -> None:
        fresh = self._is_fresh(job)
        await self._ask_engine_once(job)
        if fresh and job.replica in self._containers and self._containers[job.replica].reading is not None:
            await asyncio.sleep(_FIRST_RATE_SECONDS)
            await self._ask_engine_once(job)

    async def _ask_engine_once(self, job: Job) -> None:
        try:
            if job.replica in self._containers:
                self._take({job.replica: await self._remote.measure(self._subject(job))}, None)
        except Unreadable as unreadable:
            self._take({job.replica: None}, unreadable.failure)

    def _take(self, readings: Mapping[ReplicaId, Reading | None], failure: Failure | None) -> None:
        for replica, reading in readings.items():
            container = self._containers.get(replica)
            if container is not None:
                container.take(reading)
                container.failed("sample", failure)
        self._changed(tuple(readings))

    async def _loop(self, job: Job) -> None:
        container = self._containers.get(job.replica)  # it may have gone since the job was made
        port = port_of(container) if container is not None else None
        if container is None or port is None:
            return
        async with self._requests:
            probe = asyncio.create_task(http.loop_probe(self._access, job.replica, port))
            try:
                await asyncio.wait({probe}, timeout=SLOW_SECONDS)
                if not probe.done():
                    await self._burst(container)
                sample = await probe
            finally:
                probe.cancel()
        container.probed(loop=sample)
        self._changed((job.replica,))
        if len(self._containers) <= SMALL_REPLICAS:
            self.wake()  # what was answered may be worth another request soon

    async def _health(self, job: Job) -> None:
        container = self._containers.get(job.replica)  # it may have gone since the job was made
        port = port_of(container) if container is not None else None
        if container is None or port is None:
            return
        paths = http.HEALTH_PATHS if container.health_path is None else (container.health_path,)
        async with self._requests:
            sample: HttpSample | None = await http.health_probe(self._access, job.replica, port, paths)
        if sample is None:
            if container.health_path is None and container.loop_probes and container.loop_probes[-1].status is not None:
                self._done["health", job.replica] = time.monotonic() + _HEALTH_AGAIN_SECONDS
            return
        if sample.status is not None:
            container.health_path = sample.path
        container.probed(health=sample)
        self._changed((job.replica,))

    async def _burst(self, container: Container) -> None:
        """Three stacks while the loop does not answer: each worker once, or again the one that was seen to be busy."""
        now = time.monotonic()
        if not container.local or saturated(container):
            return
        if now - self._burst_at.get(container.id, -BURST_SECONDS) < BURST_SECONDS:
            return
        self._burst_at[container.id] = now
        reading = container.reading
        workers = (reading.workers if reading else None) or ()
        pids = [one.pid for one in workers if one.role != "master" and one.beside is None]
        for turn in range(BURST if pids else 0):
            try:
                found = await self._access.stacks(container.id, pids[turn % len(pids)])
            except Unreadable as unreadable:
                container.failed("stack", unreadable.failure)
                return
            container.sampled(found)
            if not found.idle:
                pids = [found.pid]
            await asyncio.sleep(_BETWEEN_STACKS)


def saturated(container: Container) -> bool:
    """Whether a container has no CPU left: then a slow loop says nothing about what it runs."""
    cpu = container.reading.cpu if container.reading else None
    if cpu is None:
        return False
    if cpu.throttled_ratio is not None and cpu.throttled_ratio >= 0.25:
        return True
    limit = cpu.limit.value
    return cpu.used_cores is not None and limit is not None and cpu.used_cores >= _SATURATED * limit
