"""A product that starts FastAPI by a command of its own: ``python3 -m serve`` or ``python3 serve.py``.

No server's name stands in its arguments. ``LISTEN`` is its own setting; loopback stands in the code.
"""

from __future__ import annotations

import os

import uvicorn
from fastapi import FastAPI

app = FastAPI(title="serve")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(app, host=os.environ.get("LISTEN", "127.0.0.1"), port=8000)
