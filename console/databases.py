"""Asks the database servers again and again, beside the targets: nobody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from console.database_sources import Source, Sources
from console.nearby import is_here, targets_read
from console.pooled import PooledBoard
from console.supervise import Defects
from console.wanted_databases import Databases
from probes.aside import Aside
from probes.base import DeploymentId, Failure, TargetId
from probes.database import attribution, sockets
from probes.database.pods import Pods
from probes.database.server import Looked, Unanswered
from probes.model import Deployment, Snapshot
from probes.pools import DatabaseServer, Held
from probes.target import Target

INTERVAL_SECONDS = 10.0
_SOCKETS_SECONDS = 8.0
"""A busy machine needs a second for a hundred processes; the look waits, and nothing else does."""
_AT_ONCE = 4


class Place(NamedTuple):
    """Where a server is."""

    address: str
    port: int
    inside: TargetId | None = None
    """The cluster whose own network that is in; ``None`` for this machine's."""


Whose = dict[Place, tuple[Looked, Mapping[str, DeploymentId], attribution.Sockets]]
"""Place of a server → what it said, and whose the addresses and the sockets are."""


class DatabaseWatch:
    """Runs in the session's loop; what it learns goes to the board, what it could not to :attr:`failures`."""

    def __init__(
        self,
        wanted: Databases,
        targets: Mapping[TargetId, Target],
        board: PooledBoard,
        defects: Defects,
        told: Callable[[tuple[Failure, ...]], None],
    ) -> None:
        """``told`` is called after each look with what could not be read."""
        self._targets = targets
        self._board = board
        self._defects = defects
        self._told = told
        self._sources = Sources(targets, wanted.given, own=wanted.own)
        self._aside = Aside("fastops-sockets")

    async def run(self) -> None:
        """Looks until cancelled; then every connection is ended."""
        try:
            await targets_read(self._board, self._targets)
            while True:
                try:
                    failures = await self._look()
                except Exception as error:  # noqa: BLE001 -- a defect here must not end the session
                    failures = (self._defects.note("asking the database servers", error),)
                self._told(failures)
                await asyncio.sleep(INTERVAL_SECONDS)
        finally:
            await self._sources.close()

    async def _look(self) -> tuple[Failure, ...]:
        snapshot = self._board.snapshot()
        deployments = snapshot.deployments()
        sources = await self._sources.find(deployments)
        failures = dict(self._sources.failures)
        by_place: dict[Place, list[Source]] = {}
        for source in sources:
            by_place.setdefault(Place(*source.place, source.inside), []).append(source)
        turns = asyncio.Semaphore(_AT_ONCE)
        looks = await asyncio.gather(*(self._ask(ways, turns, failures) for ways in by_place.values()))
        answered = {place: look for place, look in zip(by_place, looks, strict=True) if look is not None}
        said = {place: looked for place, (looked, _) in answered.items()}
        asked = {place: role for place, (_, role) in answered.items()}
        whose = await self._whose(snapshot, deployments, said, failures)
        roles = {place: _roles(ways) for place, ways in by_place.items()}
        held: dict[DeploymentId, Held] = {}
        servers: list[DatabaseServer] = []
        for place, (looked, by_address, by_socket) in whose.items():
            sessions, nobodys = attribution.attribute(looked.sessions, by_address, by_socket)
            server = replace(looked.server, unattributed=nobodys)
            servers.append(server)
            if nobodys and not sessions:
                failures[f"{server.name} attribution"] = _nobodys(server)
            for deployment in sessions.keys() | roles[place].keys():
                own = roles[place].get(deployment) == {asked[place]}
                one = attribution.held(
                    server,
                    sessions.get(deployment, []),
                    own=own,
                    limits=looked.limits,
                    roles=roles[place].get(deployment, ()),
                )
                known = held.get(deployment)
                if known is None or (one.connections or 0) > (known.connections or 0):
                    held[deployment] = one
        self._board.hold(held, tuple(sorted(servers, key=lambda s: s.name)))
        return tuple(failures.values())

    async def _ask(
        self, ways: list[Source], turns: asyncio.Semaphore, failures: dict[str, Failure]
    ) -> tuple[Looked, str] | None:
        """One connection to each server: the first credentials that are let in, and the role that they are of."""
        told: Failure | None = None
        for way in ways:
            async with turns:
                try:
                    return await way.asked.look(), way.asked.dsn.user
                except Unanswered as unanswered:
                    told = told or unanswered.failure
                    await self._sources.forget(way.asked)
            if not way.asked.given_up:
                break  # the server itself does not answer: other credentials change nothing
        if told is not None:
            failures[told.what] = told
        return None

    async def _whose(
        self,
        snapshot: Snapshot,
        deployments: Iterable[Deployment],
        said: Mapping[Place, Looked],
        failures: dict[str, Failure],
    ) -> Whose:
        """Whose addresses and sockets the sessions' are."""
        if not said:
            return {}
        here = {t for t, s in snapshot.targets.items() if t.startswith("k8s/") or await is_here(self._targets[t], s)}
        known = [d for d in deployments if d.target in here]
        by_address = attribution.addresses(known)
        processes = sockets.processes(d for d in known if not d.target.startswith("k8s/"))
        of_pods = Pods(known)

        ports = frozenset(place.port for place in said)
        found: attribution.Sockets = {}
        try:
            found = await self._aside.call(lambda: sockets.read(processes, ports), within_seconds=_SOCKETS_SECONDS)
        except TimeoutError:  # what the servers say, and whose the addresses are, is known all the same
            what, why = "the sockets of this machine's processes", "they could not be read in time"
            failures["sockets"] = Failure("timeout", what, why, "it is tried again by itself")
        made: Whose = {}
        for place, looked in said.items():
            clients = {attribution.plain(s.address) for s in looked.sessions if s.address}
            if place.inside is not None:  # there its addresses are its pods', whatever is elsewhere
                own = attribution.addresses(d for d in known if d.target == place.inside)
                made[place] = (looked, {a: own[a] for a in clients & own.keys()}, {})
                continue
            told = clients & by_address.keys()
            sure = {a for a in told if (of_pods.believed if a in of_pods else sockets.near)(place.address, a)}
            made[place] = (looked, {a: by_address[a] for a in sure}, found)
        return made


def _roles(ways: Iterable[Source]) -> dict[DeploymentId, set[str]]:
    """The roles that each deployment has at one server."""
    found: dict[DeploymentId, set[str]] = {}
    for way in ways:
        if way.owner is not None:
            found.setdefault(way.owner, set()).add(way.asked.dsn.user)
    return found


def _nobodys(server: DatabaseServer) -> Failure:
    why = (
        f"all {server.unattributed} come from addresses that are no replica's, or may be another's: through NAT, "
        "a pooler, a Unix socket, from another machine, or of pods whose range another cluster may have"
    )
    return Failure("not-attributed", f"the connections on {server.name}", why, "no deployment is given any of them")
