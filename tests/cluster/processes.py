"""The cluster's programs: each started once in a session of its own, known by its pid, and ended by it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .place import ClusterError, Place

STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
LOG_TAIL_LINES = 8


def started(pid: int) -> str | None:
    """When this process was started, in ticks since boot; ``None`` when it is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def running(place: Place, name: str) -> int | None:
    """The pid of the program, or ``None``. Another process that got its number later is not taken for it."""
    try:
        pid, ticks = (place.run / f"{name}.pid").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if started(int(pid)) == ticks else None


def start(place: Place, name: str, command: Sequence[str | Path]) -> None:
    """Start the program unless it runs."""
    if running(place, name) is not None:
        return
    with (place.log / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
        )
    (place.run / f"{name}.pid").write_text(f"{process.pid} {started(process.pid) or ''}")


def stop(place: Place, name: str) -> None:
    """End the program and wait until it is gone; it is killed when it does not go."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + STOP_SECONDS
        pid = running(place, name)
        if pid is None:
            break
        os.kill(pid, number)
        while running(place, name) is not None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    if running(place, name) is not None:
        raise ClusterError(f"{name} does not end although it was killed; see /proc/{running(place, name)}/stack")
    (place.run / f"{name}.pid").unlink(missing_ok=True)


def wait(place: Place, name: str, seconds: float, reason: Callable[[], str | None]) -> None:
    """Wait until ``reason`` finds none any more. Raises ``ClusterError`` with it and the end of the program's log."""
    deadline = time.monotonic() + seconds
    while (why := reason()) is not None:
        gone = running(place, name) is None
        if gone or time.monotonic() > deadline:
            log = place.log / f"{name}.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]) if log.exists() else ""
            what = "has ended" if gone else f"did not come up in {seconds:.0f} s"
            raise ClusterError(f"{name} {what}: {why}. Its log ({log}) ends:\n{tail}")
        time.sleep(POLL_SECONDS)


def run(*command: str | Path, deadline_seconds: float = 60, given: str = "") -> str:
    """Run a program to its end and return its output. Raises ``ClusterError`` with what it said."""
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(arguments, capture_output=True, input=given, text=True, timeout=deadline_seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"`{' '.join(arguments[:4])}` failed: {error}") from error
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise ClusterError(f"`{' '.join(arguments[:4])}` failed: {said[-400:]}")
    return done.stdout
