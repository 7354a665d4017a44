"""Orders that hold as many connections of asyncpg's pool as the environment says."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    many = int(os.environ["DB_POOL_MAX_SIZE"])
    url = os.environ["DATABASE_URL"]
    async with asyncpg.create_pool(url, min_size=many, max_size=many, statement_cache_size=0):  # as poolers want it
        yield


app = FastAPI(title="orders", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
