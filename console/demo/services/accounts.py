"""The accounts: healthy, for contrast."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI(title="accounts")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/accounts")
async def accounts() -> dict[str, int]:
    return {"accounts": 3}
