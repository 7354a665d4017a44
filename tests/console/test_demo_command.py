"""``fastops demo`` on a terminal: six sick services on the screen, and nothing left whatever ends it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from console.demo.layout import PREFIX, REGISTRY, SERVICES
from tests.console._fastops import Fastops, until
from tests.console._left import left, until_nothing_is_left

pytestmark = pytest.mark.slow
ROWS, COLUMNS = 50, 160
END_SECONDS = 60


class Terminal:
    """A command on a terminal of its own, which somebody reads all the time."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command,
            env=env | {"TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd="/",
            start_new_session=True,
        )
        os.close(theirs)
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def shown(self) -> str:
        """All that was written to it, with its control sequences."""
        return self._shown.decode(errors="replace")

    def press(self, key: str) -> None:
        """Types one key."""
        os.write(self._ours, key.encode())

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # its other end was closed
            while piece := os.read(self._ours, 1 << 16):
                self._shown += piece

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        os.close(self._ours)


@pytest.fixture
def place() -> Iterator[Path]:
    """Where the demo makes its directory; its sockets need a short path."""
    made = Path(tempfile.mkdtemp(prefix="demo-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def directory_of(terminal: Terminal, place: Path) -> Path:
    """Waits until the services run and are on the screen."""
    names = [one.name for one in SERVICES]
    until("the services", lambda: bool(list(place.glob(f"{PREFIX}*/{REGISTRY}"))), END_SECONDS)
    until("the fleet on the screen", lambda: all(name in terminal.shown for name in names), END_SECONDS)
    (directory,) = place.glob(f"{PREFIX}*")
    assert len(left(directory)) > len(SERVICES)
    return directory


@pytest.mark.parametrize("end", ["q", "ctrl-c", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_outlives_the_demo_whatever_ends_it(end: str, place: Path, tmp_path: Path) -> None:
    fastops = Fastops(tmp_path)
    with Terminal(fastops.command("demo"), fastops.env | {"TMPDIR": str(place)}) as terminal:
        directory = directory_of(terminal, place)
        if end.startswith("SIG"):
            terminal.process.send_signal(signal.Signals[end])
        else:
            terminal.press({"q": "q", "ctrl-c": "\x03"}[end])
        terminal.process.wait(END_SECONDS)
        if end == "q":
            assert terminal.process.returncode == 0, terminal.shown[-2000:]
    until_nothing_is_left(directory)
    assert list(place.iterdir()) == []
