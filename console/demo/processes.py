"""The demo's services as processes of this machine, under a supervisor of their own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from console.demo.children import send
from console.demo.layout import PREFIX, REGISTRY, SOCKET, DemoError, Running
from console.demo.owned import Owned
from probes.target import Options, Target

START_SECONDS = 30.0
_LOCK = "lock"
_DEEPEST = 70
_NEEDED = ("fastapi", "gunicorn", "uvicorn", "uvicorn_worker", "sqlalchemy")


class Demo:
    """The demo's services, from :meth:`start` to :meth:`stop`; a context manager.

    The services are owned by a supervisor process that holds the other end of a pipe: they end with this object, with
    this process however it ends, and with the supervisor.
    """

    def __init__(self) -> None:
        self.directory: Path | None = None
        self.services: tuple[Running, ...] = ()
        self._supervisor: Owned | None = None
        self._lock: int | None = None

    def start(self) -> Self:
        """Starts the services and returns when all are started (not: ready). Raises :class:`DemoError`."""
        missing = [name.replace("_", "-") for name in _NEEDED if find_spec(name) is None]
        if missing:
            raise DemoError(f"the demo's services need {', '.join(missing)}: pip install 'fastops[demo]'")
        _sweep()
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_place())).resolve()
        # Held as long as this process or its supervisor lives: a later demo sweeps only what nobody holds.
        self._lock = os.open(self.directory / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            directory = self.directory
            log = directory / "supervisor.log"
            self._supervisor = Owned("console.demo.supervisor", [str(directory)], log, lambda: _reap(directory))
            self._supervisor.start(START_SECONDS, (self._lock,))
            self.services = registered(self.directory)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends every service and removes the directory. Idempotent."""
        supervisor, directory = self._supervisor, self.directory
        self._supervisor = self.directory = None
        if supervisor is not None:
            supervisor.stop()
        if directory is not None:
            _reap(directory)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def target(self, options: Options) -> Target:
        """A target that lists the demo's own services and nothing else."""
        from probes.targets.local.target import LocalTarget

        assert self.directory is not None
        return LocalTarget(options, supervisor=str(self.directory / SOCKET))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def registered(directory: Path) -> tuple[Running, ...]:
    """What the supervisor of this directory started; empty when it does not say."""
    try:
        return msgspec.json.decode((directory / REGISTRY).read_bytes(), type=tuple[Running, ...])
    except (OSError, msgspec.DecodeError):
        return ()


def _place() -> str:
    """Where temporary directories are made; ``/tmp`` where that is so deep that no Unix socket fits in (108 bytes)."""
    found = tempfile.gettempdir()
    return found if len(found) <= _DEEPEST else "/tmp"


def _reap(directory: Path) -> None:
    """Ends what a supervisor left, if it left anything, and removes its directory."""
    for one in registered(directory):
        if _works_in(one.pid, directory / one.name):
            send(one.pid, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


def _works_in(pid: int, folder: Path) -> bool:
    """Guards against a pid that somebody else has by now: the group must have a process in the service's folder."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == pid and Path(process.cwd()) == folder:
                return True
    return False


def _sweep() -> None:
    """Removes what demos left whose every process was killed at once."""
    for directory in Path(_place()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = os.open(directory / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _reap(directory.resolve())
            finally:
                os.close(lock)
