"""A busy console is not taken for a slow service."""

from __future__ import annotations

import asyncio
import time

from probes import http, lag
from probes.base import ReplicaId
from probes.target import Answer


class Slow:
    """Answers at once, while this very loop is held for ``held_seconds``; or after a true wait."""

    def __init__(self, held_seconds: float = 0.0, true_seconds: float = 0.0) -> None:
        self.held, self.true = held_seconds, true_seconds

    async def get(self, replica: ReplicaId, port: int, path: str, timeout_seconds: float = 5.0) -> Answer:
        began = time.monotonic()
        await asyncio.sleep(self.true)
        asyncio.get_running_loop().call_soon(time.sleep, self.held)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return Answer(404, b"", time.monotonic() - began)


async def test_what_our_own_loop_was_late_is_taken_off() -> None:
    held = await http.loop_probe(Slow(held_seconds=0.6), ReplicaId("r"), 80)  # type: ignore[arg-type]
    waited = await http.loop_probe(Slow(true_seconds=0.6), ReplicaId("r"), 80)  # type: ignore[arg-type]
    assert held.took_seconds < waited.took_seconds / 2


async def test_an_idle_loop_has_no_lag_to_speak_of() -> None:
    began = time.monotonic()
    async with lag.measured() as own:
        await asyncio.sleep(0.3)
    assert own.seconds < (time.monotonic() - began) / 2
