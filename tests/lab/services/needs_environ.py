"""Dies without ``PAYMENT_KEY``: a ``KeyError`` out of ``os.environ``."""

from __future__ import annotations

import os

from fastapi import FastAPI

PAYMENT_KEY = os.environ["PAYMENT_KEY"]
app = FastAPI(title="needs_environ")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
