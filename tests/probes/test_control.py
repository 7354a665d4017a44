"""gunicorn's control socket: what it tells, that nothing else is asked for, and who may not lie by it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from probes import control
from probes.base import DeploymentId, ReplicaId
from probes.control import SOURCE, Control, effective
from probes.model import Interest, Setting, Worker
from probes.procfs import ProcFs
from tests.probes.local.servers import APP, free_port, gunicorn, running, unique, watched

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")
PROC = ProcFs()
CONFIG = {"bind": ["127.0.0.1:8000"], "timeout": 30, "worker_class": "<class 'gunicorn.workers.gasgi.ASGIWorker'>"}
Respond = Callable[[socket.socket, dict[str, object]], None]


def said(connection: socket.socket, data: object, status: str = "ok") -> None:
    body = json.dumps({"id": 1, "status": status, "data": data}).encode()
    connection.sendall(struct.pack(">I", len(body)) + body)


@contextlib.contextmanager
def child() -> Iterator[int]:
    """A process that inherits no socket of this one: a worker, for all that can be seen."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.communicate(b"\n")


@contextlib.contextmanager
def master(path: Path, respond: Respond) -> Iterator[list[bytes]]:
    """This process listens as gunicorn's master does; all that it is sent."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.settimeout(60)
                while head := connection.recv(4):
                    body = connection.recv(struct.unpack(">I", head)[0])
                    heard.append(body)
                    respond(connection, json.loads(body))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield heard
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def workers(pid: int) -> tuple[Worker, ...]:
    replica = ReplicaId("r")
    return (
        Worker(os.getpid(), replica, "master"),
        Worker(pid, replica, "worker", inner_pid=9),
        Worker(pid, replica, "worker", inner_pid=10),
    )


def as_gunicorn(connection: socket.socket, request: dict[str, object]) -> None:
    beats = [{"pid": 9, "age": 1, "last_heartbeat": 20.5}, {"pid": 10, "age": 2, "last_heartbeat": -1.8e9}]
    said(connection, CONFIG if request["args"] == ["config"] else {"workers": beats, "count": 2})


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a thread of this process may answer late."""
    monkeypatch.setattr(control, "SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
def test_show_alone_is_ever_sent(tmp_path: Path) -> None:
    with child() as pid, master(tmp_path / "gunicorn.ctl", as_gunicorn) as heard:
        found = control.ask(PROC, workers(pid))
    assert found is not None
    requests = [json.loads(one) for one in heard]
    assert [(one["command"], one["args"]) for one in requests] == [("show", ["config"]), ("show", ["workers"])]
    assert {json.loads(one)["command"] for one in control._REQUESTS.values()} == {"show"}
    (beat,) = found.heartbeats  # the other one has not given its first yet
    assert (beat.pid, beat.silent_seconds, beat.every_seconds, beat.late) == (pid, 20.5, 15.0, True)
    assert found.settings["worker_class"] == Setting("asgi", SOURCE)
    assert (found.settings["host"].value, found.settings["port"].value) == ("127.0.0.1", 8000)


def too_long(connection: socket.socket, _: dict[str, object]) -> None:
    connection.sendall(struct.pack(">I", 1 << 31))


def no_json(connection: socket.socket, _: dict[str, object]) -> None:
    connection.sendall(struct.pack(">I", 4) + b"\xff{[[")


def deep(connection: socket.socket, _: dict[str, object]) -> None:
    connection.sendall(struct.pack(">I", 60_000) + b"[" * 60_000)


def refused(connection: socket.socket, _: dict[str, object]) -> None:
    said(connection, {}, "error")


def another_shape(connection: socket.socket, _: dict[str, object]) -> None:
    said(connection, [{"workers": 3}])


def drops(connection: socket.socket, _: dict[str, object]) -> None:
    connection.close()


def drips(connection: socket.socket, _: dict[str, object]) -> None:
    connection.sendall(struct.pack(">I", 1000))
    with contextlib.suppress(OSError):
        for _ in range(1000):
            connection.sendall(b"{")
            time.sleep(0.05)


@pytest.mark.parametrize("respond", [too_long, no_json, deep, refused, another_shape, drops, drips])
def test_a_socket_that_answers_otherwise_tells_nothing(tmp_path: Path, respond: Respond) -> None:
    with child() as pid, master(tmp_path / "gunicorn.ctl", respond) as heard:
        assert control.ask(PROC, workers(pid)) is None
    assert len(heard) == 1


@pytest.mark.usefixtures("patient")
def test_secrets_and_control_characters_in_what_it_tells_are_not_kept(tmp_path: Path) -> None:
    told = {**CONFIG, "raw_env": ["API_TOKEN=hush"], "bind": ["unix:/x?password=hush\x1b[2J"], "env": {"K": "hush"}}

    def respond(connection: socket.socket, request: dict[str, object]) -> None:
        said(connection, told if request["args"] == ["config"] else {"workers": []})

    with child() as pid, master(tmp_path / "gunicorn.ctl", respond):
        found = control.ask(PROC, workers(pid))
    assert found is not None
    assert found.settings["timeout"].value == 30
    assert "hush" not in str(found)
    assert "\x1b" not in str(found)


def test_who_is_not_the_master_is_told_nothing(tmp_path: Path) -> None:
    other = tmp_path / "other.ctl"
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(1, flush=True);"
        "c = s.accept()[0]; print(len(c.recv(100)), flush=True)"
    )
    with child() as pid, master(tmp_path / "gunicorn.ctl", as_gunicorn) as heard:
        stranger = subprocess.Popen([sys.executable, "-c", program, str(other)], stdout=subprocess.PIPE, text=True)
        assert stranger.stdout is not None
        stranger.stdout.readline()
        other.rename(tmp_path / "gunicorn.ctl")
        assert control.ask(PROC, workers(pid)) is None
        assert stranger.communicate(timeout=60)[0] == "0\n"
    assert not heard


