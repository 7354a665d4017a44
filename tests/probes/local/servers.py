"""Real servers for the tests, and a target that is watched until something is so."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx

from probes.model import Deployment, TargetState
from probes.target import Options
from probes.targets.local.target import LocalTarget

DEADLINE_SECONDS = 60.0
APP = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
async def health():
    return "ok"
"""


def unique(name: str) -> str:
    """A directory's name that no other test's service has: they all run on this machine."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gunicorn(port: int, *more: str) -> tuple[str, ...]:
    return (
        sys.executable,
        "-m",
        "gunicorn",
        "main:app",
        "-k",
        "uvicorn_worker.UvicornWorker",
        "-b",
        f"127.0.0.1:{port}",
        *more,
    )


def uvicorn(port: int, *more: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), *more)


@contextmanager
def running(argv: tuple[str, ...], folder: Path, port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers, in a process group that ends with the test."""
    folder.mkdir(exist_ok=True)
    if not (folder / "main.py").exists():
        (folder / "main.py").write_text(APP)
    env = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PYTHONUNBUFFERED": "1", **environment}
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen(argv, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        answers(port, process)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
            return
        except httpx.HTTPError:
            assert time.monotonic() < deadline, "the service did not answer"
            assert process is None or process.poll() is None, "the service ended"
            time.sleep(0.05)


class Watch:
    """A target that runs, and its latest state."""

    def __init__(self, target: LocalTarget) -> None:
        self.target = target
        self.state: TargetState | None = None
        self._new = asyncio.Event()

    def publish(self, state: TargetState) -> None:
        self.state = state
        self._new.set()

    async def until(
        self, met: Callable[[dict[str, Deployment]], bool], deadline: float = DEADLINE_SECONDS
    ) -> dict[str, Deployment]:
        """The deployments by name as soon as they are so."""
        end = time.monotonic() + deadline
        while True:
            found = {} if self.state is None else {one.name: one for one in self.state.deployments.values()}
            if self.state is not None and met(found):
                return found
            assert time.monotonic() < end, f"never so among {sorted(found)}"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._new.wait()
            self._new.clear()


@asynccontextmanager
async def watched(target: LocalTarget | None = None, **options: object) -> AsyncIterator[Watch]:
    watch = Watch(target or LocalTarget(Options(**options)))  # type: ignore[arg-type]
    task = asyncio.create_task(watch.target.run(watch.publish))
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await watch.target.close()
