"""Healthy, and logs each refused request with pydantic's own words: ``Field required`` is no missing setting here."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("strict")
app = FastAPI(title="strict")


class Order(BaseModel):
    database_url: str
    quantity: int


@app.exception_handler(RequestValidationError)
async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
    log.warning("refused %s: %s", request.url.path, error.errors())
    try:
        Order.model_validate({})
    except ValidationError as again:
        log.warning("%s", again)
    return JSONResponse({"detail": error.errors()}, status_code=422)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/order")
async def order(quantity: int) -> dict[str, int]:
    return {"quantity": quantity}
