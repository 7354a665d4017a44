"""Asks services what they are where nothing else tells: GET ``/openapi.json`` of one replica, through the API server.

Bounded in number per second and at once; what does not answer is asked more and more seldom. Where the proxy reaches
nobody, or must not be used, all asking rests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Protocol

from probes import framework
from probes.base import DeploymentId, Failure
from probes.target import Answer, Unreadable
from probes.targets.kubernetes.questions import Asked
from probes.targets.kubernetes.told import Told
from probes.targets.kubernetes.views import TemplateView

AT_ONCE = 8
PER_SECOND = 25.0
BURST = 200
"""So many may be asked as fast as they answer, as long as nobody was for a while: kubectl itself discovers what a
server offers by up to 300 at once, then 50 a second."""
TIMEOUT_SECONDS = 3.0
_AGAIN_SECONDS = (3.0, 600.0)
"""A service that starts does not answer yet: it is asked again so long after, then twice that, up to so long."""
_SILENT = 8
"""So many in a row that were not reached: the proxy reaches nobody."""
_REST_SECONDS = 60.0
_LOOK_SECONDS = 0.4
_NEVER = float("inf")
_REMEMBERED = 20_000


class Asking(Protocol):
    """What is needed of a fleet."""

    @property
    def asked_version(self) -> int:
        """Rises when there may be something else to ask."""

    def open(self) -> Iterator[Asked]:
        """What may be asked."""

    def tell(self, deployment: DeploymentId, template: TemplateView, told: Told) -> None:
        """Takes what was learned."""


class Client(Protocol):
    """What is needed of an :class:`ApiClient`."""

    async def answer(self, path: str, *, timeout_seconds: float = 5.0) -> Answer:
        """A GET through a proxy path."""


class _Tried:
    """How often a template was asked, and when next."""

    __slots__ = ("count", "due")

    def __init__(self) -> None:
        self.count = 0
        self.due = 0.0


class Documents:
    """Runs beside the mirror on a live connection."""

    def __init__(self, fleet: Asking) -> None:
        self._fleet = fleet
        self._tried: dict[tuple[DeploymentId, TemplateView], _Tried] = {}
        self._silent = 0
        self._rest_until = 0.0
        self._next = 0.0
        self._version = -1
        self._paced = 0.0
        """When the next may be asked at the long-term pace."""
        self._running: set[asyncio.Task[None]] = set()
        self.failure: Failure | None = None
        """Why nobody may be asked."""

    @property
    def settled(self) -> bool:
        """Whether everyone who can be asked now was asked once."""
        if time.monotonic() < self._rest_until:
            return True
        return not self._running and all((one.deployment, one.template) in self._tried for one in self._fleet.open())

    async def run(self, client: Client) -> None:
        """Asks what comes up until cancelled. Never raises."""
        try:
            while True:
                for one in self._due():
                    while len(self._running) >= AT_ONCE:
                        await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                    if time.monotonic() < self._rest_until:
                        break
                    task = asyncio.create_task(self._ask(client, one))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                    await asyncio.sleep(self._pause(time.monotonic()))
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _pause(self, now: float) -> float:
        """Seconds until the next may be asked, after one was."""
        self._paced = max(self._paced, now - BURST / PER_SECOND) + 1 / PER_SECOND
        return max(0.0, self._paced - now)

    def _due(self) -> list[Asked]:
        now = time.monotonic()
        if now < self._rest_until or (now < self._next and self._fleet.asked_version == self._version):
            return []
        self._version = self._fleet.asked_version
        found: list[Asked] = []
        self._next = _NEVER
        for one in self._fleet.open():
            tried = self._tried.get((one.deployment, one.template))
            if tried is None or tried.due <= now:
                found.append(one)
                self._next = now
            else:
                self._next = min(self._next, tried.due)
        return found

    async def _ask(self, client: Client, one: Asked) -> None:
        """Asks one pod at each port in question; only what answers something else than silence is an answer."""
        if len(self._tried) > _REMEMBERED:
            self._tried.clear()
        tried = self._tried.setdefault((one.deployment, one.template), _Tried())
        tried.count += 1
        first, longest = _AGAIN_SECONDS
        tried.due = time.monotonic() + min(longest, first * 2.0 ** (tried.count - 1))
        answered = False
        for question in one.questions:
            for port in question.ports:
                try:
                    path = f"/api/v1/namespaces/{one.pod.namespace}/pods/{one.pod.name}:{port}/proxy/openapi.json"
                    answer = await client.answer(path, timeout_seconds=TIMEOUT_SECONDS)
                except Unreadable as unreadable:
                    self._refused(unreadable.failure)
                    return
                self._reached(answer)
                answered = answered or answer.status is not None
                if answer.status == 200 and framework.is_fastapi_document(answer.body):
                    self._fleet.tell(one.deployment, one.template, Told(documented=question.container, asked=True))
                    return
        if answered:
            self._fleet.tell(one.deployment, one.template, Told(asked=True))

    def _reached(self, answer: Answer) -> None:
        self.failure = None
        self._silent = 0 if answer.status is not None or answer.error == "refused" else self._silent + 1
        if self._silent >= _SILENT:
            self._rest_until = time.monotonic() + _REST_SECONDS

    def _refused(self, failure: Failure) -> None:
        """A pod that is gone is nobody's failure; what must not be asked is not asked for a while."""
        if failure.code != "not-found":
            self.failure = failure if failure.code == "forbidden" else None
            self._rest_until = time.monotonic() + _REST_SECONDS
