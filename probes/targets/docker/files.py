"""A container's files: through ``/proc`` where the daemon is local and we may, else through the engine's archive."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from probes import text
from probes.framework import ListDir
from probes.model import Failure
from probes.procfs import ProcFs
from probes.servers import ReadFile
from probes.target import Unreadable
from probes.targets.docker import archive
from probes.targets.docker.client import EngineClient

T = TypeVar("T")
_FAILED_LISTS = 24
"""After so many directories that are absent or too large, no more are asked for: each may cost the engine a lot."""
_BRIDGE_SECONDS = archive.DEADLINE_SECONDS + 2


class Files:
    """Reads the files of one engine's containers."""

    def __init__(self, client: EngineClient, procfs: ProcFs, *, local: bool) -> None:
        self._client = client
        self._procfs = procfs
        self._waiting: set[Future[Any]] = set()
        self._closed = False
        self._directory_limit = archive.DIRECTORY_BYTES if local else archive.REMOTE_DIRECTORY_BYTES

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
            found = await asyncio.to_thread(self._procfs.read_file, pid, path, limit)
            if found is not None:
                return found
        return await archive.read(self._client, container, path, limit)

    def readers(self, container: str, pid: int | None) -> tuple[ListDir, ReadFile]:
        """Blocking readers for use in a thread; the event loop that calls this does the requests for them."""
        if pid is not None and self._procfs.list_dir(pid, "/") is not None:
            return (
                lambda path: self._procfs.list_dir(pid, path),
                lambda path: self._procfs.read_file(pid, path),
            )
        loop = asyncio.get_running_loop()
        listed: dict[str, list[str] | None] = {}

        def list_dir(path: str) -> list[str] | None:
            if path not in listed:
                if sum(one is None for one in listed.values()) >= _FAILED_LISTS:
                    return None
                listed[path] = self._await(loop, archive.names(self._client, container, path, self._directory_limit))
            return listed[path]

        def read_file(path: str) -> bytes | None:
            return (
                self._await(loop, archive.read(self._client, container, path, 1 << 20))
                if path.startswith("/")
                else None
            )

        return list_dir, read_file

    def _await(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T | None:
        """Runs ``work`` on the event loop and waits for it in this thread; ``None`` for whatever cannot be read."""
        if self._closed:
            work.close()
            return None
        future = asyncio.run_coroutine_threadsafe(work, loop)
        self._waiting.add(future)
        try:
            return future.result(_BRIDGE_SECONDS)
        except (Unreadable, TimeoutError, CancelledError):
            future.cancel()
            return None
        finally:
            self._waiting.discard(future)
