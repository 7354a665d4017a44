"""Looks once into a container of each template for what its description does not tell: what it is, what it imports.

One small program is run, where programs may be run at all; it reads files and prints them (:mod:`.lookprogram`). What
they mean is told here (:mod:`.looking`). What is not listed and cannot be told otherwise is looked into where there is
little of it; large fleets as far as somebody looks at them or they are in trouble.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol

from probes.base import DeploymentId, NodeId, ReplicaId
from probes.model import Deployment, Interest
from probes.target import ReadOnly, Unreadable
from probes.targets.kubernetes.choice import FEW
from probes.targets.kubernetes.headroom import Headroom, Room
from probes.targets.kubernetes.ids import replica_id
from probes.targets.kubernetes.kubelets import Kubelets
from probes.targets.kubernetes.looking import Look, nothing
from probes.targets.kubernetes.lookprogram import OUTPUT_BYTES
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.told import Told
from probes.targets.kubernetes.undecided import Undecided, Unseen
from probes.targets.kubernetes.views import PodView, TemplateView

_AT_ONCE = 2
_LOOK_SECONDS = 0.5
_MANY_SECONDS = 3.0
"""The same of a large fleet."""
_TROUBLED_TURNS = 5
"""Of a large fleet what is looked at and seen is gone through each time, what is in trouble once in so many."""
_AGAIN_SECONDS = (10.0, 600.0)
_REFUSED_SECONDS = 300.0
_DEADLINE_SECONDS = 10.0
_WHOLE_SECONDS = 25.0
"""For all rounds of one container."""
_ENDED = "container not found"
"""A kubelet's words for a container that has ended meanwhile."""
_REMEMBERED = 20_000
_INTERPRETERS = ("python3", "python")


class Executing(Protocol):
    """What is needed of an :class:`ApiClient`."""

    async def execute(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: tuple[str, ...] | list[str],
        *,
        stdin: bytes = b"",
        timeout_seconds: float = 10.0,
        limit: int = 1 << 20,
    ) -> bytes:
        """Runs a program in a container."""


class Holding(Protocol):
    """What is needed of a fleet."""

    deployments: dict[DeploymentId, Deployment]
    measured: dict[ReplicaId, Measured]
    undecided: Undecided

    def unseen(self, among: Iterable[DeploymentId]) -> Iterator[Unseen]:
        """What is listed, runs, and was not looked into."""

    def tell(self, deployment: DeploymentId, template: TemplateView, told: Told) -> None:
        """Takes what was learned."""

    def again(self, deployments: Iterable[DeploymentId]) -> None:
        """Builds these anew."""


_Key = tuple[DeploymentId, TemplateView, str]


