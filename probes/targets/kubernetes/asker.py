"""Requests to the service itself: a path that nobody knows, its health path, and stacks while it does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from probes import http
from probes.base import DeploymentId, Failure, ReplicaId
from probes.model import Deployment, HttpSample, Replica
from probes.schedule import Job
from probes.target import Unreadable
from probes.targets.kubernetes.access import ClusterAccess
from probes.targets.kubernetes.ports import likely_ports
from probes.targets.kubernetes.readings import Readings

SLOW_SECONDS = 1.0
_REQUESTS_AT_ONCE = 8
_STACKS = 3
_STACKS_SECONDS = 30.0
_BETWEEN_STACKS = 0.4
_OF_SERVICE = frozenset({"timeout", "refused", "reset", "unreachable", "invalid"})
HEALTH_AGAIN_SECONDS = 300.0
"""After so long the health paths are tried again where none was found."""
UNREACHED_SECONDS = 25.0
"""How much later a replica to which no connection is made is asked again, where many others wait."""
_ELSEWHERE_SECONDS = 30.0
"""Between two searches for another path than the one that is not there; the twelve latest answers are kept for 60 s."""


class Asker:
    """Asks replicas of one cluster; remembers where and by what path each answers."""

    def __init__(
        self,
        access: ClusterAccess,
        readings: Readings,
        deployments: Callable[[], Mapping[DeploymentId, Deployment]],
        *,
        stacks: bool,
    ) -> None:
        """``stacks``: programs may be run inside."""
        self._access = access
        self._readings = readings
        self._deployments = deployments
        self._stacks = stacks
        self._requests = asyncio.Semaphore(_REQUESTS_AT_ONCE)
        self._ports: dict[ReplicaId, int] = {}
        self._health: dict[ReplicaId, str] = {}
        self._stacks_at: dict[ReplicaId, float] = {}
        self._elsewhere_at: dict[ReplicaId, float] = {}

    def drop(self, replica: ReplicaId) -> None:
        """Forgets a replica, or its run before."""
        self._ports.pop(replica, None)
        self._health.pop(replica, None)
        self._stacks_at.pop(replica, None)
        self._elsewhere_at.pop(replica, None)
        self._access.forget(replica)

    def replica(self, job: Job) -> Replica | None:
        """The replica of a job, while it is there."""
        deployment = self._deployments().get(job.deployment)
        return next((one for one in deployment.replicas if one.id == job.replica), None) if deployment else None

    async def loop(self, job: Job) -> None:
        """A path that nobody knows, on the port that answered last, else on each that it may listen on."""
        async with self._requests:
            first: HttpSample | None = None
            for port in self._ports_of(job):
                probe = asyncio.create_task(http.loop_probe(self._access, job.replica, port))
                try:
                    await asyncio.wait({probe}, timeout=SLOW_SECONDS)
                    if not probe.done():
                        await self._take_stacks(job)
                    sample = await probe
                finally:
                    probe.cancel()
                first = first or sample
                if sample.status is not None:
                    self._ports[job.replica] = port
                    first = sample
                if sample.error not in {"refused", "unreachable"}:
                    break
        if first is not None and _its_own(first):
            self._readings.probed(job.replica, loop=first)
            self._readings.failed(job.replica, "proxy", None)
        elif first is not None and first.error == "forbidden":
            self._readings.failed(job.replica, "proxy", _no_proxy(job))

    async def health(self, job: Job) -> float:
        """The path of the pod's own check first; how many seconds later than usual it is worth asking again."""
        replica = self.replica(job)
        port = next(iter(self._ports_of(job)), None)
        if replica is None or port is None:
            return 0.0
        checked = [probe.path for probe in replica.probes or () if probe.handler == "http" and probe.path]
        paths = tuple(dict.fromkeys([*checked, *http.HEALTH_PATHS]))
        known = self._health.get(job.replica)
        refused = _readiness(replica) if replica.ready is False and replica.held_by is None else None
        known = known if refused is None else refused  # what keeps it from its traffic is of interest now
        async with self._requests:
            sample = await http.health_probe(self._access, job.replica, port, paths if known is None else (known,))
        if sample is None:
            if refused is not None:
                await self._look_elsewhere(job.replica, port, refused)
            probes = self._readings.of(job.replica).loop_probes
            if known is None and probes and probes[-1].status is not None:
                return HEALTH_AGAIN_SECONDS
            return 0.0 if self._heard(job.replica) else UNREACHED_SECONDS
        if sample.status is not None and sample.status != 404:
            self._health[job.replica] = sample.path
        elif sample.status == 404:
            self._health.pop(job.replica, None)
        if _its_own(sample):
            self._readings.probed(job.replica, health=sample)
        return 0.0 if sample.status is not None or self._heard(job.replica) else UNREACHED_SECONDS

    def _heard(self, replica: ReplicaId) -> bool:
        """Whether the service answered lately, or at least took the request: then the next one may tell more."""
        probes = self._readings.of(replica).loop_probes
        return bool(probes) and (probes[-1].status is not None or probes[-1].error == "timeout")

    async def _look_elsewhere(self, replica: ReplicaId, port: int, refused: str) -> None:
        """What its own check asks for is not there: which path does answer is what the check can be mended with."""
        now = time.monotonic()
        if now - self._elsewhere_at.get(replica, -_ELSEWHERE_SECONDS) < _ELSEWHERE_SECONDS:
            return
        self._elsewhere_at[replica] = now
        paths = tuple(path for path in http.HEALTH_PATHS if path != refused)
        async with self._requests:
            found = await http.health_probe(self._access, replica, port, paths)
        if found is not None and _its_own(found):
            self._readings.probed(replica, health=found)

    async def _take_stacks(self, job: Job) -> None:
        """Stacks while the loop does not answer; where there is no py-spy inside, that is said once."""
        now = time.monotonic()
        if not self._stacks or now - self._stacks_at.get(job.replica, -_STACKS_SECONDS) < _STACKS_SECONDS:
            return
        self._stacks_at[job.replica] = now
        workers = self._readings.of(job.replica).workers
        pids = [one.pid for one in workers if one.role != "master" and one.beside is None]
        for turn in range(_STACKS if pids else 0):
            try:
                found = await self._access.stacks(job.replica, pids[turn % len(pids)])
            except Unreadable as unreadable:
                self._readings.failed(job.replica, "stack", unreadable.failure)
                self._stacks_at[job.replica] = now + 10 * _STACKS_SECONDS
                return
            self._readings.stacked(job.replica, found)
            if not found.idle:
                pids = [found.pid]
            await asyncio.sleep(_BETWEEN_STACKS)

    def _ports_of(self, job: Job) -> tuple[int, ...]:
        known = self._ports.get(job.replica)
        if known is not None:
            return (known,)
        deployment, replica = self._deployments().get(job.deployment), self.replica(job)
        return () if deployment is None or replica is None else likely_ports(deployment, replica)


def _readiness(replica: Replica) -> str | None:
    """The path of the check that decides whether it gets traffic."""
    found = (p.path for p in replica.probes or () if p.role == "readiness" and p.handler == "http")
    return next(found, None)


def _its_own(sample: HttpSample) -> bool:
    """Whether it is the service that answered so, or did not, and not the API server on the way."""
    return sample.error is None or sample.error in _OF_SERVICE


def _no_proxy(job: Job) -> Failure:
    what = "the service's own answers"
    why = "its address is not reached from here, and pods/proxy is forbidden"
    hint = f"allow get on pods/proxy in {job.replica.partition('/')[0]}, or run fastops in the cluster's network"
    return Failure("forbidden", what, why, hint)
