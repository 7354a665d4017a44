"""The catalogue: every search is remembered for ever, so each worker's memory grows with its traffic."""

from __future__ import annotations

import random
import signal

from fastapi import FastAPI

PAGE_BYTES = 24_000
MOST_BYTES = random.randint(100 << 20, 150 << 20)
"""Of remembered searches: about three to five minutes of the demo's load. Then the worker ends and its manager starts
another, so that a demo that is left open does not fill the machine; by chance, lest all workers begin anew together."""
searches: list[bytes] = []
app = FastAPI(title="catalog")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/products")
async def products(query: str = "lamp") -> dict[str, int]:
    page = query.encode() * (PAGE_BYTES // max(len(query), 1))
    searches.append(page)  # a cache without a bound: nothing ever leaves it
    if len(searches) == MOST_BYTES // PAGE_BYTES:
        signal.raise_signal(signal.SIGTERM)
    return {"found": len(page) % 97}
