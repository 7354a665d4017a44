"""Starts and gives up: what the lifespan needs is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    raise RuntimeError("the model file /models/ranking.bin is not readable")
    yield


app = FastAPI(title="broken_lifespan", lifespan=lifespan)
