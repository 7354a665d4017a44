"""A tmux pane that is read as a person reads it, through tmux's control mode: a look costs a write and a read."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

NOTICES = ("%begin", "%end", "%output", "%error", "%session", "%window", "%layout", "%pane")


class Terminal:
    """One pane of a tmux server of its own, without the user's configuration."""

    def __init__(self, width: int = 180, height: int = 50) -> None:
        self._base = ["tmux", "-L", f"fastops-bench-{os.getpid()}", "-f", "/dev/null"]
        size = ["-x", str(width), "-y", str(height)]
        self._tmux("new-session", "-d", "-s", "b", *size, "sleep 86400")
        settings = {
            "default-terminal": "tmux-256color",
            "remain-on-exit": "on",
            "status": "off",
            "window-size": "manual",
        }
        for name, value in settings.items():
            self._tmux("set-option", "-g", name, value)
        self._tmux("resize-window", "-t", "b", *size)
        self._control = subprocess.Popen(
            [*self._base, "-C", "attach", "-t", "b", "-f", "no-output,ignore-size"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._ask("display-message -p ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run([*self._base, "kill-server"], stderr=subprocess.DEVNULL, check=False)
        self._control.wait(10)

    def start(self, command: Sequence[str]) -> int:
        """Replaces what runs in the pane; returns its process id."""
        self._ask("respawn-pane -k -t b " + shlex.quote("exec " + shlex.join(command)))
        return int(self._ask("display-message -p -t b '#{pane_pid}'"))

    def send(self, key: str) -> None:
        """Presses a key, by tmux's name."""
        self._ask(f"send-keys -t b {key}")

    def screen(self, *, colours: bool = True) -> str:
        """What the pane shows now."""
        return self._ask("capture-pane -p -t b" + (" -e" if colours else ""))

    def quiet(self, still_seconds: float = 0.03, limit_seconds: float = 3.0) -> str:
        """Waits until the screen has not changed for a while; returns it."""
        screen, since = self.screen(), time.perf_counter()
        end = since + limit_seconds
        while time.perf_counter() < end:
            time.sleep(0.01)
            now = self.screen()
            if now != screen:
                screen, since = now, time.perf_counter()
            elif time.perf_counter() - since >= still_seconds:
                break
        return screen

    def _tmux(self, *arguments: str) -> None:
        subprocess.run([*self._base, *arguments], check=True)

    def _ask(self, command: str) -> str:
        assert self._control.stdin is not None
        assert self._control.stdout is not None
        tag = f"tag{time.monotonic_ns()}"
        self._control.stdin.write(f"{command}\ndisplay-message -p {tag}\n".encode())
        self._control.stdin.flush()
        lines: list[str] = []
        for raw in self._control.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if line == tag:
                self._control.stdout.readline()  # the %end of the tag's own block
                return "\n".join(lines)
            if not line.startswith(NOTICES):
                lines.append(line)
        raise RuntimeError("tmux went away")
