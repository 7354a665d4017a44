"""The gateway: each listener holds a connection open, and the process may open 64 files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI(title="gateway")


async def ticks() -> AsyncIterator[str]:
    """One server-sent event every few seconds, until the listener leaves."""
    while True:
        yield "data: tick\n\n"
        await asyncio.sleep(5)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/events")
async def events() -> StreamingResponse:
    return StreamingResponse(ticks(), media_type="text/event-stream")
