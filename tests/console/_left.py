"""What a demo leaves behind: nothing."""

from __future__ import annotations

import time
from pathlib import Path

import psutil


def left(directory: Path) -> list[int]:
    """The processes that work in the directory or name it."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(directory) in f"{process.cwd()} {' '.join(process.cmdline())}":
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def until_nothing_is_left(directory: Path) -> None:
    deadline = time.monotonic() + 30
    while left(directory) or directory.exists():
        assert time.monotonic() < deadline, f"left behind: {left(directory)}, directory: {directory.exists()}"
        time.sleep(0.1)
