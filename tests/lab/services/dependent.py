"""Ready only while its database answers: ``/ready`` says 503 and names the cause, ``/health`` asks nobody."""

from __future__ import annotations

import asyncio
import os

from fastapi import FastAPI, Response

HOST, PORT = os.environ.get("DATABASE_HOST", "127.0.0.1"), 5432
app = FastAPI(title="dependent")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/ready")
async def ready(response: Response) -> dict[str, str]:
    try:
        _, writer = await asyncio.open_connection(HOST, PORT)
    except OSError as error:
        response.status_code = 503
        return {"status": "not ready", "database": str(error)}
    writer.close()
    return {"status": "ready"}
