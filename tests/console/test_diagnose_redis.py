"""``fastops diagnose`` on what a service prints while a real Redis is gone (one finding), or refuses (none)."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import databases
from tests.console._fastops import Fastops
from tests.console.test_diagnose_parts import Service, causes, serving
from tests.databases import PROMISE
from tests.parts import missing
from tests.probes.local.servers import free_port

SERVICE = """
import os

import redis.asyncio
from fastapi import FastAPI

app = FastAPI()
client = redis.asyncio.Redis.from_url(os.environ["DATABASE_URL"], retry=None)


@app.get("/health")
async def health():
    return "ok"


@app.get("/orders")
async def orders(statement: str):
    return str(await client.execute_command(*statement.split()))
"""


@pytest.fixture
def fastops(tmp_path: Path) -> Fastops:
    return Fastops(tmp_path / "home", f"unix://{tmp_path}/nobody.sock")


@contextmanager
def redis(*options: str) -> Iterator[int]:
    """Its port; nothing of it is kept."""
    program = shutil.which("redis-server", path="/usr/bin:/usr/local/bin")
    if program is None:
        missing("Redis is not installed (Debian: apt-get install redis-server)", PROMISE)
    with databases.own_folder() as folder:
        port = free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *options]
        with databases.running(command, folder, port, signal.SIGTERM):
            yield port


@contextmanager
def on_redis(fastops: Fastops, folder: Path, port: int) -> Iterator[Service]:
    with serving(fastops, folder, f"redis://127.0.0.1:{port}/0", SERVICE) as service:
        yield service


def test_a_redis_that_is_gone(fastops: Fastops, tmp_path: Path) -> None:
    with redis() as port, on_redis(fastops, tmp_path / "service", port) as service:
        assert service.ask("SET stock 5") == [200]
        assert not causes(service.found())
    with on_redis(fastops, tmp_path / "service", port) as service:
        assert service.ask("GET stock") == [500]
        found = service.found()
    assert causes(found) == {"dependency-unreachable"}
    assert f"127.0.0.1:{port}" in found["dependency-unreachable"]["evidence"][0]["text"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--requirepass", "s3cret"), "redis.exceptions.AuthenticationError"),
        (("--maxmemory", "1"), "command not allowed when used memory > 'maxmemory'"),
        (("--maxclients", "1"), "max number of clients reached"),
    ],
)
def test_a_redis_that_refuses_is_no_database_that_does_and_no_kill(
    fastops: Fastops, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    with redis(*options) as port, on_redis(fastops, tmp_path / "service", port) as service:
        assert 500 in service.ask("BLPOP nothing 3" if "--maxclients" in options else "SET stock 5", 3)
        found = service.found()
        assert said in service.log.read_text()
    assert causes(found) <= {"unhandled-exceptions"}
