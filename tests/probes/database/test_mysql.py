"""Asking a real MariaDB, with TLS and without: what it says of its sessions, and every way in which it does not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.database import mysql, processlist
from probes.database.dsn import parse
from probes.database.refusals import Refusals
from probes.database.server import Asked, Looked, Unanswered
from tests.mariadb import USABLE, MariaDb

CLOSED = "mysql://me:me-s3cret@127.0.0.1:1/x"


def _asked(text: str, server: MariaDb, root: bytes | None = None, refusals: Refusals | None = None) -> Asked:
    return Asked(parse(text), server.host, server.port, root, refusals)


async def _look(text: str, server: MariaDb, root: bytes | None = None) -> Looked:
    asked = _asked(text, server, root)
    try:
        return await asked.look()
    finally:
        await asked.close()


async def _failure(asked: Asked) -> tuple[str, str]:
    try:
        with pytest.raises(Unanswered) as raised:
            await asked.look()
    finally:
        await asked.close()
    said = raised.value.failure
    whole = f"{said.what} {said.why} {said.hint}"
    assert "s3cret" not in whole
    assert "shop" not in whole
    return said.code, said.why


@asynccontextmanager
async def _held(server: MariaDb, many: int) -> AsyncIterator[list[Any]]:
    """So many sessions of the service's account."""
    import aiomysql

    made = [
        await aiomysql.connect(host=server.host, port=server.port, user="shop", password="shop-s3cret", db="shop")
        for _ in range(many)
    ]
    try:
        yield made
    finally:
        for one in made:
            await one.ensure_closed()


