"""Tries a gunicorn configuration before a running master gets it: in a process of its own, as the service's user."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from probes.target import Refused
from probes.targets.local.find import Master
from probes.text import line

DEADLINE_SECONDS = 60.0
_OUTPUT = 64 * 1024
"""Bytes kept of what the application prints while it is imported."""
_LOAD_CLASS = "import sys; from gunicorn.util import load_class; load_class(sys.argv[1])"


async def check(master: Master, environment: Mapping[str, str], config: Path, worker_class: str | None = None) -> None:
    """Runs ``gunicorn --check-config``, which reads the configuration and imports the application.

    Same interpreter, arguments, environment and directory as the master's. Raises :class:`Refused`.
    """
    await _run(master, environment, (*master.argv, "--check-config", "--config", str(config)))
    if worker_class is not None:
        # --check-config does not load the worker class; a HUP with one that cannot be imported ends the master.
        try:
            await _run(master, environment, (*_interpreter(master), "-c", _LOAD_CLASS, worker_class))
        except Refused as error:
            raise Refused(f"the worker class {line(worker_class, 200)} cannot be used: {error}") from None


def _interpreter(master: Master) -> tuple[str, ...]:
    name = master.argv[0].rpartition("/")[2]
    if not name.startswith(("python", "pypy")):
        raise Refused("Its interpreter is not seen on its command line, so its worker class could not be tried first.")
    return master.argv[:1]


async def _run(master: Master, environment: Mapping[str, str], argv: tuple[str, ...]) -> None:
    user = master.key.uid
    other = user if user is not None and os.geteuid() == 0 and user != 0 else None
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=master.working_dir,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            user=other,
            group=None if other is None else _group(master.pid),
            extra_groups=None if other is None else [],
        )
    except OSError as error:
        raise Refused(f"the new configuration could not be tried: {error.strerror}") from None
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            output = await _tail(process)
    except TimeoutError:
        raise Refused(
            f"trying the new configuration took longer than {DEADLINE_SECONDS:g} s; nothing was changed"
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, 9)
            await process.wait()
    if process.returncode != 0:
        said = [one for one in output.splitlines() if one.strip()]
        last = " ".join(line(one, 300) for one in said[-2:]) or f"exit status {process.returncode}"
        raise Refused(f"gunicorn refuses the new configuration, nothing was changed: {last}")


async def _tail(process: asyncio.subprocess.Process) -> bytes:
    """The end of what it prints until it has ended; all is read, so that it never waits for a reader."""
    assert process.stdout is not None
    kept = b""
    while chunk := await process.stdout.read(_OUTPUT):
        kept = (kept + chunk)[-_OUTPUT:]
    await process.wait()
    return kept


def _group(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}").stat().st_gid
    except OSError as error:
        raise Refused(f"process {pid} has ended: {error.strerror}") from None
