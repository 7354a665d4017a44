"""Load on a case: requests and held connections, in an event loop of their own, bounded, ended when the case ends."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

import httpx

from .case import Hold, Load

REQUEST_DEADLINE_SECONDS = 60
RETURN_SECONDS = 1.0
"""Between the end of a held connection and the next one."""


class Driver:
    """An event loop in a thread, on which loads run until they are cancelled."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab-load", daemon=True)
        self._thread.start()

    def begin(self, step: Load | Hold, port: int, host: str = "127.0.0.1") -> Future[None]:
        """Put ``step`` on the port of this machine, or of another ``host``; cancel what is returned to end it."""
        work: Coroutine[Any, Any, None] = _load(step, host, port) if isinstance(step, Load) else _hold(step, host, port)
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End every load and the thread."""
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _load(load: Load, host: str, port: int) -> None:
    running: set[asyncio.Task[None]] = set()
    limits = httpx.Limits(max_connections=load.in_flight, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=f"http://{host}:{port}", timeout=REQUEST_DEADLINE_SECONDS, limits=limits, trust_env=False
    ) as client:
        try:
            while True:
                if len(running) < load.in_flight:
                    task = asyncio.create_task(_ask(client, load.path))
                    running.add(task)
                    task.add_done_callback(running.discard)
                await asyncio.sleep(load.every_seconds)
        finally:
            for task in running:
                task.cancel()


async def _ask(client: httpx.AsyncClient, path: str) -> None:
    try:
        await client.get(path)
    except httpx.HTTPError:
        return  # a sick service may well drop it


async def _hold(hold: Hold, host: str, port: int) -> None:
    """Whoever loses a connection comes back: a service that is made anew has its listeners again."""
    async with asyncio.TaskGroup() as group:
        for _ in range(hold.connections):
            group.create_task(_listen(host, port))


async def _listen(host: str, port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                await reader.read()  # until the service closes it
            finally:
                writer.close()
        await asyncio.sleep(RETURN_SECONDS)
