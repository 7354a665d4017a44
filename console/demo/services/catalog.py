"""The catalogue: every search is remembered for ever, so each worker's memory grows with its traffic."""

from __future__ import annotations

from fastapi import FastAPI

PAGE_BYTES = 120_000
searches: list[bytes] = []
app = FastAPI(title="catalog")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/products")
async def products(query: str = "lamp") -> dict[str, int]:
    page = query.encode() * (PAGE_BYTES // max(len(query), 1))
    searches.append(page)  # a cache without a bound: nothing ever leaves it
    return {"found": len(page) % 97}
