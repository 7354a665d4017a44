"""Fails at its first start and comes up at the second, as a service whose database is late."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI

marker = Path("/tmp/started-before")
if not marker.exists():
    marker.touch()
    raise RuntimeError("the cache is not warm yet")

app = FastAPI(title="flaky_boot")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
