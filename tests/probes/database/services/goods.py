"""Goods that hold as many connections of aiomysql's pool as its source says: three."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiomysql
from fastapi import FastAPI

SIZE = 3


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    url = urlsplit(os.environ["DATABASE_URL"])
    place = {"host": url.hostname, "port": url.port, "user": url.username, "password": url.password}
    pool = await aiomysql.create_pool(**place, minsize=SIZE, maxsize=SIZE)
    try:
        yield
    finally:
        pool.terminate()
        await pool.wait_closed()


app = FastAPI(title="goods", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
