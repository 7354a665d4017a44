"""A healthy service: what every other one is compared with."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI

app = FastAPI(title="healthy")


@app.get("/")
async def index() -> dict[str, str]:
    return {"service": "healthy"}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/slow")
async def slow(seconds: float = 2.0) -> dict[str, float]:
    """A slow endpoint that awaits: the loop stays free."""
    await asyncio.sleep(seconds)
    return {"slept": seconds}
