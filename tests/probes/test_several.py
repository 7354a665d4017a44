"""Servers side by side below one process, as a container's script starts them, are told apart."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probes import servers, workers
from probes.model import Worker
from probes.procfs import ProcFs
from probes.servers import ServerCommand
from probes.several import is_another, name, told_apart
from probes.workers import CpuMeter
from tests.probes.test_procfs import BIN, PROC, REPLICA, free_port, until

APP = "async def app(scope, receive, send):\n    pass\n"


@contextmanager
def started(folder: Path, script: str) -> Iterator[int]:
    """A shell that starts several servers, as an entry point does."""
    for module in ("shop", "admin"):
        (folder / f"{module}.py").write_text(APP)
    (folder / "entry.sh").write_text(f"#!/bin/sh\n{script}\nwait\n")
    shell = subprocess.Popen(
        ["sh", "entry.sh"], cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield shell.pid
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait(20)


def look(root: int, command: ServerCommand | None, *, others: bool = True) -> tuple[Worker, ...]:
    return workers.measure(PROC, PROC.tree(), root, REPLICA, CpuMeter(), command=command, others=others)


def test_both_servers_of_a_script_are_seen_and_the_second_is_named(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    script = (
        f"{BIN}/uvicorn shop:app --port {first} --workers 2 --lifespan off &\n"
        f"UVICORN_PORT={second} {BIN}/uvicorn admin:app --lifespan off &"
    )
    shop = servers.parse(["uvicorn", "shop:app", "--port", str(first), "--workers", "2"], {})
    admin = servers.parse(["uvicorn", "admin:app", "--port", str(second)], {})
    with started(tmp_path, script) as root:
        assert until(
            lambda: {first, second} == {x.port for x in PROC.listeners(root, PROC.tree().descendants(root)) or ()}
        )
        assert until(lambda: len(look(root, shop)) == 4)
        found = look(root, shop)
        assert [(one.role, one.beside) for one in found] == [
            ("master", None),
            ("worker", None),
            ("worker", None),
            ("server", f"uvicorn admin:app on :{second}"),
        ]
        turned = look(root, admin)
        assert [(one.role, one.beside) for one in turned] == [
            ("server", None),
            ("master", f"uvicorn shop:app on :{first}"),
            ("worker", f"uvicorn shop:app on :{first}"),
            ("worker", f"uvicorn shop:app on :{first}"),
        ]
        assert {one.pid for one in turned} == {one.pid for one in found}
        assert [one.role for one in look(root, admin, others=False)] == ["server"]


def test_a_server_that_a_script_started_before_it_became_another_is_no_worker_of_that(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    script = (
        f"{BIN}/uvicorn admin:app --port {first} --lifespan off &\n"
        f"exec {BIN}/gunicorn shop:app -k asgi -w 2 -b 127.0.0.1:{second} --no-control-socket"
    )
    shop = servers.parse(["gunicorn", "shop:app", "-b", f"127.0.0.1:{second}"], {})
    with started(tmp_path, script) as root:
        assert until(lambda: len(look(root, shop)) == 4)
        found = look(root, shop)
        assert [(one.role, one.beside) for one in found] == [
            ("master", None),
            ("worker", None),
            ("worker", None),
            ("server", f"uvicorn admin:app on :{first}"),
        ]
        assert found[0].pid == root
        admin = servers.parse(["uvicorn", "admin:app", "--port", str(first)], {})
        assert [one.role for one in look(root, admin)] == ["server", "master", "worker", "worker"]


@pytest.mark.parametrize(
    ("below", "above", "another"),
    [
        (("gunicorn", "a:app"), ("gunicorn", "a:app"), False),
        (("gunicorn: worker [a:app]",), ("gunicorn: master [a:app]",), False),
        (("gunicorn: master [b:app]",), ("uvicorn", "a:app"), True),
        (("uvicorn", "a:app", "--port", "8001"), ("uvicorn", "a:app", "--port", "8000"), True),
        (("python", "-c", "from multiprocessing.spawn import spawn_main"), ("uvicorn", "a:app"), False),
    ],
)
def test_what_a_server_forks_is_its_own(below, above, another) -> None:
    assert is_another(below, above) is another


def test_a_second_process_of_the_same_application_at_the_same_port_is_no_other_server() -> None:
    class Two(ProcFs):
        def argv(self, pid: int) -> tuple[str, ...] | None:
            return ("uvicorn", "shop:app", "--port", "8000")

        def environ(self, pid: int) -> dict[str, str] | None:
            return {}

    assert told_apart((7, 9), Two(), None) == (7, {})


@pytest.mark.parametrize(
    ("argv", "environment", "expected"),
    [
        (("gunicorn", "admin:app", "-b", "0.0.0.0:8001"), {}, "gunicorn admin:app on :8001"),
        (("uvicorn", "admin:app"), {"UVICORN_PORT": "8002"}, "uvicorn admin:app on :8002"),
        (("gunicorn", "admin:app", "-b", "unix:/run/a.sock"), {}, "gunicorn admin:app"),
    ],
)
def test_a_server_is_named_by_its_application_and_port(argv, environment, expected) -> None:
    assert name(servers.parse(argv, environment)) == expected
