"""PgBouncer is known by what it refuses, and asked in its own console."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from probes.database import pgbouncer as console
from probes.database.dsn import parse
from probes.database.server import Asked, Unanswered
from probes.database.statistics import MOST_SESSIONS
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


class Console:
    """Stands for a transport whose other end gives one answer to each question, of any numbers whatever."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.protocol: Any = None
        self.answers = answers

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, question: bytes) -> None:
        asked = question[5:-1].decode().removeprefix("SHOW ")
        asyncio.get_running_loop().call_soon(self.protocol.data_received, self.answers[asked])


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _answer(names: Sequence[str], *rows: Sequence[str]) -> bytes:
    heads = b"".join(name.encode() + bytes(19) for name in names)
    said = _message(b"T", struct.pack("!h", len(names)) + heads)
    for row in rows:
        values = b"".join(struct.pack("!i", len(value.encode())) + value.encode() for value in row)
        said += _message(b"D", struct.pack("!h", len(row)) + values)
    return said + _message(b"Z", b"I")


async def _read(**changed: bytes) -> console.Look:
    answers = {
        "VERSION": _answer(["version"], ["PgBouncer 1.18.0"]),
        "POOLS": _answer(["database"]),
        "CLIENTS": _answer(["database"]),
        "CONFIG": _answer(["key", "value"], ["max_client_conn", "40"]),
    }
    return await console.read(SimpleNamespace(_transport=Console(answers | changed)))


@pytest.mark.parametrize("said", ["9" * 30, "9" * 5000, str(1 << 53), "-1", "\u0663", "many", ""])
async def test_what_is_no_number_of_pgbouncers_is_not_known(said: str) -> None:
    names = ["database", "cl_active", "cl_waiting", "sv_active", "sv_idle"]
    look = await _read(
        POOLS=_answer(names, ["shop", said, "0", "1", "2"], ["orders", "3", "0", "1", "2"]),
        CLIENTS=_answer(["database", "addr", "port"], ["shop", "10.0.0.1", said], ["shop", "10.0.0.1", "70000"]),
        CONFIG=_answer(["key", "value"], ["max_client_conn", said]),
    )
    assert look.max_clients is None
    assert [(pool.database, pool.clients_active) for pool in look.pools] == [("orders", 3)]
    assert [client.port for client in look.clients] == [None, None]


async def test_rows_and_columns_have_a_bound() -> None:
    many = _answer(["database"], *[["shop"]] * (MOST_SESSIONS * 3))
    look = await _read(CLIENTS=many, POOLS=_answer(["database", "x"], *[["shop", ""]] * 20_000))
    assert len(look.clients) == MOST_SESSIONS
    rows, transport = console._Rows(), Console({"CLIENTS": many})
    transport.set_protocol(rows)
    assert len(await rows.ask(transport, "SHOW CLIENTS")) < 2 * MOST_SESSIONS
    for wrong in (_answer(["c"] * 200), _answer(["c"], ["v"] * 200), _message(b"T", struct.pack("!h", -1))):
        with pytest.raises(console.BadAnswer):
            await _read(CLIENTS=wrong)
