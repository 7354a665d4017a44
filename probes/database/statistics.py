"""What PostgreSQL says of its sessions (postgresql.org, "The Cumulative Statistics System"), 10 and newer."""

from __future__ import annotations

from typing import Any

from probes import text
from probes.base import Frozen

MOST_SESSIONS = 5000
"""Rows that are read of one server; a server with more is asked for no more."""

_LIMITS = """
select name, setting::int as value from pg_catalog.pg_settings
where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""
_SESSIONS = f"""
select pg_catalog.host(a.client_addr) as address, a.client_port as port, a.application_name as application, a.state,
       a.backend_type is null as hidden, a.pid = pg_catalog.pg_backend_pid() as own,
       a.wait_event_type = 'Lock' as locked,
       extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as transaction_seconds,
       s.ssl as encrypted
from pg_catalog.pg_stat_activity a left join pg_catalog.pg_stat_ssl s on s.pid = a.pid
where a.backend_type = 'client backend' or (a.backend_type is null and a.datid is not null)
limit {MOST_SESSIONS}
"""  # noqa: S608 -- a number of our own


class SessionRow(Frozen, frozen=True):
    """One client's session."""

    address: str | None
    """``None`` for a Unix socket."""
    port: int | None
    application: str
    state: str
    locked: bool = False
    """It waits for a lock."""
    transaction_seconds: float | None = None
    """How long its transaction has been open."""
    encrypted: bool | None = None
    own: bool = False
    """It is fastops' own."""


class Statistics(Frozen, frozen=True):
    """One look at a server."""

    version: str | None
    usable: int | None
    sessions: tuple[SessionRow, ...]
    hidden: int = 0
    """Sessions of which this role may see nothing but that they are there."""


async def read(connection: Any) -> Statistics:
    """Asks twice, in one transaction that can only read. Raises what asyncpg raises."""
    async with connection.transaction(readonly=True):
        limits = {row["name"]: row["value"] for row in await connection.fetch(_LIMITS)}
        rows = await connection.fetch(_SESSIONS)
    most = limits.get("max_connections")
    reserved = limits.get("superuser_reserved_connections", 0) + limits.get("reserved_connections", 0)
    return Statistics(
        version=text.clean(str(connection.get_settings().server_version), 60) or None,
        usable=None if most is None else most - reserved,
        sessions=tuple(_session(row) for row in rows if not row["hidden"]),
        hidden=sum(1 for row in rows if row["hidden"]),
    )


def _session(row: Any) -> SessionRow:
    return SessionRow(
        address=row["address"],
        port=row["port"],
        application=text.line(row["application"] or "", 80),
        state=text.clean(row["state"] or "", 40),
        locked=row["locked"] is True,
        transaction_seconds=row["transaction_seconds"],
        encrypted=row["encrypted"],
        own=row["own"],
    )
