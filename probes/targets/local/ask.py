"""Asks local services over HTTP, and looks at their stacks while an answer is late."""

from __future__ import annotations

import asyncio

from probes import http
from probes.model import Worker
from probes.schedule import JobKind
from probes.target import Access, Unreadable
from probes.targets.local.service import Service

SLOW_SECONDS = 0.5
"""A loop that has not answered by then is looked at while it does whatever it does."""
SAMPLED_WORKERS = 4
NO_PATH = ""
"""The health path of a service that answered and has none of the usual ones: it is not searched again."""


class Asker:
    """Runs at most one request of a kind for each service at a time."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._tasks: dict[tuple[JobKind, str], asyncio.Task[None]] = {}

    def asks(self, kind: JobKind, service: Service) -> bool:
        """Whether a request of this kind is under way."""
        return (kind, service.id) in self._tasks

    def ask(self, kind: JobKind, service: Service) -> None:
        """Begins a request unless one of its kind is under way."""
        key = (kind, service.id)
        if key in self._tasks:
            return
        work = self._loop(service) if kind == "loop" else self._health(service)
        task = self._tasks[key] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    def cancel(self) -> None:
        """Ends what is under way."""
        for task in list(self._tasks.values()):
            task.cancel()

    async def end(self) -> None:
        """Ends what is under way and waits until its connections are closed."""
        tasks = list(self._tasks.values())
        self.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _loop(self, service: Service) -> None:
        master, port = service.master, service.port()
        if master is None or port is None:
            return
        probe = asyncio.create_task(http.loop_probe(self._access, master.replica, port))
        try:
            done, _ = await asyncio.wait((probe,), timeout=SLOW_SECONDS)
            if not done and service.measured is not None:
                await self._look(service, service.measured.workers)
            sample = await probe
        finally:
            probe.cancel()
        if service.master is not None and service.master.replica == master.replica and service.ended_at is None:
            service.loop_probes.append(sample)
            service.changed = True

    async def _look(self, service: Service, workers: tuple[Worker, ...]) -> None:
        for one in [one for one in workers if one.role != "master"][:SAMPLED_WORKERS]:
            try:
                service.stacks.append(await self._access.stacks(one.replica, one.pid))
            except Unreadable:
                return

    async def _health(self, service: Service) -> None:
        master, port = service.master, service.port()
        if master is None or port is None:
            return
        if service.health_path == NO_PATH:
            return
        paths = http.HEALTH_PATHS if service.health_path is None else (service.health_path,)
        sample = await http.health_probe(self._access, master.replica, port, paths)
        if sample is None and service.health_path is None and _answers(service):
            service.health_path = NO_PATH
        if sample is not None and service.master is not None and service.master.replica == master.replica:
            service.health_path = sample.path
            service.health_probes.append(sample)
            service.changed = True


def _answers(service: Service) -> bool:
    """Whether it answered lately, so that a path that was not found is not there."""
    return bool(service.loop_probes) and service.loop_probes[-1].status is not None
