"""Asks services and looks into containers, when :mod:`probes.schedule` says so: a few replicas of each deployment.

What is looked at, seen or in trouble is gone through each second; all the rest every few seconds, and of it only so
much is done that ten thousand pods cost no more than a hundred.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

import msgspec

from probes import doubt
from probes.base import DeploymentId, Failure, ReplicaId
from probes.model import Deployment, Interest, Memory, Replica
from probes.schedule import Budget, Job, JobKind, Periods, answers_slowly, due, is_small
from probes.servers import ServerCommand
from probes.target import ReadOnly, Unreadable
from probes.targets.kubernetes.access import ClusterAccess
from probes.targets.kubernetes.asker import UNREACHED_SECONDS, Asker
from probes.targets.kubernetes.choice import FEW, chosen
from probes.targets.kubernetes.kubelets import Kubelets
from probes.targets.kubernetes.readings import Readings
from probes.targets.kubernetes.workers import Reader

TICK_SECONDS = 1.0
MANY_TICK_SECONDS = 2.0
"""The same of a large fleet; who begins to look at something wakes it."""
DOUBT_TICK_SECONDS = 0.2
"""While answers of a small fleet's loops do not tell yet whether they turn."""
REST_SECONDS = 5.0
REST_JOBS = 10
"""Of deployments that nobody looks at, each time: two requests a second."""
_REST_TURNS = 6
"""In so many turns all of them are gone through: a sixth of many is looked over at a time."""
MANY_LATER_SECONDS = 3.0
"""Of large fleets nobody waits for services to be asked: their lists and logs come first."""
NEAR_DEPLOYMENTS = 40
_LOOKS_AT_ONCE = 2
_FAR_SECONDS = (15.0, 120.0)
_EACH_LOOK_SECONDS = 2.0
"""Between two looks inside, into whatever containers nobody looks at: a look costs some 0.2 s of CPU."""
_FIRST_RATE_SECONDS = 1.0
_PRESENT_SECONDS = 30.0
"""A rate over a longer time says little of the last seconds."""
_REFUSED_SECONDS = 300.0
_NO_EXEC = Failure(
    "not-allowed",
    "the figures of single workers, their descriptors and listeners",
    "reading them takes a program inside the container",
    "the console runs one where it is not read-only, and so does scan --exec",
)


