"""The search: an ``async`` endpoint that waits with a blocking call, so the whole event loop waits with it."""

from __future__ import annotations

import time

from fastapi import FastAPI

app = FastAPI(title="search")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/search")
async def search(query: str = "lamp") -> dict[str, str]:
    time.sleep(1.5)  # the illness: asyncio.sleep would let others run
    return {"query": query}
