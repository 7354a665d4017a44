"""Where the servers are that may be asked: the DSNs that were given, and those of the deployments themselves."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from probes import text
from probes.base import DeploymentId, Failure, ReplicaId, TargetId
from probes.database import failures, own
from probes.database.dsn import Dsn
from probes.database.own import Known
from probes.database.refusals import Refusals
from probes.database.server import Asked
from probes.model import Deployment, Replica
from probes.target import Reached, Reaches, Target, Unreadable

RESOLVE_SECONDS = 3.0
MOST_DEPLOYMENTS = 300
"""Whose environment is read; with more, the rest is said to be left out."""
MOST_BAD = 10
"""Variables of one deployment that are said to be no use."""
_ROOT_BYTES = 1 << 20
_AT_ONCE = 8
AGAIN_SECONDS = 120.0
"""Until what was forbidden is asked for again."""


class Source(NamedTuple):
    """A server, and one way to ask it."""

    place: tuple[str, int]
    asked: Asked
    owner: DeploymentId | None
    """Whose own credentials these are."""
    inside: TargetId | None = None
    """The cluster whose own network the place is in."""


class Sources:
    """Finds servers anew at each look; what was found is kept until its server does not answer."""

    def __init__(self, targets: Mapping[TargetId, Target], given: tuple[Dsn, ...], *, own: bool) -> None:
        self._targets = targets
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._given = given
        self._own = own
        self._found: dict[ReplicaId, Known] = {}
        self._again: dict[ReplicaId, float] = {}
        """When an environment of which something was forbidden is read again; monotonic."""
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
        self._again = {replica: at for replica, at in self._again.items() if replica in living}
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
        if time.monotonic() >= self._again.get(replica.id, 0.0 if replica.id not in self._found else math.inf):
            try:
                async with self._turns:
                    variables = await self._targets[deployment.target].access.environment(replica.id)
            except Unreadable as unreadable:
                key = deployment.target if unreadable.failure.code == "not-supported" else deployment.id
                self.failures[key] = unreadable.failure
                return {}
            read = self._found[replica.id] = own.known(variables)
            self._again[replica.id] = time.monotonic() + AGAIN_SECONDS if read.unread else math.inf
        found = self._found[replica.id]
        for name, unread in list(found.unread.items())[:MOST_BAD]:
            self._untold(deployment, name, unread)
        for name, why in list(found.bad.items())[:MOST_BAD]:
            what = f"the database in {text.clean(name, 80)} of {deployment.id}"
            self.failures[what] = Failure("bad-dsn", what, why, "give env:VAR with a DSN that names one host")
        return found.dsns

    def _untold(self, deployment: Deployment, name: str, why: Failure) -> None:
        """One sentence for each object and right: a whole namespace may lack the same one."""
        key = f"{deployment.target} {why.what} {why.why}"
        more = key in self.failures
        what = self.failures[key].what if more else f"{text.clean(name, 80)} of {deployment.id}"
        told = f"{what}, and others" if more and not what.endswith("others") else what
        self.failures[key] = Failure(why.code, told, f"it stands in {why.what}, and {why.why}", why.hint)

    async def _place(
        self, dsn: Dsn, owner: Deployment | None, replica: Replica | None, running: list[tuple[Deployment, Replica]]
    ) -> Source | None:
        key = (None if replica is None else replica.id, dsn)
        asked = self._asked.get(key)
        if asked is None:
            try:
                _usable(dsn)
                async with self._turns:
                    reached = await self._reached(dsn, owner, replica, running)
                    root = await self._root(dsn, owner, replica)
            except Unreadable as unreadable:
                self.failures[dsn.name] = unreadable.failure
                return None
            asked = self._asked[key] = Asked(
                dsn, reached.address, reached.port, root, self._refusals, way=reached.way, inside=reached.inside
            )
        return Source((asked.address, asked.port), asked, None if owner is None else owner.id, asked.inside)

    async def _reached(
        self,
        dsn: Dsn,
        owner: Deployment | None,
        replica: Replica | None,
        running: list[tuple[Deployment, Replica]],
    ) -> Reached:
        """As the owner's replica sees it; a given DSN as this machine does, else as any replica here does."""
        if owner is not None and replica is not None:
            access = self._targets[owner.target].access
            if isinstance(access, Reaches):
                reached = await access.reach(replica.id, dsn.host, dsn.port)
                return reached if reached.way else reached._replace(address=await _resolved(reached.address, dsn))
            async with access.dial(replica.id, dsn.host, dsn.port) as (host, port):
                return Reached(await _resolved(host, dsn), port)
        try:
            return Reached(await _resolved(dsn.host, dsn), dsn.port)
        except Unreadable as unreadable:
            for deployment, any_one in running[:MOST_DEPLOYMENTS]:
                if isinstance(self._targets[deployment.target].access, Reaches):
                    continue
                try:
                    dialled = self._targets[deployment.target].access.dial(any_one.id, dsn.host, dsn.port)
                    async with dialled as (host, port):
                        if _is_address(host):
                            return Reached(host, port)
                except Unreadable:
                    continue
            return await self._in_clusters(dsn, running, unreadable)

    async def _in_clusters(self, dsn: Dsn, running: list[tuple[Deployment, Replica]], unknown: Unreadable) -> Reached:
        """A name of a cluster's, in full: in each cluster once, for a short one may mean another server elsewhere."""
        parts = dsn.host.rstrip(".").split(".")
        one_of_each = {deployment.target: replica for deployment, replica in reversed(running)}
        for target, replica in one_of_each.items() if "svc" in parts[2:4] else ():
            access = self._targets[target].access
            if not isinstance(access, Reaches):
                continue
            try:
                reached = await access.reach(replica.id, dsn.host, dsn.port)
            except Unreadable as unreadable:
                unknown = unreadable
                continue
            if _is_address(reached.address):
                return reached
        raise unknown

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
