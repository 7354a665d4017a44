"""Runs fastops as people do, as a process of its own, on a state of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).parents[2]
COMMAND_SECONDS = 180
"""A fix with its verification is the longest."""
POLL_SECONDS = 0.1


class Done(NamedTuple):
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output as JSON."""
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """Both streams, for messages of tests."""
        return f"status {self.status}\n--- out\n{self.out}\n--- err\n{self.err}"


class Fastops:
    """The program with its own journal, configuration, engine and cluster."""

    def __init__(self, folder: Path, engine: str | None = None, kubeconfig: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.state = folder / "state"
        self.config = folder / "config.toml"
        self.config.write_text("")
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "USER")
        self.env = {name: os.environ[name] for name in kept if name in os.environ} | {
            "FASTOPS_STATE": str(self.state),
            "FASTOPS_CONFIG": str(self.config),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "default",
            "PYTHONFAULTHANDLER": "1",
            "KUBECONFIG": str(kubeconfig or folder / "no-kubeconfig"),
        }
        if engine is not None:
            self.env["DOCKER_HOST"] = engine

    def command(self, *arguments: str) -> list[str]:
        """What is run."""
        return [sys.executable, "-m", "console", *arguments]

    def __call__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        timeout: float = COMMAND_SECONDS,
        before: Sequence[str] = (),
    ) -> Done:
        """Runs a command to its end; ``before`` stands before it (``setpriv …``)."""
        ended = subprocess.run(
            [*before, *self.command(*arguments)],
            env=self.env | dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            cwd="/",
        )
        return Done(ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace"))

    def begin(self, *arguments: str, env: Mapping[str, str] | None = None) -> Begun:
        """Starts a command and returns at once."""
        return Begun(self.command(*arguments), self.env | dict(env or {}), self.state.parent)

    def journal(self) -> str:
        """Everything that was written to the state folder, as one text."""
        files = (p for p in sorted(self.state.rglob("*")) if p.is_file())
        return "\n".join(p.read_bytes().decode(errors="replace") for p in files)


class Begun:
    """A command that runs; its output goes to files, so that no pipe fills."""

    def __init__(self, command: list[str], env: Mapping[str, str], folder: Path) -> None:
        self._out, self._err = (folder / f"begun-{monotonic()}.{end}" for end in ("out", "err"))
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd="/"
            )

    @property
    def out(self) -> str:
        """What it printed so far."""
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        """What it said on standard error so far."""
        return self._err.read_text(errors="replace")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def wait(self, timeout: float = COMMAND_SECONDS) -> Done:
        """Waits for its end; kills it at the deadline and raises."""
        try:
            return Done(self.process.wait(timeout), self.out, self.err)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end within {timeout:g} s\n{self.out}\n{self.err}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def until(what: str, shows: Callable[[], bool], deadline_seconds: float = 60) -> None:
    """Waits for a condition; fails at the deadline with what was waited for."""
    end = monotonic() + deadline_seconds
    while not shows():
        if monotonic() > end:
            raise AssertionError(f"waited {deadline_seconds:g} s in vain for {what}")
        sleep(POLL_SECONDS)
