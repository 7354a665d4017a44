"""The reports: rendering one blocks the loop for longer than gunicorn waits for a heartbeat; the worker is killed."""

from __future__ import annotations

import time

from fastapi import FastAPI

app = FastAPI(title="reports")


def render(seconds: float) -> int:
    """Stands for a library that computes in one go."""
    time.sleep(seconds)
    return int(seconds)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/report")
async def report(seconds: float = 20.0) -> dict[str, int]:
    return {"pages": render(seconds)}
