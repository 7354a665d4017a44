"""Memory: ``/eat`` takes much at once, ``LEAK_MB_PER_SECOND`` leaks, ``/grow`` leaks per request.

``WARM_MB`` fills a cache that then stays as it is, ``FILE_MB`` writes and rereads a file, so that only the page cache
grows.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

MB = 1_000_000
TICK_SECONDS = 0.25
kept: list[bytearray] = []


def take(megabytes: float) -> None:
    """Keep this much memory, every page of it written to, so that it is resident."""
    block = bytearray(int(megabytes * MB))
    block[::4096] = b"x" * len(block[::4096])
    kept.append(block)


async def leak(megabytes_per_second: float) -> None:
    while True:
        take(megabytes_per_second * TICK_SECONDS)
        await asyncio.sleep(TICK_SECONDS)


async def warm(megabytes: int) -> None:
    for _ in range(megabytes // 5):
        take(5)
        await asyncio.sleep(2 * TICK_SECONDS)


async def churn(megabytes: int) -> None:
    file = Path("/tmp/export.bin")
    with file.open("wb", buffering=0) as out:
        for _ in range(megabytes // 5):
            out.write(os.urandom(5 * MB))
            await asyncio.sleep(TICK_SECONDS)
    while True:
        with file.open("rb", buffering=0) as source:
            while source.read(MB):
                await asyncio.sleep(0.05)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    jobs = []
    if rate := os.environ.get("LEAK_MB_PER_SECOND"):
        jobs.append(asyncio.create_task(leak(float(rate))))
    if size := os.environ.get("WARM_MB"):
        jobs.append(asyncio.create_task(warm(int(size))))
    if size := os.environ.get("FILE_MB"):
        jobs.append(asyncio.create_task(churn(int(size))))
    yield
    for job in jobs:
        job.cancel()


app = FastAPI(title="memory", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, int]:
    return {"kept": len(kept)}


@app.get("/eat")
async def eat(mb: int) -> dict[str, int]:
    for _ in range(mb // 10):
        take(10)
    return {"kept": len(kept)}


@app.get("/grow")
async def grow(mb: int = 4) -> dict[str, int]:
    take(mb)
    return {"kept": len(kept)}
