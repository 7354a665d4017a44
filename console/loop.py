"""An event loop in a thread of its own: coroutines and plain functions are handed to it from any thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from console import exits
from probes.target import Refused

T = TypeVar("T")


class LoopThread:
    """Runs ``main`` to its end; then everybody who still waits for an answer is told that there will be none."""

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]], last: Callable[[], None]) -> None:
        """``last`` is called on the thread when the loop has ended, before :attr:`ended` is done."""
        self._main = main
        self._last = last
        self._loop = asyncio.new_event_loop()
        self._asked: set[Future[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="fastops-session", daemon=True)
        self.ended: Future[None] = Future()
        """Done when the loop has ended; with the exception where that was a defect."""
        self.ended.set_running_or_notify_cancel()  # whoever waits for it may stop waiting, and cancels nothing by that

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Waits for the thread's end, so long at most."""
        self._thread.join(seconds)

    def soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Has a function called on the loop; nobody waits for it."""
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to be told
            self._loop.call_soon_threadsafe(function, *arguments)

    def now(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """What a plain function returns that is called on the loop."""
        return self.call(_plain(function, *arguments))

    def call(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """What a coroutine returns that runs on the loop; raises :class:`Refused` in the future once it has ended."""
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the loop has ended
            coroutine.close()
            future = Future()
            future.set_exception(Refused("The session has ended: start fastops again."))
            return future
        self._asked.add(future)
        future.add_done_callback(self._asked.discard)
        if self.ended.done():
            future.cancel()
        return future

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_unhandled)
        problem: BaseException | None = None
        try:
            self._loop.run_until_complete(self._main())
            rest = asyncio.all_tasks(self._loop)
            for task in rest:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except BaseException as error:  # noqa: BLE001 -- a thread has nobody above it: the front end is told
            problem = error
        finally:
            self._loop.close()
            self._tell_end(problem)

    def _tell_end(self, problem: BaseException | None) -> None:
        """Nobody waits for a loop that has ended."""
        self._last()
        if problem is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(problem)
        for future in tuple(self._asked):
            future.cancel()


def _unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keeps what nobody awaited in a file: asyncio would print it over a screen, or into a script's standard error.

    A socket that becomes readable in the very turn in which its reader is cancelled completes a cancelled future in
    anyio; that is no defect.
    """
    error = context.get("exception")
    if isinstance(error, BaseException) and not isinstance(error, asyncio.InvalidStateError):
        exits.kept(error)


async def within(seconds: float, event: asyncio.Event) -> None:
    """Waits for an event, so long at most. Not ``wait_for``: before 3.12 it may lose a cancellation."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _plain(function: Callable[..., T], *arguments: Any) -> T:
    return function(*arguments)
