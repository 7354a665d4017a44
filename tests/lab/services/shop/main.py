"""The factory that ``uvicorn --factory shop.main:create`` calls."""

from __future__ import annotations

from typing import Any

from .routes import build


def create() -> Any:
    return build()
