"""A terminal for commands that want one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from typing import Self

from tests.console._fastops import until

ROWS, COLUMNS = 50, 160
CONTROL = re.compile(r"\x1b\[[0-9;:<=>?]*[ -/]*[@-~]")
"""What moves the cursor and colours the text."""


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

    def press(self, keys: str) -> None:
        """Types these keys."""
        os.write(self._ours, keys.encode())

    def answer(self, key: str, shows: str, deadline_seconds: float = 60) -> None:
        """Types one key and waits until this text is written because of it."""
        since = len(self._shown)
        self.press(key)

        def said() -> str:
            return CONTROL.sub("", self._shown[since:].decode(errors="replace"))

        try:
            until(f"{shows!r} after {key!r}", lambda: shows in said(), deadline_seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; there is: {said()[-4000:]}") from None

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
