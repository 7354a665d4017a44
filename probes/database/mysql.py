"""One connection to one server of MySQL or MariaDB, in a session that can only read; needs aiomysql."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Literal

from probes.database import tls
from probes.database.bounds import APPLICATION, CLOSE_SECONDS, CONNECT_SECONDS, STATEMENT_SECONDS
from probes.database.dsn import Dsn
from probes.target import Way

_GIVEN_AWAY = frozenset({"mysql_clear_password", "mysql_old_password", "dialog"})
"""Plugins that ask for the password itself, or for a proof of it that is as good."""
_SESSION = (
    "set session transaction read only",
    "set session lock_wait_timeout = 1, innodb_lock_wait_timeout = 1, wait_timeout = 60, time_zone = 'SYSTEM'",
)
_TIMEOUT = {
    "mariadb": f"set session max_statement_time = {STATEMENT_SECONDS:g}",
    "mysql": f"set session max_execution_time = {STATEMENT_SECONDS * 1000:.0f}",
}


class NoDriver(Exception):
    """aiomysql is not installed."""


class NoTls(Exception):
    """The DSN asks for TLS, and the server has none."""


class Clear(Exception):
    """The server asks for the password itself, or for a proof of it that gives it away."""


async def connect(dsn: Dsn, address: str, port: int, root: bytes | None = None, way: Way | None = None) -> Any:
    """A connection of aiomysql at an address that stands for the DSN's host, by ``way`` where none leads there.

    To no database. Raises :class:`NoDriver`, :class:`NoTls`, :class:`Clear`, ``TimeoutError``, what the way raises, and
    PyMySQL's errors.
    """
    try:
        from aiomysql.connection import Connection, _open_connection
        from pymysql.constants import CLIENT
    except ImportError:
        raise NoDriver from None

    class Careful(Connection):  # type: ignore[misc]
        """Gives no password in clear text, and none without TLS where the DSN asks for it."""

        async def _connect(self) -> None:
            """As aiomysql's own, which takes no stream that is open already."""
            if way is None:
                await super()._connect()
                return
            self._reader, self._writer = await _open_connection(sock=await way.open())
            self._next_seq_id = 0
            await self._get_server_information()
            await self._request_authentication()
            await self.autocommit(True)

        async def _request_authentication(self) -> None:
            if dsn.sslmode not in {"disable", "prefer"} and not self.server_capabilities & CLIENT.SSL:
                raise NoTls
            _check(self._server_auth_plugin)
            self.client_flag &= ~(CLIENT.MULTI_STATEMENTS | CLIENT.LOCAL_FILES)
            await super()._request_authentication()

        async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
            _check(plugin_name.decode("ascii", "replace"))
            return await super()._process_auth(plugin_name, auth_packet)

    made = Careful(
        host=address,
        port=port,
        user=dsn.user,
        password=dsn.password,
        charset="utf8mb4",
        connect_timeout=CONNECT_SECONDS,
        autocommit=True,
        ssl=tls.context(dsn, root),
        program_name=APPLICATION,
    )
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await made._connect()
            for statement in (*_SESSION, _TIMEOUT[kind(made)]):
                await ask(made, statement)
    except BaseException:
        made.close()
        raise
    return made


def kind(connection: Any) -> Literal["mysql", "mariadb"]:
    """``mariadb`` or ``mysql``: MariaDB says so in its version."""
    return "mariadb" if "mariadb" in str(connection.get_server_info()).lower() else "mysql"


async def ask(connection: Any, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    async with asyncio.timeout(STATEMENT_SECONDS + CLOSE_SECONDS), connection.cursor() as cursor:
        await cursor.execute(query)
        return list(await cursor.fetchall())


async def close(connection: Any) -> None:
    """Ends a connection, whatever state it is in."""
    transport = None if connection._writer is None else connection._writer.transport
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.ensure_closed()
    connection.close()
    if transport is not None:
        transport.abort()


def _check(plugin: str) -> None:
    """An unknown plugin is refused by aiomysql itself, with its name."""
    if plugin in _GIVEN_AWAY:
        raise Clear
