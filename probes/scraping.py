"""Asks services for their own counters of requests: few of them, seldom, and only where there are any.

What is looked at, seen or in trouble is asked, and all of a small fleet. One request each time; where ``/metrics`` is
not there, or counts no requests, it is not asked again for five minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from probes import http
from probes.base import DeploymentId, ReplicaId
from probes.latency import not_users
from probes.model import Deployment, Interest, Replica
from probes.scrapes import Scrapes
from probes.target import Access

FOCUSED_SECONDS, NEAR_SECONDS, FAR_SECONDS = 10.0, 15.0, 30.0
"""Between two requests to one replica."""
FIRST_SECONDS = 5.0
"""To the second one: a rate needs two."""
SMALL_FLEET = 20
"""Deployments: with no more, all of them are asked."""
MOST_NEAR = 100
"""Deployments of a larger fleet that are gone through: what is looked at and seen comes before what is in trouble."""
REPLICAS = 4
"""Of one deployment; the others are likely to fare as these do."""
AGAIN_SECONDS = 300.0
TICK_SECONDS = 1.0
AT_ONCE = 4
BEGUN = 8
"""Requests begun in one second, over all."""

Ports = Callable[[Deployment, Replica], Sequence[int]]


class _Known:
    """A run of a replica and what it counted."""

    def __init__(self, started_at: datetime | None) -> None:
        self.started_at = started_at
        self.scrapes = Scrapes()
        self.port: int | None = None
        self.asked_at = float("-inf")
        self.answered = 0
        self.not_before = float("-inf")
        self.task: asyncio.Task[None] | None = None


class Scraper:
    """Asks until it is cancelled."""

    def __init__(
        self,
        access: Access,
        deployments: Callable[[], Mapping[DeploymentId, Deployment]],
        ports: Ports,
        changed: Callable[[Sequence[ReplicaId]], None],
    ) -> None:
        """``ports`` are those on which a replica may answer, the likeliest first; ``changed`` is told who answered."""
        self._access = access
        self._deployments = deployments
        self._ports = ports
        self._changed = changed
        self._known: dict[ReplicaId, _Known] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.interest = Interest()

    def scrapes(self) -> Mapping[ReplicaId, Scrapes]:
        """What the replicas counted."""
        return {one: known.scrapes for one, known in self._known.items() if known.port is not None}

    async def run(self) -> None:
        """Until cancelled; what is under way then ends with it."""
        try:
            while True:
                self.begin(time.monotonic())
                await asyncio.sleep(TICK_SECONDS)
        finally:
            tasks = [known.task for known in self._known.values() if known.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def begin(self, now: float) -> None:
        """Begins the requests whose time has come."""
        alive: set[ReplicaId] = set()
        due: list[tuple[float, _Known, Deployment, Replica]] = []
        for deployment in self._near():
            period = self._period(deployment.id)
            for replica in deployment.running[:REPLICAS]:
                alive.add(replica.id)
                known = self._of(replica)
                late = now - known.asked_at - (FIRST_SECONDS if known.answered == 1 else period)
                if late >= 0 and now >= known.not_before and known.task is None and _answers(replica):
                    due.append((-late, known, deployment, replica))
        for _, known, deployment, replica in sorted(due, key=lambda one: one[0])[:BEGUN]:
            known.asked_at = now
            known.task = asyncio.create_task(self._ask(known, deployment, replica))
        for gone in [one for one, known in self._known.items() if one not in alive and known.task is None]:
            del self._known[gone]

    def _near(self) -> Collection[Deployment]:
        deployments, interest = self._deployments(), self.interest
        if len(deployments) <= SMALL_FLEET:
            return deployments.values()
        focused = () if interest.focused is None else (interest.focused,)
        near = dict.fromkeys((*focused, *sorted(interest.visible), *sorted(interest.troubled)))
        return [deployments[one] for one in near if one in deployments][:MOST_NEAR]

    def _period(self, deployment: DeploymentId) -> float:
        if deployment == self.interest.focused:
            return FOCUSED_SECONDS
        if deployment in self.interest.visible or deployment in self.interest.troubled:
            return NEAR_SECONDS
        return FAR_SECONDS

    def _of(self, replica: Replica) -> _Known:
        known = self._known.get(replica.id)
        if known is None or (known.started_at != replica.started_at and known.task is None):
            known = self._known[replica.id] = _Known(replica.started_at)
        return known

    async def _ask(self, known: _Known, deployment: Deployment, replica: Replica) -> None:
        try:
            ports = (known.port,) if known.port is not None else tuple(self._ports(deployment, replica))
            for port in ports:
                async with self._turns:
                    sample, scrape = await http.metrics(self._access, replica.id, port, not_users((replica,)))
                if scrape is not None:
                    known.port = port
                    known.answered += 1
                    known.scrapes.take(scrape, time.monotonic(), sample.at)
                    self._changed((replica.id,))
                    return
                if sample.status is not None:
                    known.not_before = time.monotonic() + AGAIN_SECONDS
                    return
        finally:
            known.task = None


def _answers(replica: Replica) -> bool:
    """Whether it answered lately: a service that starts, or hangs, is not asked for more."""
    return bool(replica.loop_probes) and replica.loop_probes[-1].status is not None
