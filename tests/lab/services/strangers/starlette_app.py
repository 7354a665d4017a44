"""Starlette, with an ``/openapi.json`` of its own."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def health(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def schema(request: Request) -> JSONResponse:
    return JSONResponse({"openapi": "3.1.0", "info": {"title": "starlette", "version": "1"}, "paths": {}})


app = Starlette(routes=[Route("/health", health), Route("/openapi.json", schema)])
