"""Reading one container: its ports, its files, its log, its stacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlsplit

from probes import stack, text, wire
from probes.base import Failure, ReplicaId
from probes.http import user_agent
from probes.model import StackSample
from probes.target import Answer, Unreadable
from probes.targets.docker import logs
from probes.targets.docker.answers import Inspect
from probes.targets.docker.client import EngineClient
from probes.targets.docker.container import Container
from probes.targets.docker.files import Files

_ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, never bound
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class DockerAccess:
    """Implements :class:`probes.target.Access` over the containers and the connection that the target has now."""

    def __init__(self, containers: Mapping[ReplicaId, Container], url: str) -> None:
        self._containers = containers
        self._host = urlsplit(url).hostname if "://" in url and not url.startswith("unix://") else None
        self._agent = user_agent()
        self.client: EngineClient | None = None
        self.files: Files | None = None
        self.owns: Callable[[int, str], bool] = lambda _pid, _container: False
        """Whether a process of this machine belongs to a container."""

    async def get(self, replica: ReplicaId, port: int, path: str, timeout_seconds: float = 5.0) -> Answer:
        """GET on the container's own address, else on the port that is published for it."""
        answer = Answer(status=None, body=b"", took_seconds=0.0, error="unreachable")
        for host, number in self.addresses(replica, port):
            answer = await wire.get(host, number, path, timeout_seconds, self._agent)
            if answer.error != "unreachable":
                break
        return answer

    async def read(self, replica: ReplicaId, path: str, limit: int = 1 << 20) -> bytes:
        """A file of the container, running or not."""
        container, _ = self._connected(replica)
        assert self.files is not None
        return await self.files.read(container.id, container.pid if container.local else None, path, limit)

    async def logs(self, replica: ReplicaId, since: datetime) -> AsyncIterator[bytes]:
        """Lines with the engine's time stamps, the latest of the past first, then as they come."""
        container, client = self._connected(replica)
        why = logs.unreadable(container.base.log_driver)
        if why is not None:
            raise Unreadable(logs.failure(container.base.name, why))
        begun = logs.stamp(datetime.now(since.tzinfo))
        async for chunk in logs.past(client, container.id, since, tty=container.tty):
            yield chunk
        async for chunk in logs.follow(client, container.id, begun, tty=container.tty):
            yield chunk

    @asynccontextmanager
    async def dial(self, replica: ReplicaId, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
        """The same address, for a local engine's containers are routed to from here; containers' names are resolved."""
        container, _ = self._connected(replica)
        if not container.local:
            raise Unreadable(
                Failure(
                    "unreachable",
                    f"{text.clean(host, 200)}:{port}",
                    "the engine is on another machine",
                    "run fastops there",
                )
            )
        yield self._resolve(container, host), port

    async def environment(self, replica: ReplicaId) -> Mapping[str, str]:
        """As it was made with; secrets included."""
        container, client = self._connected(replica)
        return (await client.get(f"/containers/{container.id}/json", Inspect)).environment

    async def stacks(self, replica: ReplicaId, pid: int) -> StackSample:
        """A stack by py-spy; only of a process that is the container's."""
        container, _ = self._connected(replica)
        if not container.local or not await asyncio.to_thread(self.owns, pid, container.id):
            why = "the process is not on this machine" if not container.local else "it is none of the container's"
            raise Unreadable(Failure("not-found", f"process {pid}", why, "run fastops where the engine runs"))
        return await stack.sample(pid)

    def addresses(self, replica: ReplicaId, port: int) -> tuple[tuple[str, int], ...]:
        """Where a port of the container is reached from here, the likeliest first."""
        container = self._containers.get(replica)
        if container is None:
            return ()
        owner = self._network_owner(container)
        found: list[tuple[str, int]] = []
        if container.local:
            if owner.host.network_mode == "host":
                found.append(("127.0.0.1", port))
            found += [(address, port) for address in owner.base.addresses.values()]
        elif owner.host.network_mode == "host" and self._host is not None:
            found.append((self._host, port))
        own = self._host or "127.0.0.1"
        for published in owner.base.ports:
            if published.container_port != port:
                continue
            if published.host_ip in _ANYWHERE:
                found.append((own, published.host_port))
            elif own in _LOOPBACK or published.host_ip not in _LOOPBACK:  # the loopback of another machine is not ours
                found.append((published.host_ip, published.host_port))
        return tuple(dict.fromkeys(found))

    def _connected(self, replica: ReplicaId) -> tuple[Container, EngineClient]:
        container = self._containers.get(replica)
        if container is None:
            raise Unreadable(Failure("not-found", f"container {text.clean(replica, 12)}", "it is gone", ""))
        if self.client is None:
            raise Unreadable(Failure("unreachable", container.base.name, "there is no connection to the engine", ""))
        return container, self.client

    def _network_owner(self, container: Container) -> Container:
        """The container whose network this one uses: itself, or the one that it joins."""
        joined = container.network_of
        if joined is None:
            return container
        matches = (one for one in self._containers.values() if one.id.startswith(joined) or one.base.name == joined)
        return next(matches, container)

    def _resolve(self, container: Container, host: str) -> str:
        if host in _LOOPBACK:
            owner = self._network_owner(container)
            return next(iter(owner.base.addresses.values()), "127.0.0.1")
        mine = self._network_owner(container).base.addresses
        for other in self._containers.values():
            names = {other.base.name, other.labels.get("com.docker.compose.service")}
            for network in sorted(other.base.addresses.keys() & mine.keys()):
                if host in names or host in other.aliases.get(network, ()):
                    return other.base.addresses[network]
        return host
