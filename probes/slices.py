"""A stream that comes in many small chunks (each line of a log is one) without holding the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable

AT_ONCE = 32
"""Chunks that came together and are handed on before others have their turn: some milliseconds' work."""
BLOCK_BYTES = 64 * 1024


async def sliced(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The same chunks; the loop has its turn between them, also where all of them are here already."""
    count = 0
    async for chunk in chunks:
        yield chunk
        count += 1
        if count % AT_ONCE == 0:
            await asyncio.sleep(0)


async def joined(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The same bytes in few large blocks, for a stream that ends by itself: a chunk may wait for the next."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        if len(held) >= BLOCK_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
