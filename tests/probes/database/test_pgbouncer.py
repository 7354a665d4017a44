"""PgBouncer is known by what it refuses, and asked in its own console."""

from __future__ import annotations

import asyncpg
import pytest

from probes.database.dsn import parse
from probes.database.server import Asked, Unanswered
from tests.databases import Server


async def test_its_pools_and_clients_are_counted(pgbouncer: Server) -> None:
    clients = [await asyncpg.connect(pgbouncer.dsn(), statement_cache_size=0) for _ in range(4)]
    busy = clients[0].transaction()
    await busy.start()
    asked = Asked(parse(pgbouncer.dsn("watcher", "watch-s3cret")), pgbouncer.host, pgbouncer.port)
    try:
        looked = await asked.look()
        again = await asked.look()
    finally:
        await busy.rollback()
        for one in clients:
            await one.close()
        await asked.close()
    assert looked.server.kind == "pgbouncer"
    assert looked.server.version
    assert looked.server.version[0].isdigit()
    assert looked.server.usable == 40
    pool = next(p for p in looked.server.pooled if p.database == "shop")
    assert pool.clients_active == 4
    assert pool.clients_waiting == 0
    assert 1 <= pool.servers_active + pool.servers_idle <= 3
    assert pool.mode in {None, "transaction"}
    assert len({(s.address, s.port) for s in looked.sessions if not s.own}) == 4
    assert len([s for s in again.sessions if not s.own]) == 4


async def test_whoever_may_not_look_is_told_what_to_ask_for(pgbouncer: Server) -> None:
    asked = Asked(parse(pgbouncer.dsn()), pgbouncer.host, pgbouncer.port)
    with pytest.raises(Unanswered) as raised:
        await asked.look()
    assert raised.value.failure.code == "not-permitted"
    assert "stats_users" in raised.value.failure.hint
