"""What PostgreSQL says of its sessions (postgresql.org, "The Cumulative Statistics System"), 10 and newer."""

from __future__ import annotations

from typing import Any, Literal

from probes import text
from probes.base import Frozen

MOST_SESSIONS = 5000
"""Rows that are read of one server; a server with more is asked for no more."""
MOST_LIMITS = 1000

_LIMITS = """
select name, setting::int as value from pg_catalog.pg_settings
where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""
_LIMITED = f"""
select 'role'::text as what, rolname::text as name, rolconnlimit as most from pg_catalog.pg_roles
where rolconnlimit >= 0 and not rolsuper
union all
select 'database'::text, datname::text, datconnlimit from pg_catalog.pg_database where datconnlimit >= 0
limit {MOST_LIMITS}
"""  # noqa: S608 -- a number of our own
_SESSIONS = f"""
select a.usename::text as role, a.datname::text as database,
       pg_catalog.host(a.client_addr) as address, a.client_port as port, a.application_name as application, a.state,
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
    role: str = ""
    """Empty where it is not told."""
    database: str = ""


class Limit(Frozen, frozen=True):
    """How many connections a server lets in of one role or account, or to one database."""

    what: Literal["role", "database", "account"]
    name: str
    most: int
    in_use: int
    """Sessions that count towards it."""


class Statistics(Frozen, frozen=True):
    """One look at a server."""

    version: str | None
    usable: int | None
    sessions: tuple[SessionRow, ...]
    hidden: int = 0
    """Sessions of which this role may see nothing but that they are there."""
    limits: tuple[Limit, ...] = ()
    """Of roles (``pg_roles.rolconnlimit``; superusers have none) and databases (``pg_database.datconnlimit``)."""


async def read(connection: Any) -> Statistics:
    """Asks thrice, in one transaction that can only read. Raises what asyncpg raises."""
    async with connection.transaction(readonly=True):
        limits = {row["name"]: row["value"] for row in await connection.fetch(_LIMITS)}
        limited = await connection.fetch(_LIMITED)
        rows = await connection.fetch(_SESSIONS)
    most = limits.get("max_connections")
    reserved = limits.get("superuser_reserved_connections", 0) + limits.get("reserved_connections", 0)
    return Statistics(
        version=text.clean(str(connection.get_settings().server_version), 60) or None,
        usable=None if most is None else most - reserved,
        sessions=tuple(_session(row) for row in rows if not row["hidden"]),
        hidden=sum(1 for row in rows if row["hidden"]),
        limits=tuple(
            Limit(one["what"], _name(one["name"]), one["most"], sum(row[one["what"]] == one["name"] for row in rows))
            for one in limited
        ),
    )


def _name(said: object) -> str:
    """Of a role or a database."""
    return text.line(str(said or ""), 80)


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
        role=_name(row["role"]),
        database=_name(row["database"]),
    )
