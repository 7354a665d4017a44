"""``fastops diagnose`` on what a service prints while the real servers around it fail: MariaDB, PgBouncer, nginx, …"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from tests import databases
from tests.console._fastops import Fastops
from tests.databases import PROMISE, Postgres, Server
from tests.mariadb import MariaDb
from tests.parts import missing
from tests.probes.local.servers import DEADLINE_SECONDS, free_port, running, uvicorn

AT_ONCE = 24
"""More than either server lets in."""
SERVICE = """
import os
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiomysql
import asyncpg
from fastapi import FastAPI

url = urlsplit(os.environ.get("DATABASE_URL", ""))
pool = None


@asynccontextmanager
async def lifespan(app):
    global pool
    if url.scheme == "postgresql":
        pool = await asyncpg.create_pool(url.geturl(), min_size=0, max_size=20)
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health():
    return "ok"


@app.get("/orders")
async def orders(statement: str):
    if pool is not None:
        async with pool.acquire() as connection:
            return str(await connection.fetch(statement))
    async with aiomysql.connect(
        host=url.hostname, port=url.port, user=url.username, password=url.password, db=url.path[1:]
    ) as connection:
        async with connection.cursor() as cursor:
            await cursor.execute(statement)
            return str(await cursor.fetchall())


@app.get("/end")
async def end():
    os._exit(1)
"""


@pytest.fixture
def fastops(tmp_path: Path) -> Fastops:
    return Fastops(tmp_path / "home", f"unix://{tmp_path}/nobody.sock")


class Service:
    """A service that answers, its output, and what fastops says of it."""

    def __init__(self, fastops: Fastops, folder: Path, port: int) -> None:
        self.log, self.port = folder / "service.log", port
        self._fastops = fastops

    def ask(self, statement: str, times: int = 1) -> list[int]:
        """The statuses of requests that are under way at the same time."""
        url, query = f"http://127.0.0.1:{self.port}/orders", {"statement": statement}
        with ThreadPoolExecutor(times) as pool:
            asked = [pool.submit(httpx.get, url, params=query, timeout=DEADLINE_SECONDS) for _ in range(times)]
            return [one.result().status_code for one in asked]

    def found(self, log: Path | None = None) -> dict[str, Any]:
        """The findings in its output, or in another log, by signature."""
        done = self._fastops("diagnose", str(log or self.log), "--format", "json")
        assert done.status in (0, 1), done.said
        return {one["signature"]: one for one in done.json["files"][0]["findings"]}


@contextmanager
def serving(fastops: Fastops, folder: Path, url: str | None = None, source: str = SERVICE) -> Iterator[Service]:
    """Runs the service on a database."""
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(source)
    port = free_port()
    environment = {} if url is None else {"DATABASE_URL": url}
    with running(uvicorn(port), folder, port, **environment):
        yield Service(fastops, folder, port)


def until(what: str, met: Callable[[], bool]) -> None:
    deadline = monotonic() + DEADLINE_SECONDS
    while not met():
        assert monotonic() < deadline, what
        sleep(0.05)


def causes(found: dict[str, Any]) -> set[str]:
    """What is found and no effect of something else, but for how the test runs its service."""
    return {name for name, one in found.items() if one["explained_by"] is None} - {"bind-loopback", "slow-requests"}


def test_a_mariadb_that_is_full(fastops: Fastops, mariadb: MariaDb, tmp_path: Path) -> None:
    with serving(fastops, tmp_path / "service", mariadb.dsn()) as service:
        assert 500 in service.ask("select sleep(1)", AT_ONCE)
        found = service.found()
    assert causes(found) == {"db-connections-exhausted"}
    assert found["unhandled-exceptions"]["explained_by"]["signature"] == "db-connections-exhausted"


def test_a_mariadb_that_refuses_the_password(fastops: Fastops, mariadb: MariaDb, tmp_path: Path) -> None:
    with serving(fastops, tmp_path / "service", mariadb.dsn(password="stale")) as service:
        assert service.ask("select 1") == [500]
        assert causes(service.found()) == {"db-auth-failed"}


def test_a_mariadb_that_ends_sessions(fastops: Fastops, mariadb: MariaDb, tmp_path: Path) -> None:
    with serving(fastops, tmp_path / "service", mariadb.dsn()) as service, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.ask, "select sleep(60)")
        running_now = "select id from information_schema.processlist where info = 'select sleep(60)'"
        until("its statement does not run", lambda: mariadb.query(running_now) != "")
        mariadb.query(f"kill {mariadb.query(running_now)}")
        assert asked.result() == [500]
        assert causes(service.found()) == {"db-connection-lost"}


def test_a_postgresql_that_takes_tls_alone(fastops: Fastops, postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.dsn("tlsonly", "tls-s3cret", "tlsonly")
    with serving(fastops, tmp_path / "service", url + "?sslmode=disable") as service:
        assert service.ask("select 1") == [500]
        assert causes(service.found()) == {"db-ssl-required"}


def test_prepared_statements_behind_a_pooler(fastops: Fastops, pgbouncer: Server, tmp_path: Path) -> None:
    url = pgbouncer.dsn()
    with serving(fastops, tmp_path / "service", url) as service:
        # PgBouncer gives each transaction a session of its own choice: it takes some until two statements meet.
        until("no statement met another", lambda: 500 in service.ask("select pg_sleep(0.01)", 8))
        assert causes(service.found()) == {"db-pooler-prepared"}


def test_a_service_that_dies_behind_nginx(fastops: Fastops, tmp_path: Path) -> None:
    with serving(fastops, tmp_path / "service") as service, nginx(service.port) as (port, log):
        assert httpx.get(f"http://127.0.0.1:{port}/health", timeout=DEADLINE_SECONDS).status_code == 200
        assert not service.found(log)
        for path, why in (("end", "upstream prematurely closed"), ("health", "Connection refused")):
            assert httpx.get(f"http://127.0.0.1:{port}/{path}", timeout=DEADLINE_SECONDS).status_code == 502
            found = service.found(log)
            assert set(found) == {"connections-dropped"}
            assert why in found["connections-dropped"]["evidence"][0]["text"]


@contextmanager
def nginx(upstream: int, log_format: str = "") -> Iterator[tuple[int, Path]]:
    """nginx before a service: its port and its log, of accesses (in a format of its own) and errors."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        missing("nginx is not installed (Debian: apt-get install nginx)", PROMISE)
    with databases.own_folder() as folder:
        port, log = free_port(), folder / "nginx.log"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        kept = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in kinds)
        named, chosen = (f"log_format own '{log_format}'; ", "own") if log_format else ("", "combined")
        logged = f"{named}access_log {log} {chosen};"
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {log};\nevents {{}}\nhttp {{ {logged} {kept}\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{upstream}; }} }} }}\n"
        )
        command = [program, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(log)]
        with databases.running(command, folder, port, signal.SIGQUIT):
            yield port, log
