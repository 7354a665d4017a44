"""Asking a real PostgreSQL, with TLS and without: what it says of its sessions, and every way in which it does not."""

from __future__ import annotations

import contextlib

import asyncpg
import pytest

from probes.database import connecting
from probes.database.dsn import parse
from probes.database.server import Asked, Unanswered
from tests.databases import USABLE, Postgres


def _asked(text: str, server: Postgres, *, root: bytes | None = None, address: str | None = None) -> Asked:
    return Asked(parse(text), address or server.host, server.port, root)


async def _failure(text: str, server: Postgres, **how: object) -> tuple[str, str]:
    asked = _asked(text, server, **how)
    try:
        with pytest.raises(Unanswered) as raised:
            await asked.look()
    finally:
        await asked.close()
    said = raised.value.failure
    whole = f"{said.what} {said.why} {said.hint}"
    assert "s3cret" not in whole
    assert "shop:" not in whole
    return said.code, said.why


async def test_the_sessions_are_those_that_the_server_itself_counts(postgres: Postgres) -> None:
    held = [await asyncpg.connect(postgres.dsn()) for _ in range(4)]
    busy = held[0].transaction()
    await busy.start()
    asked = _asked(postgres.dsn("watcher", "watch-s3cret", "postgres"), postgres)
    try:
        looked = await asked.look()
        again = await asked.look()
        others = postgres.held("shop")
    finally:
        await busy.rollback()
        for one in held:
            await one.close()
        await asked.close()
    assert looked.server.usable == USABLE
    assert looked.server.hidden == 0
    assert looked.server.in_use == len(looked.sessions)
    assert others == 4
    mine = [s for s in looked.sessions if s.role == "shop"]
    assert len(mine) == others, "a pooler's own sessions, which outlast its clients, are not of this role"
    assert len({(s.address, s.port) for s in mine}) == 4
    assert [s.state for s in mine].count("idle in transaction") == 1
    assert sum(s.own for s in again.sessions) == 1, "one connection is kept, not one made for each look"
    assert looked.server.own_encrypted is True, "TLS is preferred where nothing else is asked for"


async def test_the_session_is_named_and_can_only_read(postgres: Postgres) -> None:
    connection = await connecting.connect(parse(postgres.dsn()), postgres.host, postgres.port)
    try:
        assert await connection.fetchval("show application_name") == "fastops"
        assert await connection.fetchval("show statement_timeout") == "3s"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("create table written (id int)")
    finally:
        await connecting.close(connection)


async def test_without_the_right_to_see_others_they_are_counted_as_hidden(postgres: Postgres) -> None:
    other = await asyncpg.connect(postgres.dsn("watcher", "watch-s3cret"))
    asked = _asked(postgres.dsn(), postgres)
    try:
        looked = await asked.look()
    finally:
        await other.close()
        await asked.close()
    assert looked.server.hidden >= 1
    assert all(s.own for s in looked.sessions)


async def test_no_connection_is_left_behind(postgres: Postgres) -> None:
    asked = _asked(postgres.dsn(), postgres)
    await asked.look()
    await asked.close()
    count = "select count(*) from pg_stat_activity where application_name = 'fastops'"
    for _ in range(100):
        if postgres.query(count) == "0":
            return
    assert postgres.query(count) == "0"


async def test_a_wrong_password_is_said_and_not_tried_again(postgres: Postgres) -> None:
    asked = _asked(postgres.dsn(password="not-s3cret"), postgres)
    for _ in range(2):
        with pytest.raises(Unanswered) as raised:
            await asked.look()
        assert raised.value.failure.code == "wrong-password"
    assert asked.given_up
    log = (postgres.folder / "log").read_text()
    assert log.count('password authentication failed for user "shop"') == 1


async def test_what_pg_hba_does_not_allow_is_said(postgres: Postgres) -> None:
    code, why = await _failure(postgres.dsn(database="nobodys"), postgres)
    assert code == "not-permitted"
    assert "pg_hba.conf" in why


async def test_a_server_that_demands_tls_says_so_to_clear_text(postgres: Postgres) -> None:
    dsn = postgres.dsn("tlsonly", "tls-s3cret", "tlsonly")
    code, _ = await _failure(dsn + "?sslmode=disable", postgres)
    assert code == "not-permitted"
    asked = _asked(dsn + "?sslmode=require", postgres)
    looked = await asked.look()
    await asked.close()
    assert looked.server.own_encrypted is True


async def test_a_certificate_is_checked_for_the_name_in_the_dsn(postgres: Postgres) -> None:
    root = postgres.certificate.read_bytes()
    good = f"postgresql://shop:shop-s3cret@localhost:{postgres.port}/shop?sslmode=verify-full&sslrootcert=/there"
    asked = _asked(good, postgres, root=root)  # at another address than the name's: it is the name that counts
    assert (await asked.look()).server.own_encrypted is True
    await asked.close()
    other = good.replace("@localhost", "@db.internal")
    assert (await _failure(other, postgres, root=root))[0] == "bad-certificate"
    unknown = good.replace("&sslrootcert=/there", "")
    assert (await _failure(unknown, postgres))[0] == "bad-certificate"
    assert (await _failure(good, postgres))[0] == "bad-root"


async def test_a_server_that_takes_no_more_is_said(postgres: Postgres) -> None:
    held: list[asyncpg.Connection] = []
    try:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while len(held) < USABLE + 3:
                held += [await asyncpg.connect(postgres.dsn())]
        assert len(held) <= USABLE
        code, why = await _failure(postgres.dsn(), postgres)
    finally:
        for one in held:
            await one.close()
    assert code == "too-many-connections"
    assert "no more connections" in why


async def test_nothing_that_listens_and_no_such_database_are_said(postgres: Postgres) -> None:
    gone = Asked(parse("postgresql://shop:x@127.0.0.1:1/shop"), "127.0.0.1", 1)
    with pytest.raises(Unanswered) as raised:
        await gone.look()
    assert raised.value.failure.code == "unreachable"
    assert (await _failure(postgres.dsn(database="none"), postgres))[0] == "no-database"


async def test_a_session_that_was_ended_is_opened_again(postgres: Postgres) -> None:
    asked = _asked(postgres.dsn(), postgres)
    try:
        await asked.look()
        end = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where application_name = 'fastops'"
        assert postgres.query(end) == "1"
        with contextlib.suppress(Unanswered):  # it may learn of it only now
            await asked.look()
        assert sum(s.own for s in (await asked.look()).sessions) == 1
    finally:
        await asked.close()
