"""A pool of one connection: whoever comes while it is taken fails after a second."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

engine = create_async_engine(
    "sqlite+aiosqlite:////tmp/shop.db", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0, pool_timeout=1
)
app = FastAPI(title="pool")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/orders")
async def orders(seconds: float = 3.0) -> dict[str, int]:
    async with engine.connect() as connection:
        value = (await connection.execute(text("select 1"))).scalar_one()
        await asyncio.sleep(seconds)
    return {"orders": value}
