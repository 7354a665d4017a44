"""Streams in many small chunks leave the event loop to others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from probes.slices import AT_ONCE, BLOCK_BYTES, joined, sliced
from probes.targets.docker import logs
from probes.targets.docker.client import EngineClient
from probes.transport import Endpoint

FLOOD = [b"a\n"] * 10 * AT_ONCE


async def here(chunks: list[bytes]) -> AsyncIterator[bytes]:
    """All of it came already: nothing waits."""
    for chunk in chunks:
        yield chunk


async def turns_during(chunks: AsyncIterable[bytes]) -> int:
    """How often others had their turn while all of it was read."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    passed = [chunk async for chunk in chunks]
    task.cancel()
    assert passed == FLOOD
    return turns


async def test_others_have_their_turn_while_a_flood_is_handed_on() -> None:
    assert await turns_during(here(FLOOD)) == 0
    assert await turns_during(sliced(here(FLOOD))) >= 9


class Answered:
    """An answer of an engine, all of it here."""

    def aiter_raw(self) -> AsyncIterator[bytes]:
        return here(FLOOD)


async def test_what_an_engine_streams_leaves_others_their_turn() -> None:
    response: Any = Answered()
    assert await turns_during(EngineClient(Endpoint("unix:///nowhere"), read_only=True)._chunks("/logs", response)) >= 9


async def test_the_past_of_a_log_comes_in_few_blocks() -> None:
    class Engine:
        @contextlib.asynccontextmanager
        async def stream(self, path: str, params: object) -> AsyncIterator[AsyncIterator[bytes]]:
            yield here(FLOOD)

    engine: Any = Engine()
    blocks = [block async for block in logs.past(engine, "one", datetime.now(UTC), tty=True)]
    assert blocks == [b"".join(FLOOD)]


@given(st.lists(st.binary(max_size=50), max_size=30))
def test_what_is_joined_is_the_same_bytes(chunks: list[bytes]) -> None:
    async def whole() -> list[bytes]:
        return [block async for block in joined(here(chunks))]

    assert b"".join(asyncio.run(whole())) == b"".join(chunks)


async def test_many_small_chunks_become_few_blocks() -> None:
    blocks = [block async for block in joined(here([b"x" * 100] * 2000))]
    assert len(blocks) == -(-2000 * 100 // (BLOCK_BYTES + 100 - BLOCK_BYTES % 100))
