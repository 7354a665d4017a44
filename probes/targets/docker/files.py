"""A container's files: through ``/proc`` where the daemon is local and we may, else through the engine's archive."""

from __future__ import annotations

import asyncio
import posixpath
import time
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Literal, TypeVar

from probes import text
from probes.base import Failure
from probes.procfs import ProcFs
from probes.target import Unreadable
from probes.targets.docker import archive, peek
from probes.targets.docker.client import EngineClient

T = TypeVar("T")
_LISTED_SECONDS = 6.0
"""The same as :data:`peek.SECONDS` where packages are listed: their directory is sent with all that is in it."""
_LOCAL_SECONDS = 8.0
_GONE = frozenset({"not-found", "not-a-file", "invalid"})
_LIBRARIES = frozenset({"lib", "lib64"})


class Reader:
    """Blocking reading for use in a thread; after ``seconds`` it finds nothing more and is ``partial``."""

    whole = False
    """Listings hold every name, not just those that were asked for."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self.partial = False
        """Something could not be read in time, or not at all: what was found is not all there is."""
        self.enough = False
        """What was looked for was found: no more directories are listed."""
        self._files: dict[str, bytes | None] = {}

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._until - time.monotonic()

    def again(self, path: str) -> bytes | None:
        """A file that was read before; asks nobody."""
        return self._files.get(path)

    def list_dir(self, path: str) -> list[str] | None:
        """Names in a directory; ``None`` when absent or not read."""
        if self.left <= 0:
            self.partial = True
            return None
        return self._list(path)

    def read_file(self, path: str) -> bytes | None:
        """A file's beginning; ``None`` when absent or not read."""
        if path in self._files:
            return self._files[path]
        if self.left <= 0:
            self.partial = True
            return None
        self._files[path] = found = self._read(path)
        return found

    def _list(self, path: str) -> list[str] | None:
        raise NotImplementedError

    def _read(self, path: str) -> bytes | None:
        raise NotImplementedError


class _Proc(Reader):
    whole = True

    def __init__(self, procfs: ProcFs, pid: int) -> None:
        super().__init__(_LOCAL_SECONDS)
        self._procfs, self._pid = procfs, pid

    def _list(self, path: str) -> list[str] | None:
        found = self._procfs.list_dir(self._pid, path)
        return None if found is None else list(found)

    def _read(self, path: str) -> bytes | None:
        return self._procfs.read_file(self._pid, path)


class _Archive(Reader):
    """Through the engine: existence alone for what is a large tree, so a container that does not run costs little."""

    def __init__(self, files: Files, container: str, version: str, *, running: bool) -> None:
        super().__init__(_LISTED_SECONDS if running else peek.SECONDS)
        self._here = files
        self._container = container
        self._version = version
        self._running = running
        self._listed: dict[str, list[str] | None] = {}
        self._listing_seconds = self.left / 2 if running else peek.LIST_SECONDS
        self._loop = asyncio.get_running_loop()

    def _list(self, path: str) -> list[str] | None:
        if path not in self._listed:
            if self.enough:
                return None
            if self._listing_seconds <= 0:
                self.partial = True
                return None
            begun = time.monotonic()
            self._listed[path] = found = self._look(path)
            self._listing_seconds -= time.monotonic() - begun
            # The first place with FastAPI in it is the one it is imported from: the likeliest are asked first.
            self.enough = "fastapi" in (found or ())
        return self._listed[path]

    def _look(self, path: str) -> list[str] | None:
        client = self._here.client
        if posixpath.basename(path) in _LIBRARIES:
            return self._ask(peek.pythons(client, self._container, path, self._version), self._listing_seconds)
        if self._running:
            half = self._listing_seconds / 2
            work = archive.names(client, self._container, path, self._here.directory_limit)
            found = self._ask(work, half, needed=False)
            if found is not None:
                return found
        return self._ask(peek.packages(client, self._container, path), self._listing_seconds)

    def _read(self, path: str) -> bytes | None:
        if not path.startswith("/"):
            return None
        return self._ask(archive.read(self._here.client, self._container, path, 1 << 20), self.left)

    def _ask(self, work: Coroutine[Any, Any, T], seconds: float, *, needed: bool = True) -> T | None:
        """``None`` for whatever is absent; also for what cannot be read, and then, if ``needed``, it is partial."""
        try:
            return self._here.wait(self._loop, work, max(0.05, min(seconds, self.left)))
        except Unreadable as unreadable:
            self.partial = self.partial or (needed and unreadable.failure.code not in _GONE)
        except (TimeoutError, CancelledError):
            self.partial = self.partial or needed
        return None


class Files:
    """Reads the files of one engine's containers."""

    def __init__(self, client: EngineClient, procfs: ProcFs, *, local: bool) -> None:
        self.client = client
        self._procfs = procfs
        self._waiting: set[Future[Any]] = set()
        self._closed = False
        self.directory_limit = archive.DIRECTORY_BYTES if local else archive.REMOTE_DIRECTORY_BYTES

    def close(self) -> None:
        """Lets readers in other threads find nothing more: the connection is gone."""
        self._closed = True
        for future in list(self._waiting):
            future.cancel()

    async def read(self, container: str, pid: int | None, path: str, limit: int = 1 << 20) -> bytes:
        """The first ``limit`` bytes of a file; ``pid`` is the container's first process, if it is on this machine."""
        if not path.startswith("/"):
            raise Unreadable(Failure("invalid", text.clean(path, 300), "only absolute paths can be read", ""))
        if pid is not None:
            found = await asyncio.to_thread(self._seen, pid, path, limit)
            if isinstance(found, bytes):
                return found
            if found == "absent":
                what = f"{text.clean(path, 300)} in {container[:12]}"
                raise Unreadable(Failure("not-found", what, "there is no such file", ""))
        return await archive.read(self.client, container, path, limit)

    def _seen(self, pid: int, path: str, limit: int) -> bytes | Literal["absent", "unseen"]:
        """The engine is not asked for what is not there: of all places where a file may be, most have none."""
        found = self._procfs.read_file(pid, path, limit)
        if found is not None:
            return found
        return "absent" if self._procfs.is_absent(pid, path) else "unseen"

    def reader(self, container: str, pid: int | None, version: str = "", *, running: bool = False) -> Reader:
        """Reads one container's files; the event loop that calls this does the requests for it.

        ``version`` is the Python that the image says it has. Packages of one that is ``running`` may be listed whole.
        """
        if pid is not None and self._procfs.list_dir(pid, "/") is not None:
            return _Proc(self._procfs, pid)
        return _Archive(self, container, version, running=running)

    def wait(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Runs ``work`` on the event loop and waits for it in this thread. Raises what it raises, and TimeoutError."""
        if self._closed:
            work.close()
            raise CancelledError
        future = asyncio.run_coroutine_threadsafe(work, loop)
        self._waiting.add(future)
        try:
            return future.result(seconds)
        finally:
            future.cancel()
            self._waiting.discard(future)
