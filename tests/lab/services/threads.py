"""Slow, but the loop is free: every endpoint waits for one of the 40 threads, and none is left for ``/health``."""

from __future__ import annotations

import time

from fastapi import FastAPI

app = FastAPI(title="threads")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/report")
def report(seconds: float = 3.0) -> dict[str, float]:
    time.sleep(seconds)
    return {"took": seconds}
