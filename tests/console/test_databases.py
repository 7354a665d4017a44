"""`fastops scan --database` on real services that hold real connections, compared with what the server counts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from console.config import Config
from console.session import Session
from console.wanted_databases import wanted
from fixes.model import Report
from tests.console._fastops import Done, Fastops, until
from tests.databases import USABLE, Postgres, Server
from tests.mariadb import USABLE as MOST_SESSIONS
from tests.mariadb import MariaDb
from tests.probes.local.servers import free_port, running, unique, uvicorn

SERVICES = Path(__file__).parents[1] / "probes" / "database" / "services"
WAIT_SECONDS = 60
RELAY = """
import asyncio, sys
async def pump(r, w):
    while data := await r.read(65536):
        w.write(data)
    w.close()
async def serve(r, w):
    r2, w2 = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    await asyncio.gather(pump(r, w2), pump(r2, w))
async def main():
    server = await asyncio.start_server(serve, '0.0.0.0', 5432)
    print('relays', flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
Start = Callable[..., Any]


@pytest.fixture
def start(docker_client: Any, lab_image: str) -> Iterator[Start]:
    """Starts a container of the lab's image with the services of these tests; removed when the test ends."""
    made: list[Any] = []

    def run(*command: str, environment: Mapping[str, str] = {}, **options: Any) -> Any:
        name = f"fastops-db-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        volumes = {str(SERVICES): {"bind": "/services", "mode": "ro"}}
        container = docker_client.containers.create(
            lab_image, list(command), name=name, environment=dict(environment), volumes=volumes,
            working_dir="/services", detach=True, **options,
        )  # fmt: skip
        made.append(container)
        container.start()
        container.reload()
        return container

    yield run
    for container in made:
        with contextlib.suppress(Exception):
            container.remove(force=True, v=True)


@pytest.fixture
def network(docker_client: Any) -> Iterator[Any]:
    """A network whose names only its containers know."""
    made = docker_client.networks.create(f"fastops-db-{os.getpid()}-{uuid.uuid4().hex[:8]}", driver="bridge")
    yield made
    made.remove()


def _shop(start: Start, dsn: str, *, held: int, size: int, overflow: int, **options: Any) -> Any:
    url = dsn.replace("postgresql://", "postgresql+asyncpg://")
    environment = {
        "DATABASE_URL": url, "DB_POOL_SIZE": str(size), "DB_MAX_OVERFLOW": str(overflow), "HELD": str(held)
    }  # fmt: skip
    command = ("uvicorn", "--host", "0.0.0.0", "--port", "8000", "shop:app")
    return start(*command, environment=environment, **options)


def _deployment(done: Done, name: str) -> Any:
    return next(d for d in done.json["deployments"] if d["name"] == name)


def _scan(fastops: Fastops, target: str, *databases: str) -> Done:
    options = [part for one in databases for part in ("--database", one)]
    done = fastops("scan", target, "--format", "json", "--fail-on", "never", *options)
    assert done.status in {0, 3}, done.said
    assert "s3cret" not in done.said
    kept = [path.read_bytes() for path in fastops.state.rglob("*") if path.is_file()]
    assert not any(b"s3cret" in text for text in kept)
    return done


def test_connections_of_a_container_are_those_that_the_server_counts(
    engine: str, start: Start, postgres: Postgres, tmp_path: Path
) -> None:
    service = _shop(start, postgres.dsn(), held=4, size=2, overflow=3)
    until("its connections", lambda: postgres.held("shop") == 4)
    before = postgres.asked()
    done = _scan(Fastops(tmp_path / "one", engine), "docker", "own")
    assert postgres.asked() == before + 1, "one connection to each server"
    found = _deployment(done, service.name)
    pool = found["pool"]
    assert abs(pool["in_use"] - postgres.held("shop")) <= 1
    assert (pool["per_worker"], pool["capacity"], pool["reckoned"]) == (5, 5, "1 × (2+3)")
    assert "pg_stat_activity" in pool["source"]
    assert "source /services/shop.py:" in pool["source"]
    assert "DB_POOL_SIZE, DB_MAX_OVERFLOW" in pool["source"]
    assert pool["sessions"]["states"] == {"idle in transaction": 4}
    assert pool["sessions"]["applications"] == {"shop-api": 4}
    assert pool["sessions"]["encrypted"] == 4
    server = next(s for s in done.json["databases"] if s["server"] == f"{postgres.host}:{postgres.port}")
    assert (server["kind"], server["usable"]) == ("postgresql", USABLE)
    assert not [f for f in found["findings"] if f["signature"] == "pool-oversubscribed"]
    until("the end of its session", lambda: postgres.asked_now() == 0)


def test_without_the_option_no_database_is_asked(engine: str, start: Start, postgres: Postgres, tmp_path: Path) -> None:
    service = _shop(start, postgres.dsn(), held=1, size=2, overflow=3)
    until("its connections", lambda: postgres.held("shop") == 1)
    before = postgres.asked()
    done = _scan(Fastops(tmp_path / "one", engine), "docker")
    assert postgres.asked() == before
    pool = _deployment(done, service.name)["pool"]
    assert (pool["in_use"], pool["capacity"], pool["sessions"]) == (None, 5, None)
    assert done.json["databases"] == []


def test_pools_that_do_not_fit_the_server_are_a_finding(
    engine: str, start: Start, postgres: Postgres, tmp_path: Path
) -> None:
    service = _shop(start, postgres.dsn(), held=1, size=10, overflow=10)
    until("its connections", lambda: postgres.held("shop") == 1)
    fastops = Fastops(tmp_path / "one", engine)
    fastops.env["WATCHER"] = postgres.dsn("watcher", "watch-s3cret", "postgres")
    done = _scan(fastops, "docker", "env:WATCHER")
    found = [f for f in _deployment(done, service.name)["findings"] if f["signature"] == "pool-oversubscribed"]
    assert [f["severity"] for f in found] == ["warning"]
    assert f"1 × (10+10) = 20 connections, the server allows {USABLE}" in found[0]["title"]
    asked = postgres.asked()
    fix = fastops("fix", f"docker/{service.name}", "pool-oversubscribed", "--database", "env:WATCHER", "--dry-run")
    assert fix.status == 0, fix.said
    assert "resize-pool" in fix.out
    assert "DB_MAX_OVERFLOW" in fix.out
    assert postgres.asked() == asked + 1


def test_names_of_a_network_are_known_and_what_comes_through_a_relay_is_nobodys(
    engine: str, network: Any, start: Start, postgres: Postgres, tmp_path: Path
) -> None:
    relay = start("python3", "-c", RELAY, postgres.host, str(postgres.port))
    network.connect(relay, aliases=["orders-db"])
    until("the relay", lambda: b"relays" in relay.logs())
    service = _shop(
        start, "postgresql://shop:shop-s3cret@orders-db/shop", held=2, size=2, overflow=0, network=network.name
    )
    until("its connections", lambda: postgres.held("shop") == 2)
    done = _scan(Fastops(tmp_path / "one", engine), "docker", "own")
    pool = _deployment(done, service.name)["pool"]
    assert pool["in_use"] is None
    assert pool["capacity"] == 2
    servers = {s["server"]: s for s in done.json["databases"]}
    assert "orders-db:5432" in servers, done.err
    server = servers["orders-db:5432"]
    assert server["unattributed"] >= 2
    assert "addresses that are no replica's" in done.err
    assert done.status == 3


def test_a_wrong_password_costs_the_scan_nothing_but_this_answer(
    engine: str, start: Start, postgres: Postgres, tmp_path: Path
) -> None:
    service = _shop(start, postgres.dsn(), held=1, size=2, overflow=3)
    until("its connections", lambda: postgres.held("shop") == 1)
    fastops = Fastops(tmp_path / "one", engine)
    fastops.env["WATCHER"] = postgres.dsn("watcher", "no-s3cret", "postgres")
    done = _scan(fastops, "docker", "env:WATCHER")
    assert done.status == 3
    assert "the server refuses the password" in done.err
    assert _deployment(done, service.name)["pool"]["in_use"] is None


@pytest.fixture
def process(postgres: Postgres, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """A local service with a pool of three connections."""
    made: list[subprocess.Popen[bytes]] = []

    def run(dsn: str, app: str = "orders:app") -> subprocess.Popen[bytes]:
        environment = {"DATABASE_URL": dsn, "DB_POOL_MAX_SIZE": "3", "PATH": os.environ["PATH"]}
        command = [sys.executable, "-m", "uvicorn", "--port", "0", app]
        with (tmp_path / "service.log").open("w") as log:
            made.append(subprocess.Popen(command, cwd=SERVICES, env=environment, stdout=log, stderr=log))
        return made[-1]

    yield run
    for one in made:
        one.terminate()
        one.wait(WAIT_SECONDS)


def test_connections_of_a_process_are_known_by_its_sockets(
    process: Callable[[str], Any], postgres: Postgres, tmp_path: Path
) -> None:
    service = process(postgres.dsn(host="127.0.0.1"))
    until("its connections", lambda: postgres.held("shop") == 3)
    done = _scan(Fastops(tmp_path / "one"), "local", "own")
    found = next(d for d in done.json["deployments"] if service.pid in [w["pid"] for w in d["workers"]])
    pool = found["pool"]
    assert abs(pool["in_use"] - postgres.held("shop")) <= 1
    assert (pool["per_worker"], pool["capacity"]) == (3, 3)


def test_clients_of_pgbouncer_are_counted_at_its_own_door(
    process: Callable[[str], Any], pgbouncer: Server, postgres: Postgres, tmp_path: Path
) -> None:
    service = process(pgbouncer.dsn(host="127.0.0.1"))
    fastops = Fastops(tmp_path / "one")
    fastops.env["WATCHER"] = pgbouncer.dsn("watcher", "watch-s3cret", host="127.0.0.1")
    until("the service", lambda: "startup complete" in (tmp_path / "service.log").read_text())
    done = _scan(fastops, "local", "env:WATCHER")
    assert done.json["databases"], done.err
    (server,) = done.json["databases"]
    assert (server["kind"], server["usable"]) == ("pgbouncer", 40)
    assert [(p["database"], p["clients_active"]) for p in server["pools"]] == [("shop", 3)]
    found = next(d for d in done.json["deployments"] if service.pid in [w["pid"] for w in d["workers"]])
    assert found["pool"]["in_use"] == 3
    assert "SHOW CLIENTS" in found["pool"]["source"]


def test_connections_to_mariadb_are_those_of_its_process_list(
    process: Callable[..., Any], mariadb: MariaDb, tmp_path: Path
) -> None:
    service = process(mariadb.dsn(host="127.0.0.1"), "goods:app")
    until("its connections", lambda: mariadb.held("shop") == 3)
    done = _scan(Fastops(tmp_path / "one"), "local", "own")
    found = next(d for d in done.json["deployments"] if service.pid in [w["pid"] for w in d["workers"]])
    assert abs(found["pool"]["in_use"] - mariadb.held("shop")) <= 1
    assert f"process list of 127.0.0.1:{mariadb.port}" in found["pool"]["source"]
    assert found["pool"]["sessions"]["states"] == {"idle": 3}
    server = next(s for s in done.json["databases"] if s["server"] == f"127.0.0.1:{mariadb.port}")
    assert (server["kind"], server["usable"]) == ("mariadb", MOST_SESSIONS)
    until("the end of its session", lambda: mariadb.held("shop") == 3)


def test_a_fix_says_which_database_did_not_answer_before_it_says_what_it_lacks(tmp_path: Path) -> None:
    name, port, nobody = unique("orders"), free_port(), free_port()
    dsn = f"postgresql://shop:s3cret@127.0.0.1:{nobody}/shop"
    with running(uvicorn(port), tmp_path / name, port, DATABASE_URL=dsn):
        ask = ("fix", f"local/{name}", "single-process", "--dry-run", "--observe", "12s")
        done = Fastops(tmp_path / "one")(*ask, "--database", "own")
    assert done.status == 4, done.said
    unanswered, _, refused = done.err.partition("no remedy applies to single-process here")
    assert f"the database server 127.0.0.1:{nobody}: nothing listens there" in unanswered
    assert refused, done.said
    assert "s3cret" not in done.said


def test_a_session_that_stays_open_shows_them_and_ends_its_connection_with_itself(
    process: Callable[[str], Any], postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path / "state"))
    service = process(postgres.dsn(host="127.0.0.1"))
    until("its connections", lambda: postgres.held("shop") == 3)

    with Session(["local"], Config(), databases=wanted(["own"])) as session:
        assert session.wait(WAIT_SECONDS, _shown(service.pid))
        assert postgres.asked_now() == 1
    until("the end of its connection", lambda: postgres.asked_now() == 0)


def test_a_session_that_was_not_told_to_asks_no_database_until_a_person_allows_it(
    process: Callable[[str], Any], postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path / "state"))
    service = process(postgres.dsn(host="127.0.0.1"))
    until("its connections", lambda: postgres.held("shop") == 3)
    before = postgres.asked()
    with Session(["local"], Config(), read_only=True) as session:
        assert session.wait(WAIT_SECONDS, lambda r: service.pid in _pids(r))
        assert not session.databases_allowed
        assert postgres.asked() == before
        assert all(d.pool is None or d.pool.in_use is None for d in session.report.snapshot.deployments())
        session.allow_databases()
        assert session.wait(WAIT_SECONDS, _shown(service.pid))
        assert session.databases_allowed
        assert postgres.asked_now() == 1
    until("the end of its connection", lambda: postgres.asked_now() == 0)
    assert not any(b"s3cret" in one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())


def _pids(report: Report) -> list[int]:
    return [worker.pid for one in report.snapshot.deployments() for worker in one.workers]


def _shown(pid: int) -> Callable[[Report], bool]:
    """Whether the connections of a process are known."""

    def shown(report: Report) -> bool:
        return any(
            d.pool is not None and d.pool.in_use == 3 and pid in [w.pid for w in d.workers]
            for d in report.snapshot.deployments()
        )

    return shown
