"""The orders: a connection pool of one, and every order holds a connection while it waits for the bank."""

from __future__ import annotations

import time

from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine("sqlite:///orders.db", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=1)
app = FastAPI(title="orders")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/orders")
def orders() -> dict[str, int]:
    with engine.connect() as connection:
        number = connection.execute(text("select 42")).scalar_one()
        time.sleep(0.7)  # the bank answers
    return {"order": number}
