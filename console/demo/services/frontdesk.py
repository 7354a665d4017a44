"""The front desk: nothing wrong with the code; one process serves everybody, and when it ends nobody does."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI

app = FastAPI(title="frontdesk")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/visit")
async def visit() -> dict[str, str]:
    await asyncio.sleep(1.5)
    return {"badge": "printed"}
