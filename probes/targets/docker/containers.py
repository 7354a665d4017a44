"""The requests about containers that drafting and changing them need; each says what it does, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from probes.base import Failure
from probes.target import Unreadable
from probes.targets.docker.client import EngineClient, EngineError

Json = dict[str, Any]
STOP_SECONDS = 10
"""The engine's grace period for a container that has none of its own."""


class Containers:
    """Containers of one engine. Reads raise ``Unreadable``, changes ``EngineError``, both ``ReadOnly`` at the gate."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    async def inspect(self, container: str) -> Json | None:
        """``None`` when there is no such container."""
        try:
            return await self._object(f"/containers/{quote(container, safe='')}/json")
        except Unreadable as error:
            if error.failure.code == "not-found":
                return None
            raise

    async def image(self, image: str) -> Json:
        """An image by id or name."""
        return await self._object(f"/images/{quote(image, safe=':/@')}/json")

    async def info(self) -> Json:
        """What the engine says about itself and its machine."""
        return await self._object("/info")

    async def ids(self, filters: Mapping[str, list[str]] | None = None) -> list[str]:
        """Ids of all containers, also those that do not run; with ``filters``, of those that match."""
        params: dict[str, str | int] = {"all": 1}
        if filters:
            params["filters"] = msgspec.json.encode(filters).decode()
        listed = await self._decoded("/containers/json", list[Json], params=params)
        return [str(one["Id"]) for one in listed]

    async def changes(self, container: str) -> list[Json]:
        """What differs from the image: ``Path`` and ``Kind`` (0 changed, 1 added, 2 removed)."""
        return await self._decoded(f"/containers/{container}/changes", list[Json] | None, timeout_seconds=30.0) or []

    async def memory_used(self, container: str) -> int | None:
        """The working set in bytes (usage less inactive file cache); ``None`` when it does not run."""
        path = f"/containers/{container}/stats"
        stats = await self._object(path, params={"stream": 0, "one-shot": 1})
        memory: Json = stats.get("memory_stats") or {}
        usage = memory.get("usage")
        inactive = memory.get("stats", {}).get("total_inactive_file", memory.get("stats", {}).get("inactive_file", 0))
        return max(0, int(usage) - int(inactive)) if usage else None

    async def log_tail(self, container: str, lines: int = 20) -> bytes:
        """The last lines of its log, the engine's framing removed; empty when it cannot be read."""
        params: dict[str, str | int] = {"stdout": 1, "stderr": 1, "tail": lines}
        try:
            return _unframed(await self._engine.request("GET", f"/containers/{container}/logs", params=params))
        except Unreadable:
            return b""

    async def create(self, name: str, body: Json) -> str:
        """Makes a container; its id."""
        answer = await self._write("POST", "/containers/create", params={"name": name}, json=body, seconds=60.0)
        return str(msgspec.json.decode(answer, type=Json)["Id"])

    async def connect(self, container: str, network: str, endpoint: Json) -> None:
        """Joins a network."""
        body = {"Container": container, "EndpointConfig": endpoint}
        await self._write("POST", f"/networks/{quote(network, safe='')}/connect", json=body)

    async def disconnect(self, container: str, network: str) -> None:
        """Leaves a network."""
        body = {"Container": container, "Force": False}
        await self._write("POST", f"/networks/{quote(network, safe='')}/disconnect", json=body)

    async def update(self, container: str, values: Json) -> None:
        """Changes limits or the restart policy of a container as it is."""
        await self._write("POST", f"/containers/{container}/update", json=values)

    async def rename(self, container: str, name: str) -> None:
        """Gives it another name."""
        await self._write("POST", f"/containers/{container}/rename", params={"name": name})

    async def start(self, container: str) -> None:
        """Starts it; nothing happens when it runs."""
        await self._write("POST", f"/containers/{container}/start", seconds=60.0)

    async def stop(self, container: str, grace_seconds: int = STOP_SECONDS) -> None:
        """Stops it within its own grace period; nothing happens when it does not run."""
        await self._write("POST", f"/containers/{container}/stop", seconds=grace_seconds + 30.0)

    async def restart(self, container: str, grace_seconds: int = STOP_SECONDS) -> None:
        """Stops and starts it."""
        await self._write("POST", f"/containers/{container}/restart", seconds=grace_seconds + 60.0)

    async def remove(self, container: str) -> None:
        """Removes it, not its volumes; nothing happens when it is gone."""
        try:
            await self._write("DELETE", f"/containers/{container}", params={"force": 1, "v": 0}, seconds=60.0)
        except EngineError as error:
            if error.status != 404:
                raise

    async def _object(self, path: str, params: Mapping[str, str | int] | None = None) -> Json:
        answer: Json = await self._decoded(path, Json, params=params)
        return answer

    async def _decoded(
        self, path: str, kind: Any, *, params: Mapping[str, str | int] | None = None, timeout_seconds: float = 10.0
    ) -> Any:
        answer = await self._engine.request("GET", path, params=params, timeout_seconds=timeout_seconds)
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            failure = Failure("unexpected-answer", f"GET {path}", str(error), "is this a Docker Engine?")
            raise Unreadable(failure) from None

    async def _write(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        seconds: float = 30.0,
    ) -> bytes:
        return await self._engine.request(method, path, params=params, json=json, timeout_seconds=seconds)


def grace_of(inspect: Json) -> int:
    """Seconds that the engine gives a container to stop."""
    own = inspect["Config"].get("StopTimeout")
    return STOP_SECONDS if own is None or own < 0 else int(own)


def _unframed(data: bytes) -> bytes:
    """The engine's multiplexed stream as one: an 8-byte head before each piece; a terminal's stream has none."""
    out, at = [], 0
    while at + 8 <= len(data) and data[at] in {0, 1, 2} and data[at + 1 : at + 4] == b"\0\0\0":
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        out.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return b"".join(out) if out else data
