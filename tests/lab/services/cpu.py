"""Work for the processor: under a small CPU quota every answer is late although nothing blocks the loop for long."""

from __future__ import annotations

import asyncio
import hashlib

from fastapi import FastAPI

app = FastAPI(title="cpu")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/digest")
async def digest(steps: int = 40) -> dict[str, str]:
    value = b"x" * 4096
    for _ in range(steps):  # each some 20 ms of a whole processor: the loop turns between them
        for _ in range(4000):
            value = hashlib.sha256(value).digest() * 128
        await asyncio.sleep(0)
    return {"digest": value[:4].hex()}