async def _run(connection: Any, sql: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(sql)


async def test_the_sessions_are_those_that_the_server_itself_counts(mariadb: MariaDb) -> None:
    asked = _asked(mariadb.dsn("watcher", "watch-s3cret"), mariadb)
    async with _held(mariadb, 4) as held:
        await _run(held[0], "update shop.goods set stock = stock - 1 where id = 1")
        waiting = asyncio.create_task(_run(held[1], "update shop.goods set stock = stock - 1 where id = 1"))
        try:
            for _ in range(200):
                looked = await asked.look()
                if any(s.locked for s in looked.sessions):
                    break
                await asyncio.sleep(0.05)
            others = mariadb.held("shop")
        finally:
            await held[0].rollback()
            await waiting
            await asked.close()
    assert looked.server.kind == "mariadb"
    assert looked.server.version is not None
    assert "MariaDB" in looked.server.version
    assert (looked.server.usable, looked.server.hidden) == (USABLE, 0)
    assert looked.server.in_use == len(looked.sessions)
    mine = [s for s in looked.sessions if not s.own]
    assert abs(len(mine) - others) <= 1
    assert others == 4
    assert len({(s.address, s.port) for s in mine}) == 4
    states = [s.state for s in mine]
    assert (states.count("idle in transaction"), states.count("active"), states.count("idle")) == (1, 1, 2)
    assert [s.locked for s in mine].count(True) == 1
    assert any(s.transaction_seconds is not None and s.transaction_seconds < 60 for s in mine)
    assert sum(s.own for s in looked.sessions) == 1, "one connection is kept, not one made for each look"
    assert looked.server.own_encrypted is True, "TLS is preferred where nothing else is asked for"


async def test_the_session_is_named_and_can_only_read(mariadb: MariaDb) -> None:
    connection = await mysql.connect(parse(mariadb.dsn()), mariadb.host, mariadb.port)
    try:
        assert connection._connect_attrs["program_name"] == "fastops"
        limits = "select @@max_statement_time, @@lock_wait_timeout, @@wait_timeout"
        assert [float(one) for one in (await mysql.ask(connection, limits))[0]] == [3.0, 1.0, 60.0]
        for statement in ("update shop.goods set stock = 0", "insert into shop.goods values (9, 9)"):
            with pytest.raises(Exception) as raised:
                await mysql.ask(connection, statement)
            assert processlist.code(raised.value) == 1792, "a transaction that can only read"
        with pytest.raises(Exception) as raised:
            await mysql.ask(connection, "select 1; select 2")
        assert processlist.code(raised.value) == 1064, "one statement at a time"
    finally:
        await mysql.close(connection)
    assert mariadb.query("select stock from shop.goods where id = 1") == "5"


async def test_without_the_right_to_see_others_they_are_counted_as_hidden(mariadb: MariaDb) -> None:
    watcher = await mysql.connect(parse(mariadb.dsn("watcher", "watch-s3cret")), mariadb.host, mariadb.port)
    try:
        async with _held(mariadb, 2):
            looked = await _look(mariadb.dsn(), mariadb)
    finally:
        await mysql.close(watcher)
    assert looked.server.hidden >= 1
    assert len([s for s in looked.sessions if not s.own]) == 2
    assert all(s.transaction_seconds is None for s in looked.sessions)


async def test_tls_is_as_the_dsn_asks(mariadb: MariaDb) -> None:
    root = mariadb.certificate.read_bytes()
    dsn = mariadb.dsn(host="localhost")
    assert (await _look(f"{dsn}?ssl-mode=DISABLED", mariadb)).server.own_encrypted is False
    assert (await _look(f"{dsn}?ssl-mode=REQUIRED", mariadb)).server.own_encrypted is True
    assert (await _look(f"{dsn}?ssl-mode=VERIFY_IDENTITY", mariadb, root)).server.own_encrypted is True
    assert (await _look(mariadb.dsn("tlsonly", "tls-s3cret"), mariadb)).server.own_encrypted is True
    untrusted = await _failure(_asked(f"{dsn}?ssl-mode=VERIFY_CA", mariadb))
    assert untrusted == ("bad-certificate", "its certificate is not trusted, or is not for this name")
    named = mariadb.dsn(host="orders-db")
    wrong = await _failure(_asked(f"{named}?ssl-mode=VERIFY_IDENTITY", mariadb, root))
    assert wrong[0] == "bad-certificate"
    assert (await _look(f"{named}?ssl-mode=VERIFY_CA", mariadb, root)).server.own_encrypted is True


async def test_each_refusal_is_one_sentence(mariadb: MariaDb) -> None:
    wrong = await _failure(_asked(mariadb.dsn(password="no-s3cret"), mariadb))
    assert wrong == ("wrong-password", "the server refuses the password")
    assert (await _failure(_asked(mariadb.dsn("locked", "locked-s3cret"), mariadb)))[1] == "the account is locked"
    clear = _asked(f"{mariadb.dsn('tlsonly', 'tls-s3cret')}?ssl-mode=DISABLED", mariadb)
    assert (await _failure(clear))[0] in {"wrong-password", "not-permitted"}
    assert await _failure(Asked(parse(CLOSED), "127.0.0.1", 1)) == ("unreachable", "nothing listens there")
    first = await mysql.connect(parse(mariadb.dsn("few", "few-s3cret")), mariadb.host, mariadb.port)
    try:
        assert (await _failure(_asked(mariadb.dsn("few", "few-s3cret"), mariadb)))[0] == "too-many-connections"
    finally:
        await mysql.close(first)


async def test_a_password_that_is_refused_is_given_once(mariadb: MariaDb) -> None:
    refusals = Refusals()
    before = int(mariadb.query("show global status like 'Access_denied_errors'").split()[1])
    one = _asked(mariadb.dsn(password="no-s3cret"), mariadb, refusals=refusals)
    assert await _failure(one) == await _failure(one)
    assert one.given_up
    await _failure(_asked(mariadb.dsn(password="no-s3cret", database="other"), mariadb, refusals=refusals))
    assert int(mariadb.query("show global status like 'Access_denied_errors'").split()[1]) == before + 1


async def test_a_server_that_ended_the_session_is_asked_anew(mariadb: MariaDb) -> None:
    asked = _asked(mariadb.dsn("watcher", "watch-s3cret"), mariadb)
    try:
        looked = await asked.look()
        assert looked.server.in_use
        mariadb.query("kill connection user watcher")
        assert (await _failure_of(asked))[0] == "closed"
        assert (await asked.look()).server.in_use
    finally:
        await asked.close()


async def _failure_of(asked: Asked) -> tuple[str, str]:
    with pytest.raises(Unanswered) as raised:
        await asked.look()
    return raised.value.failure.code, raised.value.failure.why


async def test_without_its_driver_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiomysql.connection", None)
    asked = Asked(parse(CLOSED), "127.0.0.1", 1)
    code, why = await _failure(asked)
    assert code == "no-driver"
    assert "aiomysql, which is not installed" in why


@pytest.mark.parametrize(
    ("greeting", "code"),
    [(b"mysql_clear_password", "not-permitted"), (b"mysql_old_password", "not-permitted"), (b"", "no-tls")],
)
async def test_a_server_that_wants_the_password_itself_does_not_get_it(greeting: bytes, code: str) -> None:
    """One that speaks no TLS: it asks for clear text, or the DSN asks for TLS."""
    got, ended = bytearray(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flags = 0x00080000 | 0x8000 | 0x0200  # PLUGIN_AUTH, SECURE_CONNECTION, PROTOCOL_41; no SSL
        hello = b"\x0a8.4.0\0" + b"\1\0\0\0" + b"12345678\0" + (flags & 0xFFFF).to_bytes(2, "little")
        hello += b"\x21\2\0" + (flags >> 16).to_bytes(2, "little") + b"\x15" + bytes(10) + b"123456789012\0"
        hello += (greeting or b"mysql_native_password") + b"\0"
        writer.write(len(hello).to_bytes(3, "little") + b"\0" + hello)
        got.extend(await reader.read(65536))
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    mode = "" if greeting else "?ssl-mode=REQUIRED"
    async with server:
        asked = Asked(parse(f"mysql://me:me-s3cret@127.0.0.1:{port}/x{mode}"), "127.0.0.1", port)
        assert (await _failure(asked))[0] == code
        async with asyncio.timeout(60):
            await ended.wait()
    assert not got


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("10.1.2.3:40112", ("10.1.2.3", 40112)), ("localhost", (None, None)), ("", (None, None)),
        ("localhost:5000", ("127.0.0.1", 5000)), ("2001:db8::1:4000", ("2001:db8::1", 4000)),
        ("[::1]:4000", ("::1", 4000)), ("shop-api.lan:4000", ("shop-api.lan", 4000)), ("x:999999", ("x:999999", None)),
    ],
)  # fmt: skip
def test_a_clients_place_is_address_and_port(host: str, place: tuple[str | None, int | None]) -> None:
    assert processlist.place(host) == place


@given(st.text(max_size=60))
def test_no_clients_place_is_too_strange(host: str) -> None:
    address, port = processlist.place(host)
    assert address is None or "\x1b" not in address
    assert port is None or 0 <= port < 65536
