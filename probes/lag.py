"""How late fastops' own event loop runs: what a wait took longer than it should have is not the service's doing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICK_SECONDS = 0.02
NOISE_SECONDS = 0.005
"""A timer that fires so late is on time: schedulers are no better."""


class Lag:
    """Seconds by which this loop, or this machine as a whole, was late while something was awaited."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = time.monotonic()

    def _look(self) -> None:
        """Adds what has passed since the last look beyond one tick."""
        now = time.monotonic()
        late = now - self._since - TICK_SECONDS
        self._since = now
        if late > NOISE_SECONDS:
            self.seconds += late

    async def _watch(self) -> None:
        while True:
            self._since = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)
            self._look()


@asynccontextmanager
async def measured() -> AsyncIterator[Lag]:
    """The lag of the loop over the body: to be taken off what the body measured by the clock."""
    lag = Lag()
    watch = asyncio.create_task(lag._watch())
    try:
        yield lag
        lag._look()
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
