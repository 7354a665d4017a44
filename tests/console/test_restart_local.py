"""A restart on this machine where it does help: what a start clears is gone, until the service does it again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import msgspec
import psutil
import pytest

from console.config import Config
from console.session import Session
from probes.base import DeploymentId
from probes.target import Options, Target
from probes.targets.local.supervised import SERVICE_VARIABLE, SOCKET_VARIABLE, Reply, Request
from probes.targets.local.target import LocalTarget
from tests.console._fastops import until
from tests.console._remedies import Remedied
from tests.console._watching import Watch
from tests.lab.case import Hold
from tests.lab.drive import Driver
from tests.lab.images import SERVICES
from tests.probes.local import servers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
FILES = 64
CONNECTIONS = 12
FOUND_SECONDS = 240


class Supervisor(socketserver.ThreadingUnixStreamServer):
    """Starts one service, and starts it again when it is asked to; a context manager."""

    daemon_threads = True

    def __init__(self, folder: Path, argv: tuple[str, ...], port: int) -> None:
        self.folder, self.argv, self.port = folder, argv, port
        self.socket_path = str(folder.parent / "control.sock")
        super().__init__(self.socket_path, _Handler)
        self._thread = threading.Thread(target=self.serve_forever, name="supervisor")
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        env = os.environ | {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder), "PYTHONUNBUFFERED": "1"}
        env |= {SOCKET_VARIABLE: self.socket_path, SERVICE_VARIABLE: self.folder.name}
        command = ("prlimit", f"--nofile={FILES}:{FILES}", *self.argv)
        with (self.folder / "service.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=env, stdout=log, stderr=log, start_new_session=True, close_fds=True
            )

    def restart(self) -> None:
        self.end()
        self.process = self._spawn()

    def end(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def target(self, options: Options) -> Target:
        return LocalTarget(options, supervisor=self.socket_path)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join(10)
        self.server_close()
        self.end()


class _Handler(socketserver.StreamRequestHandler):
    server: Supervisor

    def handle(self) -> None:
        request = msgspec.json.decode(self.rfile.readline(), type=Request)
        if request.act == "restart":
            self.server.restart()
        self.wfile.write(
            msgspec.json.encode(Reply(ok=True, argv=self.server.argv, pid=self.server.process.pid)) + b"\n"
        )


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """Of two workers that open a file for each ``/template`` and never close it."""
    place = Path(tempfile.mkdtemp(prefix="supervised-"))  # a socket needs a short path
    folder = place / servers.unique("imports")
    folder.mkdir()
    shutil.copy(SERVICES / "descriptors.py", folder / "main.py")
    port = servers.free_port()
    try:
        with Supervisor(folder, servers.gunicorn(port, "-w", "2", "--graceful-timeout", "2"), port) as running:
            servers.answers(port, running.process)
            yield running
    finally:
        shutil.rmtree(place)


@pytest.fixture
def watch(supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path))
    with Watch(Session((), Config(), makers=(supervisor.target,))) as running:
        yield running


def test_a_restart_clears_what_was_left_open_until_it_is_left_open_again(supervisor: Supervisor, watch: Watch) -> None:
    one = Remedied(watch, f"local/{supervisor.folder.name}", "fd-exhausted")
    driver = Driver()
    held = driver.begin(Hold(connections=CONNECTIONS), supervisor.port)
    try:
        leave_open(supervisor, one)
        one.await_load(2)
        former = supervisor.process.pid
        plan = one.plan("restart")
        assert [step.action for step in plan.steps] == ["restart"]
        assert plan.restart
        assert supervisor.process.pid == former, "a plan changes nothing"
        outcome = one.apply(plan)
        one.is_gone(outcome)
        assert supervisor.process.pid != former
        assert not psutil.pid_exists(former)
        servers.answers(supervisor.port, supervisor.process)
        one.await_gone()
        again = supervisor.process.pid
        undone = one.undo(outcome)
        assert undone.applied, (undone, one.said)
        assert supervisor.process.pid == again, "there is nothing to take back of a restart"
        leave_open(supervisor, one)
    finally:
        held.cancel()
        driver.close()
    listed = watch.session.report.snapshot.find(DeploymentId(one.deployment))
    assert listed is not None
    assert {w.open_files_limit for w in listed.workers} == {FILES}


def leave_open(supervisor: Supervisor, one: Remedied) -> None:
    """Imports until the finding is there."""

    def found() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{supervisor.port}/template", timeout=5, trust_env=False)
        return one.found

    until("fd-exhausted", found, FOUND_SECONDS)
