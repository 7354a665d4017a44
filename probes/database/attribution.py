"""Whose a connection is: by its address where that is a replica's own, by its socket where processes share an address.

What comes through NAT, a pooler or another machine has an address of none, and is nobody's: nothing is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address

from msgspec.structs import replace

from probes.base import DeploymentId
from probes.database.statistics import Limit, SessionRow
from probes.model import Deployment
from probes.pools import DatabaseServer, Held

_JOINED = "container:"
Sockets = Mapping[tuple[str, int], DeploymentId]
"""Local address and port of an open connection → whose process it is."""


def addresses(deployments: Iterable[Deployment]) -> dict[str, DeploymentId]:
    """The addresses that are one deployment's alone; an address that two share is nobody's."""
    owners: dict[str, set[DeploymentId]] = {}
    by_replica: dict[str, tuple[str, ...]] = {}
    joined: list[tuple[str, DeploymentId]] = []
    for one in deployments:
        for replica in one.running:
            mode = replica.network_mode or ""
            if mode == "host":
                continue  # it has the machine's own addresses, as have others
            if mode.startswith(_JOINED):
                joined.append((mode.removeprefix(_JOINED), one.id))
                continue
            own = tuple(plain(address) for address in replica.addresses.values())
            by_replica[replica.id] = by_replica[replica.name] = own
            for address in own:
                owners.setdefault(address, set()).add(one.id)
    for other, deployment in joined:
        for address in by_replica.get(other, ()):
            owners[address].add(deployment)
    return {address: next(iter(whose)) for address, whose in owners.items() if len(whose) == 1}


def plain(address: str) -> str:
    """An address as the server writes it: an IPv4 address in IPv6 notation is an IPv4 address."""
    try:
        made = ip_address(address)
    except ValueError:
        return address
    return str(getattr(made, "ipv4_mapped", None) or made)


def attribute(
    sessions: Iterable[SessionRow], by_address: Mapping[str, DeploymentId], by_socket: Sockets
) -> tuple[dict[DeploymentId, list[SessionRow]], int]:
    """The sessions of each deployment, and how many are nobody's; fastops' own is not counted."""
    whose: dict[DeploymentId, list[SessionRow]] = {}
    nobodys = 0
    for session in sessions:
        if session.own:
            continue
        address = None if session.address is None else plain(session.address)
        deployment = None
        if address is not None:
            deployment = by_socket.get((address, session.port or 0)) or by_address.get(address)
        if deployment is None:
            nobodys += 1
        else:
            whose.setdefault(deployment, []).append(session)
    return whose, nobodys


def held(
    server: DatabaseServer,
    sessions: list[SessionRow],
    *,
    own: bool,
    limits: Iterable[Limit] = (),
    roles: Collection[str] = (),
) -> Held:
    """What a deployment holds. None at all is known only where every session is some deployment's.

    ``own``: the server was asked with the deployment's only role there, which sees all that the role holds.
    ``limits``: of all roles and databases; the least that is over this deployment's counts. ``roles``: those that it
    has, for as long as it has no session.
    """
    sure = (bool(sessions) and (own or server.hidden == 0)) or (server.unattributed == 0 and server.hidden == 0)
    open_for = [s.transaction_seconds for s in sessions if s.transaction_seconds is not None]
    known = [s.encrypted for s in sessions if s.encrypted is not None]
    return Held(
        server=_limited(server, sessions, limits, roles),
        connections=len(sessions) if sure else None,
        states=dict(Counter(s.state for s in sessions if s.state)),
        applications=dict(Counter(s.application for s in sessions if s.application)),
        waiting_for_locks=sum(s.locked for s in sessions),
        oldest_transaction_seconds=round(max(open_for), 1) if open_for else None,
        encrypted=sum(known) if len(known) == len(sessions) else None,
    )


def _limited(
    server: DatabaseServer, sessions: Iterable[SessionRow], limits: Iterable[Limit], roles: Collection[str]
) -> DatabaseServer:
    """As it is for one deployment; of several roles or databases none has all of its connections."""
    users, databases = {s.role for s in sessions} or set(roles), {s.database for s in sessions}
    mine = [one for one in limits if {one.name} == (databases if one.what == "database" else users)]
    least = min(mine, key=lambda one: one.most, default=None)
    if least is None or (server.usable is not None and server.usable <= least.most):
        return server
    return replace(server, usable=least.most, in_use=least.in_use, limited_by=f"{least.what} {least.name}")