def test_without_a_socket_of_that_kind_nobody_is_asked(tmp_path: Path) -> None:
    with child() as pid:
        assert control.ask(PROC, workers(pid)) is None
        with master(tmp_path / "requests.sock", as_gunicorn) as heard:
            assert control.ask(PROC, workers(pid)) is None
        assert not heard


def test_the_place_stays_named_where_the_socket_agrees() -> None:
    known = {
        "timeout": Setting(77, "/srv/gunicorn.conf.py"),
        "worker_class": Setting("uvicorn_worker.UvicornWorker", "command line"),
        "bind": Setting(":8000", "command line"),
        "threads": Setting(1, "default"),
    }
    told = {
        "timeout": Setting(77, SOURCE),
        "worker_class": Setting("uvicorn_worker._workers.UvicornWorker", SOURCE),
        "bind": Setting("0.0.0.0:8000", SOURCE),
        "threads": Setting(4, SOURCE),
        "workers": Setting(3, SOURCE),
    }
    found = effective(known, Control(datetime.now(UTC), told))
    assert found == {**known, "threads": Setting(4, SOURCE), "workers": Setting(3, SOURCE)}
    assert effective(known, None) == known


@pytest.mark.parametrize("kind", ["asgi", "uvicorn_worker.UvicornWorker"])
async def test_a_real_master_tells_what_its_file_computes_and_when_its_workers_beat(tmp_path: Path, kind: str) -> None:
    port, name = free_port(), unique("told")
    folder = tmp_path / name
    folder.mkdir()
    (folder / "main.py").write_text(APP)
    (folder / "gunicorn.conf.py").write_text(
        "def number():\n    return 2\n\n\nworkers = number()\ntimeout = 20 * number()\n"
        f"control_socket = {str(tmp_path / 'steer.ctl')!r}\n"
    )
    with running(gunicorn(port, "-k", kind), folder, port) as process:
        async with watched() as watch:
            watch.target.focus(Interest(focused=DeploymentId(f"local/{name}")))  # asked again while workers start
            found = (await watch.until(lambda all_: name in all_ and len(all_[name].replicas[0].heartbeats) == 2))[name]
    assert found.settings["workers"] == Setting(2, SOURCE)
    assert found.settings["timeout"] == Setting(40, SOURCE)
    assert found.settings["worker_class"] == Setting(kind, "command line")
    (replica,) = found.replicas
    serving = {one.pid for one in replica.workers if one.role == "worker"}
    assert {one.pid for one in replica.heartbeats} == serving
    assert process.pid not in serving
    assert {one.every_seconds for one in replica.heartbeats} == {20.0}
