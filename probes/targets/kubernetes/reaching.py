"""The way from here to a server that a pod names: an address that leads there, else a port that is forwarded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from probes import addresses, text
from probes.base import Failure, ReplicaId
from probes.model import Replica
from probes.target import Reached, Unreadable
from probes.targets.kubernetes import servers
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.failures import Forbidden
from probes.targets.kubernetes.ids import replica_parts
from probes.targets.kubernetes.servers import Spot

if TYPE_CHECKING:
    from probes.targets.kubernetes.forwarding import Forward

CONNECT_SECONDS = 0.5
OPEN_SECONDS = 10.0
KEPT_SECONDS = 5.0
"""What one look of many deployments finds out about a name holds for all of them."""
REST_SECONDS = (10.0, 160.0)
"""Before a server whose way failed is looked for again: doubled each time, up to the second."""
_LOOPBACK = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_MOST_ALIASES = 3
_Key = tuple[str, str, int]
_OUTSIDE = "env:VAR with a DSN that is reached from here"


class _Kept(NamedTuple):
    found: Spot | str | Failure
    until: float


class Reaching:
    """Finds servers for the pods of one cluster, and holds the forwards to them."""

    def __init__(self, client: ApiClient, leads: Callable[[ReplicaId], Awaitable[bool]], *, read_only: bool) -> None:
        """``leads``: whether a replica's address is known to lead to it from here, as then others' do."""
        self._client = client
        self._leads = leads
        self._read_only = read_only
        self._kept: dict[_Key, _Kept] = {}
        self._turns: dict[_Key, asyncio.Lock] = {}
        self._ways: dict[tuple[str, str, int], Forwarded] = {}

    async def reach(self, replica: ReplicaId, known: Replica, host: str, port: int) -> Reached:
        """See :class:`probes.target.Reaches`."""
        namespace, pod, _ = replica_parts(replica)
        if _is_itself(host):  # something beside it in the pod, such as a proxy
            return self._through(Spot(known.addresses.get("pod", pod), port, namespace, pod))
        if addresses.parsed(host) is not None:
            found: Spot | str = Spot(host, port, namespace, None)
        else:
            found = await self._find(namespace, host, port)
        if isinstance(found, str):
            return Reached(found, port)
        address = addresses.parsed(found.address)
        if address is None:  # an EndpointSlice of names
            return Reached(found.address, found.port)
        inside = self._client.place.target
        if found.pod is None and address.is_global:
            return Reached(found.address, found.port)
        if await self._leads(replica) and (found.pod is None or await _connects(found.address, found.port)):
            return Reached(found.address, found.port, inside=inside if found.pod is not None else None)
        return self._through(found)

    async def close(self) -> None:
        """Ends all forwards."""
        await asyncio.gather(*(one.close() for one in self._ways.values()))
        self._ways.clear()

    def _through(self, spot: Spot) -> Reached:
        what = f"{text.clean(spot.address, 100)}:{spot.port}"
        if spot.pod is None:
            why = "its address is private and no pod's: from here another machine may have it"
            raise Unreadable(Failure("unreachable", what, why, f"run fastops in the cluster, or give {_OUTSIDE}"))
        if self._read_only:
            why = "it takes a port-forward, and this session is read-only"
            hint = "the console opens one where it is not read-only, and so does scan --exec"
            raise Unreadable(Failure("read-only", what, why, hint))
        key = (spot.namespace, spot.pod, spot.port)
        for old in [old for old, way in self._ways.items() if old != key and way.idle]:
            del self._ways[old]
        way = self._ways.setdefault(key, Forwarded(self._client, spot))
        return Reached(spot.address, spot.port, way, self._client.place.target)

    async def _find(self, namespace: str, host: str, port: int) -> Spot | str:
        """Where a name is; another name, or the same one, for what the cluster does not know."""
        key = (namespace, host, port)
        async with self._turns.setdefault(key, asyncio.Lock()):
            now = monotonic()
            self._kept = {one: kept for one, kept in self._kept.items() if kept.until > now}
            kept = self._kept.get(key)
            if kept is None:
                try:
                    found: Spot | str | Failure = await self._looked_up(namespace, host, port)
                    rests = KEPT_SECONDS
                except Unreadable as unreadable:
                    found, rests = unreadable.failure, REST_SECONDS[0]
                kept = self._kept[key] = _Kept(found, monotonic() + rests)
        self._turns = {one: lock for one, lock in self._turns.items() if lock.locked() or one in self._kept}
        if isinstance(kept.found, Failure):
            raise Unreadable(kept.found)
        return kept.found

    async def _looked_up(self, namespace: str, host: str, port: int) -> Spot | str:
        for _ in range(_MOST_ALIASES):
            candidates, certain = servers.names(host, namespace)
            alias: str | None = None
            for name in candidates:
                try:
                    found = await servers.find(self._client, name, port)
                except Forbidden:
                    if certain:
                        raise
                    continue  # a name such as db.example.com, of which a part looks like a namespace
                if isinstance(found, Spot):
                    return found
                if found is not None:
                    alias = found
                    break
            if alias is None and (certain or "." not in host):  # here, a short name may be any other machine's
                what = f"the host {text.clean(host, 253)}"
                place = candidates[0].namespace if candidates else text.clean(namespace, 63)
                why = f"the cluster has no Service of that name in the namespace {place}"
                raise Unreadable(Failure("unreachable", what, why, f"check it, or give {_OUTSIDE}"))
            if alias is None:
                return host
            host = alias
        return host


class Forwarded:
    """Implements :class:`probes.target.Way`: a port of one pod, forwarded anew for each stream."""

    def __init__(self, client: ApiClient, spot: Spot) -> None:
        self._client = client
        self._spot = spot
        self._running: dict[asyncio.Task[None], Forward] = {}
        self._last: Forward | None = None
        self._refused: Failure | None = None
        self._rests_until = 0.0
        self._rest_seconds = REST_SECONDS[0]

    @property
    def idle(self) -> bool:
        """Whether it was used, nothing is forwarded, and nothing is waited for."""
        tried = self._last is not None or self._refused is not None
        return tried and not self._running and monotonic() >= self._rests_until

    @property
    def failure(self) -> Failure | None:
        """What the API server or the kubelet said."""
        if self._refused is not None or self._last is None or not self._last.error:
            return self._refused
        why = f"the pod's port cannot be forwarded: {text.line(self._last.error, 300)}"
        return Failure("unreachable", self._what, why, "does the server listen there? It is tried again by itself")

    async def open(self) -> socket.socket:
        """Raises :class:`Unreadable`; after a failure the same one again, until it is worth another try."""
        if monotonic() < self._rests_until:
            raise Unreadable(
                self.failure or Failure("closed", self._what, "the way to it was cut", "it is tried again")
            )
        self._refused = None
        try:
            response = await self._client.forward(
                self._spot.namespace, self._spot.pod or "", self._spot.port, timeout_seconds=OPEN_SECONDS
            )
        except Unreadable as unreadable:
            self._refused = self._told(unreadable)
            self._rest()
            raise Unreadable(self._refused) from None
        from probes.targets.kubernetes.forwarding import Forward  # loaded when it is used: a start needs none

        made = self._last = Forward(response)
        task = asyncio.create_task(made.run())
        self._running[task] = made
        task.add_done_callback(self._ended)
        return made.theirs

    async def close(self) -> None:
        """Ends what is forwarded."""
        for one in tuple(self._running):
            one.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    @property
    def _what(self) -> str:
        return f"port {self._spot.port} of the pod {text.clean(f'{self._spot.namespace}/{self._spot.pod}', 250)}"

    def _told(self, unreadable: Unreadable) -> Failure:
        """A missing right is named; it may be granted while fastops runs, so it is asked for again."""
        failure = unreadable.failure
        if isinstance(unreadable, Forbidden):
            why = f"the right `{unreadable.rule.verb} {unreadable.rule.resource}` is missing: no port is forwarded"
            return Failure("api-forbidden", self._what, why, failure.hint)
        return Failure(f"api-{failure.code}", self._what, failure.why, failure.hint)

    def _ended(self, task: asyncio.Task[None]) -> None:
        made = self._running.pop(task)
        if made.answered:
            self._rest_seconds = REST_SECONDS[0]
        else:
            self._rest()

    def _rest(self) -> None:
        self._rests_until = monotonic() + self._rest_seconds
        self._rest_seconds = min(2 * self._rest_seconds, REST_SECONDS[1])


async def _connects(address: str, port: int) -> bool:
    """Whether something takes connections at the address."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


def _is_itself(host: str) -> bool:
    """Whether it is the pod: no name or address of loopback may lead to this machine instead."""
    name = host.rstrip(".").lower()
    if name in _LOOPBACK or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    found = addresses.parsed(host)
    return found is not None and (found.is_loopback or found.is_unspecified)
