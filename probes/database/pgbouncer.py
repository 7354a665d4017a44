"""PgBouncer's console: ``SHOW …`` alone, which reads its own tables and reaches no server behind it.

The console speaks PostgreSQL's simple query protocol and nothing else (pgbouncer.org, "Admin console"); asyncpg throws
its rows away. So asyncpg opens the connection, with TLS and authentication, and the rows are read here.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any

from probes import text
from probes.base import Frozen
from probes.database.bounds import APPLICATION, STATEMENT_SECONDS
from probes.database.statistics import MOST_SESSIONS, SessionRow
from probes.pools import Pooled

_CONSOLE = "pgbouncer"
"""The console's own database: its clients are people who look, as fastops is."""
_ANSWER_BYTES = 8 << 20
_MOST_ROWS = MOST_SESSIONS + 1000
"""Kept of one answer: of clients no more are asked, and people look at the console."""
_MOST_COLUMNS = 100
"""Of one row: several times as many as any has."""
_MOST = (1 << 31) - 1
"""PgBouncer counts in C's ``int``."""
_LAST_PORT = 65535
Row = Mapping[str, str]


class BadAnswer(OSError):
    """What came is no answer of PgBouncer's console."""


class Look(Frozen, frozen=True):
    """One look at a pooler."""

    version: str | None
    max_clients: int | None
    pools: tuple[Pooled, ...]
    clients: tuple[SessionRow, ...]


async def read(connection: Any) -> Look:
    """Asks four things; the connection is asyncpg's, and no use to asyncpg afterwards. Raises ``OSError``."""
    rows = _Rows()
    transport = connection._transport
    before = transport.get_protocol()
    transport.set_protocol(rows)
    try:
        async with asyncio.timeout(4 * STATEMENT_SECONDS):
            version = await rows.ask(transport, "SHOW VERSION")
            pools = await rows.ask(transport, "SHOW POOLS")
            clients = await rows.ask(transport, "SHOW CLIENTS")
            settings = await rows.ask(transport, "SHOW CONFIG")
    finally:
        transport.set_protocol(before)
    said = next((text.clean(value, 60) for row in version for value in row.values()), None)
    most = next((row.get("value") for row in settings if row.get("key") == "max_client_conn"), None)
    return Look(
        version=None if said is None else said.removeprefix("PgBouncer").strip(),
        max_clients=_number(most),
        pools=tuple(pool for row in pools if row.get("database") != _CONSOLE and (pool := _pool(row)) is not None),
        clients=tuple(_client(row) for row in clients[:MOST_SESSIONS] if row.get("database") != _CONSOLE),
    )


def _pool(row: Row) -> Pooled | None:
    """``None`` where what stands for a number is none."""
    counts = [_number(row.get(name)) for name in ("cl_active", "cl_waiting", "sv_active", "sv_idle")]
    known = [one for one in counts if one is not None]
    if len(known) < len(counts):
        return None
    return Pooled(
        database=text.line(row.get("database", ""), 80),
        user=text.line(row.get("user", ""), 80),
        clients_active=known[0],
        clients_waiting=known[1],
        servers_active=known[2],
        servers_idle=known[3],
        mode=text.clean(row["pool_mode"], 20) if row.get("pool_mode") else None,
    )


def _client(row: Row) -> SessionRow:
    address = row.get("addr", "")
    return SessionRow(
        address=None if address in {"", "unix"} else address,
        port=_number(row.get("port"), _LAST_PORT),
        application=text.line(row.get("application_name", ""), 80),
        state=text.clean(row.get("state", ""), 40),
        encrypted=bool(row["tls"]) if "tls" in row else None,
        own=row.get("application_name") == APPLICATION,
    )


def _number(said: str | None, most: int = _MOST) -> int | None:
    """A count; ``None`` for what PgBouncer cannot mean."""
    if said is None or not (said.isascii() and said.isdecimal()) or len(said) > len(str(most)):
        return None
    return int(said) if int(said) <= most else None


class _Rows(asyncio.Protocol):
    """Messages of PostgreSQL's protocol 3: T describes rows, D is one, E an error, Z the end of an answer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._names: list[str] = []
        self._found: list[Row] = []
        self._taken = 0
        self._ended: asyncio.Future[None] | None = None

    async def ask(self, transport: Any, query: str) -> list[Row]:
        """The rows of one question."""
        self._ended = asyncio.get_running_loop().create_future()
        self._names, self._found, self._taken = [], [], 0
        body = query.encode() + b"\0"
        transport.write(b"Q" + struct.pack("!i", len(body) + 4) + body)
        await self._ended
        return self._found

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._taken += len(data)
        if self._taken > _ANSWER_BYTES:
            self._fail(BadAnswer("too long an answer"))
            return
        try:
            while len(self._buffer) >= 5:
                size = max(4, struct.unpack_from("!i", self._buffer, 1)[0])
                if len(self._buffer) < size + 1:
                    return
                kind, body = chr(self._buffer[0]), bytes(self._buffer[5 : size + 1])
                del self._buffer[: size + 1]
                self._message(kind, body)
        except (ValueError, struct.error):
            self._fail(BadAnswer("not an answer of PgBouncer"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc if isinstance(exc, OSError) else ConnectionResetError("closed"))

    def _message(self, kind: str, body: bytes) -> None:
        if kind == "T":
            self._names, at = [], 2
            for _ in range(_columns(body)):
                end = body.index(b"\0", at)
                self._names.append(body[at:end].decode("utf-8", "replace"))
                at = end + 19  # the name's end, and six numbers about its type
        elif kind == "D" and len(self._found) < _MOST_ROWS:
            self._found.append(dict(zip(self._names, _values(body), strict=False)))
        elif kind == "E":
            self._fail(BadAnswer("refused"))
        elif kind == "Z" and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)


def _columns(body: bytes) -> int:
    many: int = struct.unpack_from("!h", body)[0]
    if not 0 <= many <= _MOST_COLUMNS:
        raise ValueError("no row of PgBouncer's")
    return many


def _values(body: bytes) -> list[str]:
    made, at = [], 2
    for _ in range(_columns(body)):
        size = struct.unpack_from("!i", body, at)[0]
        at += 4
        made.append("" if size < 0 else body[at : at + size].decode("utf-8", "replace"))
        at += max(size, 0)
    return made
