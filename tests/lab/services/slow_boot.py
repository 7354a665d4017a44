"""Still starting: metrics already answer on 9100, the application's own port does not for ``BOOT_SECONDS``."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from fastapi import FastAPI


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    metrics = HTTPServer(("0.0.0.0", 9100), BaseHTTPRequestHandler)
    threading.Thread(target=metrics.serve_forever, daemon=True).start()
    await asyncio.sleep(float(os.environ.get("BOOT_SECONDS", "60")))
    yield


app = FastAPI(title="slow_boot", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