class Sampler:
    """Measures one cluster's deployments until it is cancelled."""

    def __init__(
        self,
        access: ClusterAccess,
        reader: Reader | None,
        readings: Readings,
        kubelets: Kubelets,
        *,
        interval_seconds: float,
        deployments: Callable[[], Mapping[DeploymentId, Deployment]],
        command: Callable[[DeploymentId], ServerCommand | None],
    ) -> None:
        """``reader`` is ``None`` where no program may be run inside; ``command`` tells a deployment's server."""
        self._access = access
        self._reader = reader
        self._readings = readings
        self._kubelets = kubelets
        self._ways_in = Kubelets()
        """Which nodes run programs in containers: one may tell logs and not that."""
        self._deployments = deployments
        self._command = command
        near = max(5.0, interval_seconds)
        self._budget = Budget(
            sample=Periods(max(4.0, 2 * interval_seconds), 15.0, _FAR_SECONDS[1]),
            probe=Periods(near, near, max(30.0, near)),
            jobs=16,
        )
        self._kinds: tuple[JobKind, ...] = ("loop", "health") if reader is None else ("sample", "loop", "health")
        self._done: dict[tuple[JobKind, ReplicaId], float] = {}
        self._busy: set[tuple[JobKind, ReplicaId]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asker = Asker(access, readings, deployments, stacks=reader is not None)
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._refused: dict[str, tuple[float, Failure]] = {}
        self._rest_at = self._many_from = 0.0
        self._turn = 0
        self._woken = asyncio.Event()
        self.interest = Interest()

    def wake(self) -> None:
        """Something new is there, or another interest: look at what is due now."""
        self._woken.set()

    def update(self, changed: Collection[DeploymentId]) -> None:
        """Takes note of what became of these deployments: a new run of a replica begins with nothing known."""
        deployments = self._deployments()
        for key in changed:
            deployment = deployments.get(key)
            if deployment is None:
                continue
            for replica in deployment.replicas:
                if self._readings.begin(replica):
                    self._drop(replica.id)
        self.wake()

    def settled(self) -> bool:
        """Whether every deployment was asked once, where they are few enough to be all asked at once."""
        deployments = self._deployments()
        if len(deployments) > FEW:
            return True
        return not self._busy and all(
            (kind, replica.id) in self._done
            for deployment in deployments.values()
            for replica in chosen(deployment, self.interest, few=True)
            for kind in self._kinds
        )

    def forget(self, alive: set[ReplicaId]) -> None:
        """Drops replicas that are no more."""
        gone = {replica for _, replica in self._done} - alive
        for replica in gone:
            self._drop(replica)
        self._readings.forget(gone | (self._readings.known() - alive))
        if self._reader is not None:
            self._reader.forget(alive)

    async def run(self) -> None:
        """Until cancelled; what is under way then ends with it."""
        self._many_from = time.monotonic() + MANY_LATER_SECONDS
        try:
            while True:
                self._woken.clear()
                self._begin(time.monotonic())
                try:
                    async with asyncio.timeout(self._tick_seconds()):
                        await self._woken.wait()
                    await asyncio.sleep(0.1)  # what changes together is looked at once
                except TimeoutError:
                    continue
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _tick_seconds(self) -> float:
        deployments = self._deployments().values()
        if len(deployments) > FEW:
            return MANY_TICK_SECONDS
        if not is_small(deployments):
            return TICK_SECONDS
        doubted = any(doubt.unsettled(replica.loop_probes) for one in deployments for replica in one.replicas)
        return DOUBT_TICK_SECONDS if doubted else TICK_SECONDS

    def _begin(self, now: float) -> None:
        deployments = self._deployments()
        few = len(deployments) <= FEW
        if not few and now < self._many_from:
            return
        interest = self.interest
        wanted = [
            *([interest.focused] if interest.focused else []),
            *sorted(interest.troubled),
            *sorted(interest.visible),
        ]
        near = {key: deployments[key] for key in wanted[:NEAR_DEPLOYMENTS] if key in deployments}
        jobs = self._due(now, near.values(), self._budget)
        if few or now >= self._rest_at:
            self._rest_at = now + REST_SECONDS
            self._turn += 1
            rest = list(deployments.items())[0 if few else self._turn % _REST_TURNS :: 1 if few else _REST_TURNS]
            most = self._budget.jobs if few else REST_JOBS
            allowance = Budget(self._far_samples(few), self._budget.probe, most)
            jobs += self._due(now, [one for key, one in rest if key not in near], allowance)
        for job in jobs:
            self._start(job, now)

    def _far_samples(self, few: bool) -> Periods:
        """How often what nobody looks at is looked into: as often as all of them together allow."""
        if not few:
            return self._budget.sample
        low, high = _FAR_SECONDS
        looked_into = sum(len(chosen(one, self.interest, few=True)) for one in self._deployments().values())
        far = min(high, max(low, _EACH_LOOK_SECONDS * looked_into))
        return msgspec.structs.replace(self._budget.sample, far=far)

    def _due(self, now: float, deployments: Collection[Deployment], budget: Budget) -> list[Job]:
        everything = self._deployments()
        few = len(everything) <= FEW
        found = due(
            now,
            deployments,
            self.interest,
            budget,
            self._done,
            kinds=self._kinds,
            replicas=lambda one: chosen(one, self.interest, few=few),
            small=is_small(everything.values()),
        )
        return [job for job in found if (job.kind, job.replica) not in self._busy]

    def _start(self, job: Job, now: float) -> None:
        replica = self._asker.replica(job)
        if replica is None:
            return
        before = self._done.get((job.kind, job.replica), now)
        self._done[job.kind, job.replica] = now
        if self._reader is None:
            self._readings.failed(job.replica, "inside", _NO_EXEC)
        if job.kind == "sample":
            if self._ways_in.silent(replica.node) is None:
                self._spawn(job, self._look(job, replica, now - before))
        elif self._kubelets.silent(replica.node) is None or self._access.reaches(job.replica):
            self._spawn(job, self._asker.loop(job) if job.kind == "loop" else self._ask_health(job))

    async def _ask_health(self, job: Job) -> None:
        rest = await self._asker.health(job)
        few = len(self._deployments()) <= FEW
        if rest > UNREACHED_SECONDS or (rest and not few and job.deployment != self.interest.focused):
            self._done["health", job.replica] = time.monotonic() + rest

    def _spawn(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        key = (job.kind, job.replica)
        task = asyncio.create_task(work)
        self._busy.add(key)
        self._tasks.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            self._busy.discard(key)

        task.add_done_callback(ended)

    def _drop(self, replica: ReplicaId) -> None:
        for kind in ("sample", "loop", "health"):
            self._done.pop((kind, replica), None)
        self._asker.drop(replica)

    async def _look(self, job: Job, replica: Replica, since_seconds: float) -> None:
        """One look inside; a second soon after the first, for a rate needs two.

        Where it is slow just now, rates over the whole time since the look before would tell of a better past.
        """
        assert self._reader is not None
        refused = self._refused.get(job.replica.partition("/")[0])
        if refused is not None and time.monotonic() < refused[0]:
            self._readings.failed(job.replica, "inside", refused[1])
            return
        known = self._readings.of(job.replica)
        close = job.deployment == self.interest.focused
        anew = bool(known.workers) and since_seconds > _PRESENT_SECONDS and answers_slowly(replica)
        try:
            for turn in range(2 if anew or not known.workers else 1):
                if turn:
                    await asyncio.sleep(_FIRST_RATE_SECONDS)
                used = now.used_bytes if (now := self._readings.of(job.replica).memory) is not None else None
                memory = Memory(used_bytes=used, limit=replica.memory.limit)
                async with self._looks:
                    found = await self._reader.read(
                        job.replica, self._command(job.deployment), memory=memory, close=close
                    )
                self._ways_in.answered(replica.node)
                if turn or not anew:
                    self._readings.inside(job.replica, found)
        except Unreadable as unreadable:
            failure = unreadable.failure
            self._ways_in.failed(replica.node, unreadable, job.replica)
            if failure.code == "forbidden":
                self._refused[job.replica.partition("/")[0]] = (time.monotonic() + _REFUSED_SECONDS, failure)
            self._readings.failed(job.replica, "inside", failure)
        except ReadOnly:
            self._readings.failed(job.replica, "inside", _NO_EXEC)
