"""Changing the limits of a container as it is (``docker update``), and taking that back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from probes import text
from probes.intent import RestorePoint, Step
from probes.target import Refused, Unreadable
from probes.targets.docker.client import EngineError
from probes.targets.docker.containers import Containers
from probes.targets.docker.documents import name_of
from probes.targets.docker.limits import limited, refuse_memory
from probes.targets.docker.rendering import document

Json = dict[str, Any]
Progress = Callable[[str], None]
_FIELDS = ("Memory", "MemorySwap")


class Update:
    """Performs ``update`` steps; ``arguments["values"]`` is what the engine is sent, ``["former"]`` what undoes it."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def perform(self, step: Step, progress: Progress) -> RestorePoint:
        """Raises :class:`Refused` when the container is not what the change was made for, or the engine refuses."""
        inspect = await self._there(step.subject)
        values = _values(step.arguments["values"])
        if not _has(inspect, values):
            if await self._version(inspect) != step.before.version:
                raise Refused(f"{_name(inspect)} was changed since the diff was made; plan again.")
            await self._guarded(inspect, values)
            progress(step.summary)
            await self._send(inspect, values)
        return RestorePoint(
            action="update",
            subject=step.subject,
            left=await self._version(await self._there(step.subject)),
            data={"values": values, "former": step.arguments["former"]},
        )

    async def abandon(self, step: Step, progress: Progress) -> None:
        """Brings the former limits back where the new ones are in force."""
        inspect = await self._containers.inspect(step.subject)
        if inspect is None or not _has(inspect, _values(step.arguments["values"])):
            return
        former = _values(step.arguments["former"])
        await self._guarded(inspect, former)
        progress(f"bringing the former limits of {_name(inspect)} back")
        await self._send(inspect, former)

    async def restore(self, point: RestorePoint, progress: Progress) -> None:
        """Brings the former limits back; raises :class:`Refused` when others than the step's are in force."""
        inspect = await self.check(point)
        former = _values(point.data["former"])
        if not _has(inspect, former):
            progress(f"bringing the former limits of {_name(inspect)} back")
            await self._send(inspect, former)

    async def check(self, point: RestorePoint) -> Json:
        """The container as it is; raises as :meth:`restore`, changes nothing."""
        inspect = await self._there(point.subject)
        former = _values(point.data["former"])
        if not _has(inspect, former):
            if await self._version(inspect) != point.left:
                name = _name(inspect)
                raise Refused(f"{name} was changed since: it is not what this fix left, so it is not taken back.")
            await self._guarded(inspect, former)
        return inspect

    async def _guarded(self, inspect: Json, values: dict[str, int]) -> None:
        used = await self._containers.memory_used(inspect["Id"]) if inspect["State"].get("Running") else None
        node = (await self._containers.info()).get("MemTotal")
        refuse_memory(_name(inspect), values["Memory"], limited(inspect["HostConfig"].get("Memory")), used, node)

    async def _send(self, inspect: Json, values: dict[str, int]) -> None:
        try:
            await self._containers.update(inspect["Id"], values)
        except EngineError as error:
            now = await self._containers.inspect(inspect["Id"])
            if error.status is None and now is not None and _has(now, values):
                return  # the answer was lost, the change was not
            raise Refused(f"The engine refuses: {error.message.rstrip('. ')}.") from None

    async def _there(self, container: str) -> Json:
        inspect = await self._containers.inspect(container)
        if inspect is None:
            raise Refused(f"The container {container[:12]} is gone.")
        return inspect

    async def _version(self, inspect: Json) -> str:
        try:
            return document(inspect, await self._containers.image(inspect["Image"])).version
        except Unreadable as error:
            raise Refused(f"{_name(inspect)} cannot be read: {error}.") from None


def _values(said: object) -> dict[str, int]:
    assert isinstance(said, dict)
    return {key: int(said[key]) for key in _FIELDS}


def _has(inspect: Json, values: dict[str, int]) -> bool:
    host: Json = inspect["HostConfig"]
    return all(host.get(key) == value for key, value in values.items())


def _name(inspect: Json) -> str:
    return text.clean(name_of(inspect), 200)
