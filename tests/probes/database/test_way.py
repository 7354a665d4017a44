"""A server that no address leads to is asked over a stream that somebody else opened."""

from __future__ import annotations

import asyncio
import socket

import pytest

from probes.base import Failure, TargetId
from probes.database.dsn import Dsn, parse
from probes.database.server import Asked, Unanswered
from probes.target import Unreadable
from tests.databases import Postgres, Server
from tests.mariadb import MariaDb

NOWHERE = "192.0.2.254"
"""TEST-NET-1 (RFC 5737)."""


class Way:
    """Opens the real port; counts, and may refuse."""

    def __init__(self, server: Server) -> None:
        self.place = ("127.0.0.1", server.port)
        self.opened: list[socket.socket] = []
        self.failure: Failure | None = None
        self.refuses = False

    async def open(self) -> socket.socket:
        if self.refuses:
            raise Unreadable(Failure("api-forbidden", "port 5432 of the pod shop/db-0", "it may not", "ask"))
        made = socket.socket()
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, self.place)
        self.opened.append(made)
        return made


def asked(way: Way, dsn: str) -> Asked:
    return Asked(parse(dsn), NOWHERE, 1, way=way, inside=TargetId("k8s/test"))


@pytest.mark.parametrize("mode", ["disable", "require"])
async def test_postgresql_is_asked_over_it_with_and_without_tls(postgres: Postgres, mode: str) -> None:
    way = Way(postgres)
    one = asked(way, f"{postgres.dsn('watcher', 'watch-s3cret')}?sslmode={mode}")
    for _ in range(2):
        looked = await one.look()
        assert looked.server.own_encrypted is (mode == "require")
    assert len(way.opened) == 1
    await one.close()
    assert way.opened[0].fileno() == -1, "closed with the connection"


async def test_a_certificate_is_checked_for_the_name_in_the_dsn(postgres: Postgres) -> None:
    way = Way(postgres)
    dsn = f"{postgres.dsn('watcher', 'watch-s3cret', host='localhost')}?sslmode=verify-full"
    known = Asked(parse(dsn), NOWHERE, 1, postgres.certificate.read_bytes(), way=way)
    assert (await known.look()).server.own_encrypted
    await known.close()
    other = parse(f"{postgres.dsn('watcher', 'watch-s3cret', host='db')}?sslmode=verify-full")
    with pytest.raises(Unanswered, match="not trusted, or is not for this name"):
        await Asked(other, NOWHERE, 1, postgres.certificate.read_bytes(), way=way).look()


async def test_pgbouncers_console_is_asked_over_it(pgbouncer: Server) -> None:
    way = Way(pgbouncer)
    one = asked(way, pgbouncer.dsn("watcher", "watch-s3cret"))
    assert (await one.look()).server.kind == "pgbouncer"
    await one.close()
    assert len(way.opened) > 1


@pytest.mark.parametrize("mode", ["DISABLED", "REQUIRED"])
async def test_mariadb_is_asked_over_it_with_and_without_tls(mariadb: MariaDb, mode: str) -> None:
    way = Way(mariadb)
    one = asked(way, f"{mariadb.dsn('watcher', 'watch-s3cret')}?ssl-mode={mode}")
    for _ in range(2):
        looked = await one.look()
        assert looked.server.kind == "mariadb"
        assert looked.server.own_encrypted is (mode == "REQUIRED")
    await one.close()
    assert len(way.opened) == 1


async def test_a_way_that_refuses_says_so_and_may_be_tried_again(postgres: Postgres) -> None:
    way = Way(postgres)
    way.refuses = True
    one = asked(way, postgres.dsn())
    with pytest.raises(Unanswered) as refused:
        await one.look()
    assert refused.value.failure.why == "it may not"
    assert not one.given_up
    way.refuses = False
    await one.look()
    way.opened[-1].shutdown(socket.SHUT_RDWR)
    way.failure = Failure("unreachable", "port 5432 of the pod shop/db-0", "the pod is gone", "")
    with pytest.raises(Unanswered, match="the pod is gone"):
        await one.look()
    await one.look()
    await one.close()


def test_what_was_refused_inside_a_cluster_is_not_refused_at_the_same_address_elsewhere() -> None:
    dsn: Dsn = parse("postgresql://a:b@db/c")
    here, there = (Asked(dsn, "10.0.0.2", 5432, inside=TargetId(f"k8s/{name}")) for name in ("one", "two"))
    assert here._where != there._where
