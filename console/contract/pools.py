"""Database connections as JSON."""

from __future__ import annotations

from datetime import datetime

from console.contract.base import Out
from probes.model import Deployment
from probes.pools import DatabaseServer, Held, Pooled


class SessionsOut(Out, frozen=True):
    """What the server says of them."""

    server: str
    states: dict[str, int]
    applications: dict[str, int]
    waiting_for_locks: int
    oldest_transaction_seconds: float | None
    encrypted: int | None
    """How many of them use TLS."""
    usable: int | None
    """What the server, or a limit below it, allows all that share it."""
    in_use: int | None
    """Of those, by all that share it."""
    limited_by: str | None
    """Whose limit ``usable`` is (``role shop``, ``database shop``); ``null`` where it is the server's own."""


class PoolOut(Out, frozen=True):
    """The pools of all workers of all replicas."""

    in_use: int | None
    """Connections that are open, as the server counts them; ``null`` where that cannot be told."""
    capacity: int | None
    """(size + overflow) × workers × replicas, those of a rollout included; ``null`` where a part is not known."""
    per_worker: int | None
    source: str
    peak: int | None
    """The most that were open at once while it was looked: no bound of the pool."""
    reckoned: str | None
    """How ``capacity`` is reckoned: ``2 × 3 × (5+10)``."""
    sessions: SessionsOut | None
    """``null`` where no server was asked."""


class DatabaseOut(Out, frozen=True):
    """A server that was asked, in a session that can only read."""

    server: str
    kind: str
    version: str | None
    asked_at: datetime
    usable: int | None
    """``max_connections`` less what is reserved; PgBouncer's ``max_client_conn``."""
    in_use: int | None
    unattributed: int
    """Connections from addresses that are no replica's."""
    hidden: int
    """Sessions of other roles, of which the server tells nothing."""
    encrypted: int | None
    pools: tuple[Pooled, ...]
    """PgBouncer's, by database and user."""


def pool(one: Deployment) -> PoolOut | None:
    """``None`` where nothing is known."""
    known = one.pool
    if known is None:
        return None
    return PoolOut(
        in_use=known.in_use,
        capacity=known.capacity,
        per_worker=known.per_worker,
        source=known.source,
        peak=known.peak,
        reckoned=known.product,
        sessions=None if known.held is None else _sessions(known.held),
    )


def database(one: DatabaseServer) -> DatabaseOut:
    """One server."""
    return DatabaseOut(
        server=one.name,
        kind=one.kind,
        version=one.version,
        asked_at=one.asked_at,
        usable=one.usable,
        in_use=one.in_use,
        unattributed=one.unattributed,
        hidden=one.hidden,
        encrypted=one.encrypted,
        pools=one.pooled,
    )


def _sessions(held: Held) -> SessionsOut:
    return SessionsOut(
        server=held.server.name,
        states=dict(held.states),
        applications=dict(held.applications),
        waiting_for_locks=held.waiting_for_locks,
        oldest_transaction_seconds=held.oldest_transaction_seconds,
        encrypted=held.encrypted,
        usable=held.server.usable,
        in_use=held.server.in_use,
        limited_by=held.server.limited_by or None,
    )
