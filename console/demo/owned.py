"""A helper process that ends with this one: it reads a pipe that nobody writes to, and its end is the sign."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from console.demo.layout import DemoError
from probes.text import line

STARTED = b"started\n"
"""What the helper says on its standard output when all is started."""
STOP_SECONDS = 20.0


class Owned:
    """Runs ``python -m MODULE ARGUMENTS``; both sides clean up behind the other one."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path, died: Callable[[], None]) -> None:
        """``died`` is called in a thread of its own when the helper has ended, however it did."""
        self._command = [sys.executable, "-m", module, *arguments]
        self._log = log
        self._died = died
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, deadline_seconds: float, pass_fds: Sequence[int] = ()) -> None:
        """Returns when the helper has started everything; raises :class:`DemoError` with its last words."""
        with self._log.open("wb") as log:
            process = self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        assert process.stdout is not None
        hurry = threading.Timer(deadline_seconds, process.kill)
        hurry.start()
        try:
            said = process.stdout.readline()
        finally:
            hurry.cancel()
        if said != STARTED:
            raise DemoError(f"the demo did not start: {_last_line(self._log)}")
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def stop(self) -> None:
        """Tells the helper to end and waits for it. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._died()


def end_with_parent(ended: asyncio.Event) -> asyncio.Task[None]:
    """In the helper: sets ``ended`` when the parent's pipe ends or a signal to end comes."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    return asyncio.create_task(_parent(ended))


async def _parent(ended: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    ended.set()


def _last_line(log: Path) -> str:
    try:
        lines = log.read_bytes().splitlines()
    except OSError:
        return "it left no log"
    return line(lines[-1], 300) if lines else "it said nothing"
