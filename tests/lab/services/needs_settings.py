"""Dies without its settings; ``pydantic-settings`` names each variable."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    database_url: str
    api_token: str
    page_size: int = 50


settings = Settings()
app = FastAPI(title="needs_settings")


@app.get("/health")
async def health() -> dict[str, int]:
    return {"page_size": settings.page_size}
