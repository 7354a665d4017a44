"""One connection to an engine while it lasts: everything once, then what its events say."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from probes import http, text
from probes.base import Frozen, NodeId, ReplicaId
from probes.model import Node
from probes.procfs import ProcFs
from probes.target import Unreadable
from probes.targets.docker import events, parse
from probes.targets.docker.access import DockerAccess
from probes.targets.docker.answers import Inspect, Listed
from probes.targets.docker.client import EngineClient
from probes.targets.docker.container import Container
from probes.targets.docker.files import Files
from probes.targets.docker.fleet import Fleet
from probes.targets.docker.measure import LocalMeter
from probes.targets.docker.ports import port_of
from probes.targets.docker.recognition import Recogniser

_INSPECTS_AT_ONCE = 8
_LIST_SECONDS = 5.0
_AGAIN_SECONDS = 1.5
"""A container that could not be looked at, or not wholly, is looked at again: so long after, then twice that, …"""
_AGAIN_TIMES = 5
_PING_SECONDS = 20.0
_PING_PATIENCE_SECONDS = 10.0
_SETTLE_SECONDS = 0.05
"""Events of one container come in groups (kill, die, stop): it is looked at once for all of them."""
_CREATED_SECONDS = 1.5
"""A new container is usually started at once; only one that is not is looked at before its start."""
_MARGIN_NANOSECONDS = 2 * 10**9
_DOCUMENT_TRIES = 4
_DOCUMENT_SECONDS = 3.0
_LOOK_AGAIN = frozenset({"start", "die", "oom", "restart", "pause", "unpause", "rename", "update", "health_status"})
_OLD = ("hour", "day", "week", "month", "year")


class Info(Frozen, frozen=True):
    """``/info``, what of it is used."""

    id: str = msgspec.field(default="", name="ID")
    name: str = msgspec.field(default="", name="Name")
    cpus: int = msgspec.field(default=0, name="NCPU")
    memory: int = msgspec.field(default=0, name="MemTotal")
    time: str = msgspec.field(default="", name="SystemTime")
    kernel: str = msgspec.field(default="", name="KernelVersion")

    @property
    def here(self) -> bool:
        """Whether it looks like this machine: a socket may as well lead elsewhere."""
        ours = os.uname()
        return (self.name, self.kernel, self.memory) == (ours.nodename, ours.release, meminfo("MemTotal"))


class Engine:
    """Fills a fleet from one engine; :meth:`follow` ends with :class:`Unreadable` when the connection does."""

    def __init__(
        self,
        client: EngineClient,
        fleet: Fleet,
        access: DockerAccess,
        recogniser: Recogniser,
        meter: LocalMeter,
        *,
        same_machine: bool,
        started: Callable[[ReplicaId], None],
    ) -> None:
        self.client = client
        self.node: Node | None = None
        self._fleet = fleet
        self._access = access
        self._recogniser = recogniser
        self._meter = meter
        self._same_machine = same_machine
        self._started = started
        self._files = Files(client, ProcFs(), local=same_machine)
        self._turns = asyncio.Semaphore(_INSPECTS_AT_ONCE)
        self.waiting: dict[str, str] = {}
        """Containers that it is not known of whether they belong on the list: id → what people call it."""
        self._inspected: dict[str, int] = {}
        self._tries: dict[str, int] = {}
        self._pending: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._documents: set[tuple[str, int]] = set()

    async def open(self) -> None:
        """Connects and reads what the engine is. Raises :class:`Unreadable`."""
        await self.client.open()
        info = await self.client.get("/info", Info)
        name = text.clean(info.name, 200) or "engine"
        self._fleet.node = NodeId(f"{self._fleet.target}/{name}")
        self._fleet.here = self._same_machine and info.here
        theirs = parse.when(info.time)
        skew = timedelta(0) if theirs is None or self._same_machine else theirs - datetime.now(UTC)
        self._fleet.skew = skew if abs(skew) > timedelta(seconds=1) else timedelta(0)
        self.node = Node(id=self._fleet.node, name=name, cpus=info.cpus or None, memory_total_bytes=info.memory or None)
        self._access.files, self._access.owns = self._files, self._meter.belongs

    async def list(self) -> None:
        """All containers, each put into the fleet as soon as it is known. Raises :class:`Unreadable`.

        One whose files take long is not waited for: it comes when it comes, and is :attr:`waiting` until then.
        """
        rows = await self.client.get("/containers/json", tuple[Listed, ...], params={"all": 1}, timeout_seconds=20)
        present = {ReplicaId(one.id) for one in rows}
        for gone in self._fleet.containers.keys() - present:
            self._fleet.remove(gone)
        short = self._fleet.options.lookback <= timedelta(minutes=30)
        wanted = [one for one in rows if not (short and long_ended(one))]
        wanted.sort(key=lambda one: one.state != "running")
        self.waiting = {one.id: one.called for one in wanted}
        looks = [self._spawn(self._look(one.id)) for one in wanted]
        if looks:
            await asyncio.wait(looks, timeout=_LIST_SECONDS)

    async def follow(self) -> None:
        """Takes events until the connection breaks. Raises :class:`Unreadable`."""
        since = max(0, int(self._fleet.oldest().timestamp() * 1e9))
        ping = asyncio.create_task(self._ping())
        stream = asyncio.create_task(self._events(since))
        try:
            done, _ = await asyncio.wait({ping, stream}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            ping.cancel()
            stream.cancel()
            await asyncio.gather(ping, stream, return_exceptions=True)

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = [*self._tasks, *self._pending.values()]
        for task in tasks:
            task.cancel()
        self._files.close()
        await self._recogniser.stop()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _events(self, since: int) -> None:
        async for event in events.follow(self.client, since):
            key = ReplicaId(event.container)
            container = self._fleet.containers.get(key)
            happened = events.to_event(event)
            if (
                container is not None
                and happened is not None
                and container.deployment is not None
                and container.add(happened)
            ):
                self._fleet.touch([key])
            if event.nanoseconds < self._inspected.get(key, 0) - _MARGIN_NANOSECONDS:
                continue
            action = event.action.partition(":")[0]
            if action == "destroy":
                self._fleet.remove(key)
                self._looked(key)
            elif action == "create":
                self._look_soon(key, _CREATED_SECONDS)
            elif action in _LOOK_AGAIN:
                self._look_soon(key, _SETTLE_SECONDS)

    async def _ping(self) -> None:
        """A connection that died without a word (a suspended laptop, a cut tunnel) is noticed by this."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await self.client.request("GET", "/_ping", timeout_seconds=_PING_PATIENCE_SECONDS)
            self._fleet.age()

    def _look_soon(self, container: str, delay_seconds: float) -> None:
        before = self._pending.get(container)
        if before is not None and not before.done():
            before.cancel()
        self._pending[container] = task = asyncio.create_task(self._look_later(container, delay_seconds))
        task.add_done_callback(
            lambda done: self._pending.pop(container, None) if self._pending.get(container) is done else None
        )

    async def _look_later(self, container: str, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        await self._look(container)

    async def _look(self, identity: str) -> None:
        """Inspects one container and puts it into the fleet; one that vanished is removed."""
        try:
            async with self._turns:
                asked = int((datetime.now(UTC) + self._fleet.skew).timestamp() * 1e9)
                found = await self.client.get(f"/containers/{identity}/json", Inspect)
        except Unreadable as unreadable:
            key = ReplicaId(identity)
            if unreadable.failure.code == "not-found":
                self._fleet.remove(key)
                self._looked(identity)
                return
            if key in self._fleet.containers:
                self._fleet.containers[key].failed("inspect", unreadable.failure)
                self._fleet.touch([key])
            self._again(identity)
            return
        local = self._same_machine and self._meter.belongs(found.state.pid, found.id)
        known = await self._recogniser.recognise(found, self._files, found.state.pid if local else None)
        before = self._fleet.containers.get(ReplicaId(found.id))
        old_pid = before.pid if before is not None else None
        container = self._fleet.put(found, known, local=local)
        container.failed("inspect", None)
        self._inspected[found.id] = asked
        open_question = known.partial and known.recognition.framework == "unknown" and container.deployment is None
        if known.partial:
            self._again(found.id)
        if not open_question or container.ended_before(self._fleet.oldest()):
            self._looked(found.id)
        if container.running and container.pid != old_pid:
            self._started(container.id)
            if self._undecided(container):
                self._spawn(self._ask_document(found, container))

    def _looked(self, identity: str) -> None:
        if self.waiting.pop(identity, None) is not None:
            self._fleet.woken.set()

    def _again(self, identity: str) -> None:
        """Looks once more, later and a bounded number of times; events let it be looked at whenever they come."""
        tries = self._tries.get(identity, 0)
        if tries < _AGAIN_TIMES:
            self._tries[identity] = tries + 1
            self._spawn(self._look_later(identity, _AGAIN_SECONDS * 2**tries))

    def _undecided(self, container: Container) -> bool:
        """Whether the service's own document may tell what its files do not."""
        known = container.known
        if known is None or known.recognition.framework != "unknown":
            return False
        return known.command is not None or "fastapi" in known.recognition.packages

    async def _ask_document(self, found: Inspect, container: Container) -> None:
        once = (container.id, container.pid)
        if once in self._documents or len(self._documents) > 10_000:
            return
        self._documents.add(once)
        for _ in range(_DOCUMENT_TRIES):
            port = port_of(container)
            body = await http.openapi(self._access, container.id, port) if port is not None else None
            if self._fleet.containers.get(container.id) is not container or container.pid != once[1]:
                return
            if body is not None:
                pid = container.pid if container.local else None
                known = await self._recogniser.recognise(found, self._files, pid, body)
                self._fleet.put(found, known, local=container.local)
                self._started(container.id)
                return
            await asyncio.sleep(_DOCUMENT_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def long_ended(row: Listed) -> bool:
    """Whether a container ended an hour ago or more, as the list says it (``Exited (0) 3 hours ago``)."""
    if row.state not in {"exited", "dead"}:
        return False
    _, bracket, ago = row.status.partition(") ")
    return bool(bracket) and any(word in ago for word in _OLD)


def meminfo(name: str, path: str = "/proc/meminfo") -> int | None:
    """Bytes of one row of ``/proc/meminfo``; ``MemAvailable`` is what new work can have without swapping."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            for line in file.read(1 << 14).split(b"\n"):
                if line.startswith(name.encode() + b":"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
