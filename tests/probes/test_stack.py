"""Stacks of real servers, read from outside."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from probes import stack
from probes.target import Unreadable

SERVICE = """
import time
from fastapi import FastAPI

app = FastAPI()


@app.get("/block")
async def block():
    time.sleep(20)  # the line that blocks


@app.get("/health")
async def health():
    return "ok"
"""
BLOCKING_LINE = SERVICE.splitlines().index("    time.sleep(20)  # the line that blocks") + 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, int]]:
    (tmp_path / "service.py").write_text(SERVICE)
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "service:app", "--loop", request.param, "--port", str(port)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "the service did not start"
                assert process.poll() is None
                time.sleep(0.05)
        yield process.pid, port
    finally:
        process.kill()
        process.wait()


async def _until(pid: int, idle: bool) -> stack.StackSample:
    for _ in range(100):
        found = await stack.sample(pid)
        if found.idle == idle:
            return found
        await asyncio.sleep(0.05)
    pytest.fail(f"never idle={idle}: {found}")


async def test_a_blocked_loop_shows_the_line_that_blocks(server: tuple[int, int]) -> None:
    pid, port = server
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /block HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    found = await _until(pid, idle=False)
    writer.close()
    innermost = found.frames[0]
    assert innermost.function == "block"
    assert innermost.file.endswith("/service.py")
    assert innermost.line == BLOCKING_LINE
    assert len(found.frames) <= stack.FRAMES
    assert found.pid == pid


async def test_a_loop_that_waits_is_idle(server: tuple[int, int]) -> None:
    found = await _until(server[0], idle=True)
    assert found.frames


async def test_a_process_that_ended_is_not_found() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(Unreadable) as caught:
        await stack.sample(process.pid)
    assert caught.value.failure.code == "not-found"


async def test_what_is_not_python_is_unreadable_with_a_hint() -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        with pytest.raises(Unreadable) as caught:
            await stack.sample(process.pid)
    finally:
        process.kill()
        process.wait()
    assert caught.value.failure.code == "unreadable"
    assert caught.value.failure.hint


async def test_a_missing_py_spy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "program", lambda: None)
    with pytest.raises(Unreadable) as caught:
        await stack.sample(1)
    assert caught.value.failure.code == "not-installed"


async def test_a_py_spy_that_hangs_is_ended_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "py-spy"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(stack, "program", lambda: str(slow))
    with pytest.raises(Unreadable) as caught:
        await stack.sample(1, deadline_seconds=0.2)
    assert caught.value.failure.code == "timeout"


async def test_a_refused_permission_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "py-spy"
    refusing.write_text('#!/bin/sh\necho "Error: Permission denied (os error 13)" >&2\nexit 1\n')
    refusing.chmod(0o755)
    monkeypatch.setattr(stack, "program", lambda: str(refusing))
    with pytest.raises(Unreadable) as caught:
        await stack.sample(1)
    assert caught.value.failure.code == "permission-denied"
    assert caught.value.failure.hint


@pytest.mark.parametrize(("state", "idle"), [("S (sleeping)", True), ("R (running)", False)])
def test_a_containers_loop_that_the_kernel_has_asleep_waits_whatever_py_spy_says(
    tmp_path: Path, state: str, idle: bool
) -> None:
    for thread, inside, does in ((70, 9, state), (71, 10, "R (running)")):
        task = tmp_path / "70" / "task" / str(thread)
        task.mkdir(parents=True)
        (task / "status").write_text(f"Name:\tuvicorn\nState:\t{does}\nNSpid:\t{thread}\t{inside}\n")
    output = (
        b'[{"thread_name": "MainThread", "active": true, "os_thread_id": 9, "frames": ['
        b'{"name": "Runner.run", "filename": "/usr/lib/python3.11/asyncio/runners.py", "line": 118}]}]'
    )
    assert stack.parse(output, 70, datetime.now(UTC), tmp_path).idle is idle
    assert stack.parse(output, 70, datetime.now(UTC)).idle is False


def test_foreign_text_is_cleaned() -> None:
    output = (
        b'[{"thread_name": "MainThread", "frames": [{"name": "a\\u001b[31mb", "filename": "/x\\u202e.py", "line": 3}]}]'
    )
    found = stack.parse(output, 1, datetime.now(UTC))
    assert (found.frames[0].function, found.frames[0].file) == ("ab", "/x.py")


@pytest.mark.parametrize("output", [b"", b"{}", b"[]", b'[{"frames": []}]', b"[1]"])
def test_nonsense_is_unreadable(output: bytes) -> None:
    with pytest.raises(Unreadable):
        stack.parse(output, 1, datetime.now(UTC))
