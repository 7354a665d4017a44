"""One connection to one server, in a session that can only read."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from probes.database import failures, tls
from probes.database.bounds import APPLICATION, CLOSE_SECONDS, CONNECT_SECONDS, STATEMENT_SECONDS
from probes.database.dsn import Dsn
from probes.target import Way

_SESSION = {
    "application_name": APPLICATION,
    "default_transaction_read_only": "on",
    "statement_timeout": f"{STATEMENT_SECONDS * 1000:.0f}",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "10000",
}


class Pooler(Exception):
    """The port is PgBouncer's: it refuses the settings that make a session read-only."""


class _Over:
    """asyncio's loop, whose one connection is a stream that is open already: asyncpg takes a loop, but no socket."""

    def __init__(self, stream: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._stream: socket.socket | None = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Any, *_: Any, **named: Any) -> Any:
        """Over the stream; what is opened beside it (to cancel a query) has no way."""
        stream, self._stream = self._stream, None
        if stream is None:
            raise ConnectionError("there is one stream")
        return await self._loop.create_connection(factory, sock=stream, **named)

    def close_unused(self) -> None:
        """Where no connection was made of it."""
        if self._stream is not None:
            self._stream.close()


async def connect(dsn: Dsn, address: str, port: int, root: bytes | None = None, way: Way | None = None) -> Any:
    """An asyncpg connection at an address that stands for the DSN's host, by ``way`` where none leads there.

    Raises :class:`Pooler`, ``OSError``, ``TimeoutError``, what the way raises, and asyncpg's errors.
    """
    import asyncpg

    try:
        return await _open(dsn, address, port, root, way, dsn.database, _SESSION)
    except asyncpg.ProtocolViolationError as error:
        if "unsupported startup parameter" in str(error):
            raise Pooler from None
        raise


async def console(dsn: Dsn, address: str, port: int, root: bytes | None = None, way: Way | None = None) -> Any:
    """A connection to PgBouncer's own console, which has no settings and cannot touch the servers behind it."""
    return await _open(dsn, address, port, root, way, "pgbouncer", {"application_name": APPLICATION})


async def close(connection: Any) -> None:
    """Ends a connection, whatever state it is in."""
    transport = connection._transport
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()
    connection.terminate()
    transport.abort()  # what was said is sent; a TLS connection would wait for the server's goodbye


async def _open(
    dsn: Dsn,
    address: str,
    port: int,
    root: bytes | None,
    way: Way | None,
    database: str,
    settings: dict[str, str],
) -> Any:
    """TLS first where it is preferred; clear text only where the DSN allows that."""
    import asyncpg

    context = tls.context(dsn, root)
    kept = {
        "host": address,
        "port": port,
        "user": dsn.user,
        "password": dsn.password,
        "database": database,
        "timeout": CONNECT_SECONDS,
        "command_timeout": STATEMENT_SECONDS,
        "statement_cache_size": 0,
        "server_settings": settings,
    }
    try:
        return await _made(way, **kept, ssl=context or False)
    except asyncpg.InvalidPasswordError:
        raise
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        if not failures.by_transport(error):
            raise  # of LDAP and its like: the same password would be refused a second time
        if dsn.sslmode == "prefer":
            return await _made(way, **kept, ssl=False)
        if dsn.sslmode == "allow":
            return await _made(way, **kept, ssl=tls.optional(dsn))
        raise
    except ConnectionError as error:
        if dsn.sslmode == "prefer" and "rejected SSL" in str(error):
            return await _made(way, **kept, ssl=False)
        raise


async def _made(way: Way | None, **named: Any) -> Any:
    import asyncpg

    if way is None:
        return await asyncpg.connect(**named)
    over = _Over(await way.open())
    try:
        return await asyncpg.connect(**named, loop=over)
    finally:
        over.close_unused()
