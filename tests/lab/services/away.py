"""The database is not there: nobody listens at its host and port."""

from __future__ import annotations

import asyncpg
from fastapi import FastAPI

app = FastAPI(title="away")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/orders")
async def orders() -> dict[str, int]:
    connection = await asyncpg.connect("postgresql://shop@127.0.0.1:5433/shop", password="", timeout=5)
    return {"orders": await connection.fetchval("select 1")}
