"""Where the framework comes in; the schema is switched off, so ``/openapi.json`` answers 404."""

from __future__ import annotations

from fastapi import FastAPI


def build() -> FastAPI:
    app = FastAPI(title="shop", openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app
