"""Database connections as data: what a deployment holds, what it may open, and what the server allows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from probes.base import Frozen

ServerKind = Literal["postgresql", "pgbouncer", "mysql", "mariadb"]


class Pooled(Frozen, frozen=True):
    """One pool of PgBouncer (``SHOW POOLS``): a database and a user."""

    database: str
    user: str
    clients_active: int
    clients_waiting: int
    servers_active: int
    servers_idle: int
    mode: str | None = None


class DatabaseServer(Frozen, frozen=True):
    """A server that was asked, in a session that can only read."""

    name: str
    """``HOST:PORT`` as the DSN names it."""
    kind: ServerKind
    asked_at: datetime
    version: str | None = None
    usable: int | None = None
    """PostgreSQL: ``max_connections`` less what is reserved for superusers; MySQL: ``max_connections``; PgBouncer:
    ``max_client_conn``."""
    in_use: int | None = None
    """Sessions of all clients, fastops' own included; where one role's limit counts, those of that role."""
    limited_by: str = ""
    """Whose limit :attr:`usable` is where that is not the server's: ``role shop``."""
    unattributed: int = 0
    """Sessions that come from no address of a known replica; fastops' own is not counted."""
    hidden: int = 0
    """Sessions of other roles, of which the server tells this role nothing."""
    encrypted: int | None = None
    """Of all sessions, those over TLS."""
    own_encrypted: bool | None = None
    """Whether fastops' own session is."""
    pooled: tuple[Pooled, ...] = ()


class Held(Frozen, frozen=True):
    """What a server says of the connections of one deployment."""

    server: DatabaseServer
    connections: int | None = None
    """``None`` where others on the server may be its, too, and none is known to be."""
    states: Mapping[str, int] = {}
    """``active``, ``idle``, ``idle in transaction``, … → sessions."""
    applications: Mapping[str, int] = {}
    """``application_name`` → sessions."""
    waiting_for_locks: int = 0
    oldest_transaction_seconds: float | None = None
    encrypted: int | None = None


class Variables(Frozen, frozen=True):
    """The variables of the environment that give a pool its numbers, as the service's source reads them."""

    size: tuple[str, ...] = ()
    overflow: tuple[str, ...] = ()


class Pool(Frozen, frozen=True):
    """The connection pools of a deployment: each worker of each replica has one."""

    source: str
    """Where the numbers come from, for people."""
    in_use: int | None = None
    """Connections that are open, as the server counts them."""
    peak: int | None = None
    """The most that were open at once while fastops looked: no bound of the pool."""
    size: int | None = None
    overflow: int | None = None
    """What a worker may open beyond ``size``; -1 for no bound."""
    workers: int | None = None
    """In each replica."""
    replicas: int | None = None
    surge: int = 0
    """Replicas more while a rollout is under way."""
    held: Held | None = None
    """``None`` where no server was asked."""
    variables: Variables | None = None
    """``None`` where the source does not tell them."""

    @property
    def per_worker(self) -> int | None:
        """What one worker may open; ``None`` where that is not known, or has no bound."""
        if self.size is None or self.overflow is None or self.overflow < 0:
            return None
        return self.size + self.overflow

    @property
    def capacity(self) -> int | None:
        """What all workers of all replicas may open together."""
        each = self.per_worker
        if each is None or self.workers is None or self.replicas is None:
            return None
        return each * self.workers * (self.replicas + self.surge)

    @property
    def product(self) -> str | None:
        """How :attr:`capacity` is reckoned: ``2 × 3 × (5+10)``, workers × replicas × a worker's pool."""
        if self.capacity is None:
            return None
        replicas = f"({self.replicas}+{self.surge})" if self.surge else str(self.replicas)
        several = f" × {replicas}" if self.surge or self.replicas != 1 else ""
        return f"{self.workers}{several} × ({self.size}+{self.overflow})"
