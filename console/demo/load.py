"""A little traffic for the demo's services: plain HTTP/1.1 over asyncio, bounded in rate and connections."""

from __future__ import annotations

import asyncio
import contextlib
import random

from console.demo.layout import Load

DEADLINE_SECONDS = 30.0
_CHUNK = 1 << 16


async def run(load: Load, port: int) -> None:
    """Sends a service its requests until cancelled; a service that is down is asked again later."""
    async with asyncio.TaskGroup() as group:
        for _ in range(load.clients):
            group.create_task(_client(load, port))


async def _client(load: Load, port: int) -> None:
    # Clients that begin at the same moment would stay in step for ever.
    await asyncio.sleep(random.random() * min(load.pause_seconds + 1, 3.0))
    while True:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            await _request(load, port)
        await asyncio.sleep(load.pause_seconds * (0.75 + random.random() / 2))


async def _request(load: Load, port: int) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        # GET is all that the demo's services know; a new connection each time spreads the load over the workers.
        writer.write(f"GET {load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        while True:
            async with asyncio.timeout(None if load.hold else DEADLINE_SECONDS):
                if not await reader.read(_CHUNK):
                    return
    finally:
        writer.close()
