"""Where the servers are that may be asked: the DSNs that were given, and those of the deployments themselves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from probes import text
from probes.base import DeploymentId, Failure, ReplicaId, TargetId
from probes.database import dsn as dsns
from probes.database import failures
from probes.database.dsn import Dsn, Found
from probes.database.refusals import Refusals
from probes.database.server import Asked
from probes.model import Deployment, Replica
from probes.target import Target, Unreadable

RESOLVE_SECONDS = 3.0
MOST_DEPLOYMENTS = 300
"""Whose environment is read; with more, the rest is said to be left out."""
MOST_BAD = 10
"""Variables of one deployment that are said to be no use."""
_ROOT_BYTES = 1 << 20
_AT_ONCE = 8


class Source(NamedTuple):
    """A server, and one way to ask it."""

    place: tuple[str, int]
    asked: Asked
    owner: DeploymentId | None
    """Whose own credentials these are."""


class Sources:
    """Finds servers anew at each look; what was found is kept until its server does not answer."""

    def __init__(self, targets: Mapping[TargetId, Target], given: tuple[Dsn, ...], *, own: bool) -> None:
        self._targets = targets
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._given = given
        self._own = own
        self._found: dict[ReplicaId, Found] = {}
        self._asked: dict[tuple[ReplicaId | None, Dsn], Asked] = {}
        self._refusals = Refusals()
        self.failures: dict[str, Failure] = {}

    async def find(self, deployments: Iterable[Deployment]) -> list[Source]:
        """Those that were given first: they may have more rights than a service."""
        self.failures = {}
        running = [(one, one.running[0]) for one in deployments if one.running]
        ways: list[tuple[Dsn, Deployment | None, Replica | None]] = [(one, None, None) for one in self._given]
        if self._own:
            if len(running) > MOST_DEPLOYMENTS:
                what = f"the databases of {len(running) - MOST_DEPLOYMENTS} deployments"
                why = f"the environment of {MOST_DEPLOYMENTS} is read at most"
                self.failures["many"] = Failure("too-many", what, why, "name fewer targets, or give env:VAR")
            ours = running[:MOST_DEPLOYMENTS]
            read = await asyncio.gather(*(self._environment(deployment, replica) for deployment, replica in ours))
            ways += [(dsn, *whose) for whose, found in zip(ours, read, strict=True) for dsn in found.values()]
        made = await asyncio.gather(*(self._place(dsn, owner, replica, running) for dsn, owner, replica in ways))
        kept = {id(one.asked) for one in made if one is not None}
        for key in [key for key, one in self._asked.items() if id(one) not in kept]:
            await self._asked.pop(key).close()
        living = {replica.id for _, replica in running}
        self._found = {replica: found for replica, found in self._found.items() if replica in living}
        return [one for one in made if one is not None]

    async def forget(self, asked: Asked) -> None:
        """Its server did not answer: it may have another address by now."""
        await asked.close()
        if not asked.given_up:
            self._asked = {key: one for key, one in self._asked.items() if one is not asked}

    async def close(self) -> None:
        """Ends all connections."""
        await asyncio.gather(*(one.close() for one in self._asked.values()))
        self._asked.clear()
        self._found.clear()

    async def _environment(self, deployment: Deployment, replica: Replica) -> Mapping[str, Dsn]:
        if replica.id not in self._found:
            try:
                async with self._turns:
                    variables = await self._targets[deployment.target].access.environment(replica.id)
            except Unreadable as unreadable:
                key = deployment.target if unreadable.failure.code == "not-supported" else deployment.id
                self.failures[key] = unreadable.failure
                return {}
            self._found[replica.id] = dsns.found(variables)
        found = self._found[replica.id]
        for name, why in list(found.bad.items())[:MOST_BAD]:
            what = f"the database in {text.clean(name, 80)} of {deployment.id}"
            self.failures[what] = Failure("bad-dsn", what, why, "give env:VAR with a DSN that names one host")
        return found.dsns

    async def _place(
        self, dsn: Dsn, owner: Deployment | None, replica: Replica | None, running: list[tuple[Deployment, Replica]]
    ) -> Source | None:
        key = (None if replica is None else replica.id, dsn)
        asked = self._asked.get(key)
        if asked is None:
            try:
                _usable(dsn)
                async with self._turns:
                    address, port = await self._address(dsn, owner, replica, running)
                    root = await self._root(dsn, owner, replica)
            except Unreadable as unreadable:
                self.failures[dsn.name] = unreadable.failure
                return None
            asked = self._asked[key] = Asked(dsn, address, port, root, self._refusals)
        return Source((asked.address, asked.port), asked, None if owner is None else owner.id)

    async def _address(
        self,
        dsn: Dsn,
        owner: Deployment | None,
        replica: Replica | None,
        running: list[tuple[Deployment, Replica]],
    ) -> tuple[str, int]:
        """As the owner's replica sees it; a given DSN as this machine does, else as any replica here does."""
        if owner is not None and replica is not None:
            async with self._targets[owner.target].access.dial(replica.id, dsn.host, dsn.port) as (host, port):
                return await _resolved(host, dsn), port
        try:
            return await _resolved(dsn.host, dsn), dsn.port
        except Unreadable:
            for deployment, any_one in running[:MOST_DEPLOYMENTS]:
                try:
                    dialled = self._targets[deployment.target].access.dial(any_one.id, dsn.host, dsn.port)
                    async with dialled as (host, port):
                        if _is_address(host):
                            return host, port
                except Unreadable:
                    continue
            raise

    async def _root(self, dsn: Dsn, owner: Deployment | None, replica: Replica | None) -> bytes | None:
        if owner is None or replica is None or dsn.root is None or dsn.sslmode in {"disable", "allow", "prefer"}:
            return None
        return await self._targets[owner.target].access.read(replica.id, dsn.root, _ROOT_BYTES)


def _usable(dsn: Dsn) -> None:
    if dsn.client_certificate:
        why = "its DSN asks for a client certificate, which fastops does not use"
        raise Unreadable(Failure("not-supported", f"the database server {dsn.name}", why, "give env:VAR"))


async def _resolved(host: str, dsn: Dsn) -> str:
    if _is_address(host):
        return host
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return str(found[0][4][0])
    except (OSError, TimeoutError, UnicodeError) as error:
        known = error if isinstance(error, socket.gaierror) else socket.gaierror()
        raise Unreadable(failures.of(known, dsn.name)) from None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
