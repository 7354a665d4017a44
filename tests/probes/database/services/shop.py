"""A shop that holds ``HELD`` connections of a SQLAlchemy pool, and that many transactions, from its start on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(
    os.environ["DATABASE_URL"],
    pool_size=int(os.environ["DB_POOL_SIZE"]),
    max_overflow=int(os.environ["DB_MAX_OVERFLOW"]),
    connect_args={"server_settings": {"application_name": "shop-api"}},
)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as held:
        for _ in range(int(os.environ["HELD"])):
            connection = await held.enter_async_context(engine.connect())
            await connection.execute(text("select 1"))
        yield


app = FastAPI(title="shop", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
