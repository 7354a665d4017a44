"""Blocking reads in a thread of their own, one at a time: one that hangs holds up nobody but what it was for.

A read of ``/proc`` waits for locks of the kernel and may not come back; it cannot be interrupted. In the pool that
``asyncio.to_thread`` uses, a few of these take every thread, and the program does not end until they come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Aside:
    """One thread at most, a daemon: the end of the program does not wait for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = asyncio.Lock()
        self._running: asyncio.Future[None] | None = None
        self._began = 0.0

    async def call(self, work: Callable[[], T], *, within_seconds: float) -> T:
        """What ``work`` returns or raises.

        Raises :class:`TimeoutError` where it, or what came before it, takes longer; at once, and without beginning, as
        long as an earlier one hangs.
        """
        async with asyncio.timeout(within_seconds):
            async with self._turn:
                if self._running is not None and not self._running.done():  # its caller did not wait for it
                    if time.monotonic() - self._began >= within_seconds:
                        raise TimeoutError
                    await asyncio.shield(self._running)
                self._running, outcome = self._begin(work)
                await asyncio.shield(self._running)
                return outcome()

    def _begin(self, work: Callable[[], T]) -> tuple[asyncio.Future[None], Callable[[], T]]:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where it was called from
                errors.append(error)
            with contextlib.suppress(RuntimeError):  # the loop has ended before it
                loop.call_soon_threadsafe(ended.set_result, None)

        def outcome() -> T:
            if errors:
                raise errors[0]
            return results[0]

        self._began = time.monotonic()
        threading.Thread(target=run, name=self._name, daemon=True).start()
        return ended, outcome
