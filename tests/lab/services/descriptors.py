"""Opens a file per request and never closes it."""

from __future__ import annotations

from typing import IO

from fastapi import FastAPI

opened: list[IO[bytes]] = []
app = FastAPI(title="descriptors")


@app.get("/health")
async def health() -> dict[str, int]:
    return {"opened": len(opened)}


@app.get("/template")
async def template() -> dict[str, int]:
    opened.append(open("/etc/hostname", "rb"))  # noqa: SIM115 - the illness
    return {"opened": len(opened)}