class Contents:
    """Runs beside the mirror on a live connection, where programs may be run in containers."""

    def __init__(self, fleet: Holding, asked: Callable[[], bool] = lambda: True) -> None:
        """``asked`` tells whether every source of figures was asked once."""
        self._fleet = fleet
        self._headroom = Headroom(asked)
        self._tried: dict[_Key, tuple[int, float]] = {}
        """How often, and when next."""
        self._rest_until = 0.0
        self._ways_in = Kubelets()
        self._running: dict[asyncio.Task[None], DeploymentId] = {}
        self.interest = Interest()
        self._turn = 0

    @property
    def settled(self) -> bool:
        """Whether everything was looked into once, where there is little enough of it to look into all."""
        if time.monotonic() < self._rest_until or not self._few():
            return True
        if self._running or self._fleet.undecided.waiting:
            return False
        return all(_key(one) in self._tried or self._room(one) == "short" for one in self._unseen())

    async def run(self, client: Executing) -> None:
        """Looks into what is worth it until cancelled. Never raises."""
        undecided = self._fleet.undecided
        try:
            while True:
                undecided.looking = self._few() and time.monotonic() >= self._rest_until
                self._fleet.again(undecided.spent())
                due = self._due()
                for one in due[: _AT_ONCE - len(self._running)]:
                    task = asyncio.create_task(self._look(client, one))
                    self._running[task] = one.deployment
                    task.add_done_callback(self._running.pop)
                if self._running and len(due) > len(self._running):
                    await asyncio.wait(self._running, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                else:
                    self._turn += 1
                    await asyncio.sleep(_LOOK_SECONDS if self._few() else _MANY_SECONDS)
        finally:
            undecided.looking = False
            self._fleet.again(undecided.spent())
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _few(self) -> bool:
        return len(self._fleet.deployments) <= FEW and len(self._fleet.undecided) <= FEW

    def _unseen(self) -> Iterator[Unseen]:
        """What is waited for, what is listed, and of few also what cannot be told otherwise.

        Of many that are listed: those that somebody looks at; now and then those that are in trouble, too.
        """
        near: Collection[DeploymentId] = tuple(self._fleet.deployments)
        if len(near) > FEW:
            focused = self.interest.focused
            near = self.interest.visible | ({focused} if focused is not None else set())
            near |= self.interest.troubled if self._turn % _TROUBLED_TURNS == 0 else set()
        few = self._few()
        if few and self._fleet.undecided.waiting:
            yield from self._fleet.undecided.unseen()
        yield from self._fleet.unseen(near)
        if few:
            yield from self._fleet.undecided.unseen()

    def _due(self) -> list[Unseen]:
        now = time.monotonic()
        if now < self._rest_until:
            return []
        busy = set(self._running.values())
        found: dict[DeploymentId, Unseen] = {}
        for one in self._unseen():
            room = self._room(one)
            if room == "awaited":
                continue
            if room == "short":
                if self._fleet.undecided.release(one.deployment):
                    self._fleet.again((one.deployment,))
            elif one.deployment not in busy and self._tried.get(_key(one), (0, 0.0))[1] <= now:
                found.setdefault(one.deployment, one)
        return list(found.values())

    def _room(self, one: Unseen) -> Room:
        """Whether something may be run there now: ``short`` also where its node does not answer."""
        if self._ways_in.silent(_node(one.pod)) is not None:
            return "short"
        return self._headroom.of(one, self._fleet.deployments, self._fleet.measured)

    async def _look(self, client: Executing, one: Unseen) -> None:
        if len(self._tried) > _REMEMBERED:
            self._tried.clear()
        count = self._tried.get(_key(one), (0, 0.0))[0]
        first, longest = _AGAIN_SECONDS
        self._tried[_key(one)] = count + 1, time.monotonic() + min(longest, first * 2.0 ** min(count, 20))
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                told = await self._read(client, one)
            self._fleet.tell(one.deployment, one.template, told)
        except ReadOnly:
            self._rest_until = float("inf")
        except Unreadable as unreadable:
            if unreadable.failure.code == "forbidden":
                self._rest_until = time.monotonic() + _REFUSED_SECONDS
            if _ENDED in unreadable.failure.why:  # that is a kubelet's answer
                self._ways_in.answered(_node(one.pod))
            else:
                container = replica_id(one.pod.namespace, one.pod.name, one.container.name)
                self._ways_in.failed(_node(one.pod), unreadable, container)
        except (ValueError, TimeoutError):
            pass  # what it printed is nothing that is understood, or it took too long: a later look may tell
        finally:
            self._fleet.undecided.release(one.deployment)
            self._fleet.again((one.deployment,))

    async def _read(self, client: Executing, one: Unseen) -> Told:
        """Round by round. Raises :class:`Unreadable`, ``ReadOnly``, and ``ValueError`` for what is not understood."""
        look, ways = Look(one.container), list(_INTERPRETERS)
        while (request := await asyncio.to_thread(look.request)) is not None:
            try:
                output = await client.execute(
                    one.pod.namespace,
                    one.pod.name,
                    one.container.name,
                    request.argv(ways[0]),
                    stdin=request.stdin(),
                    timeout_seconds=_DEADLINE_SECONDS,
                    limit=OUTPUT_BYTES,
                )
            except Unreadable as unreadable:
                if unreadable.failure.code != "no-command":
                    raise
                del ways[0]
                if not ways:
                    return nothing(one.container, "there is no Python in its image that could read its files")
                continue
            self._ways_in.answered(_node(one.pod))
            look.take(output)
        return look.told()


def _key(one: Unseen) -> _Key:
    return one.deployment, one.template, one.container.name


def _node(pod: PodView) -> NodeId | None:
    return NodeId(pod.node) if pod.node else None
