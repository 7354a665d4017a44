from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from probes import workers
from probes.base import ReplicaId
from probes.command import rewrite
from probes.intent import Desired
from probes.procfs import ProcFs


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("packages", [{"gunicorn": "27.0.1", "uvicorn-worker": "0.4"}, {"gunicorn": "27.0.1"}, {}])
@pytest.mark.parametrize("in_shell", [False, True])
def test_a_rewritten_command_really_serves_with_two_workers(
    tmp_path: Path, packages: dict[str, str], in_shell: bool
) -> None:
    (tmp_path / "service.py").write_text("from fastapi import FastAPI\ndef make():\n    return FastAPI()\n")
    port = free_port()
    words = [str(Path(sys.executable).parent / "uvicorn"), "service:make", "--factory", "--port", str(port)]
    argv = ("sh", "-c", "exec " + " ".join(words)) if in_shell else tuple(words)
    done = rewrite(argv, {}, Desired(gunicorn={"workers": 2, "timeout": 60}, server="gunicorn"), packages)
    process = subprocess.Popen(
        done.argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        procfs, deadline, roles, status = ProcFs(), time.monotonic() + 60, [""], b""
        while time.monotonic() < deadline and (roles != ["master", "worker", "worker"] or b"404" not in status):
            found = workers.measure(procfs, procfs.tree(), process.pid, ReplicaId("r"), workers.CpuMeter())
            roles = [one.role for one in found]
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                status = connection.recv(64)
            time.sleep(0.05)
        assert roles == ["master", "worker", "worker"]
        assert b"404" in status
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Workers may outlive a master that ends early: the session is the test's own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
