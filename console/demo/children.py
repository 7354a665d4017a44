"""Starting a service so that it cannot outlive its supervisor, and ending it with everything that it started."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from console.demo.layout import Service
from probes.targets.local.supervised import SERVICE_VARIABLE, SOCKET_VARIABLE

STOP_SECONDS = 1.5
"""Between SIGTERM and SIGKILL."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "PYTHONPATH", "VIRTUAL_ENV")


def environment(service: str, folder: Path, socket: Path) -> Mapping[str, str]:
    """What a service gets to see: no setting of the person who runs the demo, and a home that goes with it."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        SOCKET_VARIABLE: str(socket),
        SERVICE_VARIABLE: service,
    }


def limits(service: Service) -> tuple[tuple[int, int, int], ...]:
    """The resource limits of a service: resource, soft, hard."""
    found: list[tuple[int, int, int]] = []
    if service.open_files is not None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        found.append((resource.RLIMIT_NOFILE, service.open_files, hard))
    if service.data_bytes is not None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        found.append((resource.RLIMIT_DATA, service.data_bytes, hard))
    return tuple(found)


async def spawn(
    argv: tuple[str, ...], env: Mapping[str, str], folder: Path, service: Service
) -> asyncio.subprocess.Process:
    """Starts a service in a session of its own; its output goes to ``service.log`` in its directory."""
    with (folder / "service.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_before_exec(os.getpid(), limits(service)),
        )


def _before_exec(parent: int, wanted: tuple[tuple[int, int, int], ...]) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        if prctl is not None:
            # The kernel tells the service when its supervisor dies, however it dies.
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
        for which, soft, hard in wanted:
            resource.setrlimit(which, (soft, hard))

    return prepare


async def stop(process: asyncio.subprocess.Process) -> None:
    """Ends a service's whole process group: politely, then not."""
    send(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
            while send(process.pid, 0):
                await asyncio.sleep(0.02)
    send(process.pid, signal.SIGKILL)
    await process.wait()


def send(group: int, what: int) -> bool:
    """Whether there was anybody in the process group to send a signal to."""
    try:
        os.killpg(group, what)
    except OSError:
        return False
    return True
