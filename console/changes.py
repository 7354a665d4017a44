"""The changes that a session works on: what they are, and how they end when the session does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from fixes.model import ChangeId
from fixes.run import BACK_SECONDS
from probes.target import Refused

T = TypeVar("T")


class Working(NamedTuple):
    """A change that is worked on."""

    change: ChangeId | None
    """``None`` for the latest, whichever that is."""
    says: str
    """What leaving now does to it, as one sentence."""
    cancels: bool
    """Whether leaving cancels it (it is then taken back); else leaving waits for its end."""


def applying(change: ChangeId) -> Working:
    """A change that is made: half of one is taken back."""
    says = "A change is under way: leaving takes it back, or leaves it unverified where it is applied already."
    return Working(change, says, cancels=True)


def taking_back(change: ChangeId | None) -> Working:
    """A change that is taken back: that goes on to its end."""
    return Working(change, "A change is being taken back: leaving waits until it is.", cancels=False)


class Changes:
    """Runs on the session's loop; :attr:`under_way` and :attr:`settled` may be read from any thread."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], Working] = {}
        self._closed = False
        self.settled = threading.Event()
        """Set when no change is worked on any more, nor will be."""

    @property
    def under_way(self) -> Working | None:
        """One change that is worked on."""
        return next(iter(tuple(self._tasks.values())), None)

    async def work(self, working: Working, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Works on a change; raises :class:`Refused` where the session is being left."""
        task = asyncio.current_task()
        if self._closed or task is None:
            raise Refused("fastops is being left: nothing was changed.")
        self._tasks[task] = working
        try:
            return await begin()
        finally:
            del self._tasks[task]

    async def end(self) -> None:
        """Ends all that is worked on, in order; waits for :data:`fixes.run.BACK_SECONDS` at most."""
        self._closed = True
        tasks = dict(self._tasks)
        for task, working in tasks.items():
            if working.cancels:
                task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=BACK_SECONDS)
        finally:
            self.settled.set()
