"""A large log as a busy service writes it: mostly requests, some words of the application, now and then trouble."""

from __future__ import annotations

import random
from pathlib import Path

_PATHS = ("/orders/{n}", "/health", "/items?page={n}", "/users/{n}/cart", "/api/v1/search?q={w}", "/metrics")
_WORDS = ("red", "lamp", "chair", "invoice", "refund", "shipment", "voucher")
_STATUS = ("200 OK",) * 17 + ("304 Not Modified", "404 Not Found", "422 Unprocessable Entity")
_TOLD = (
    "INFO:     app.orders: order {n} was paid with {w}",
    "INFO:     app.cache: {w} refreshed in 0.{n} s",
    "DEBUG:    app.db: SELECT id, name FROM {w} WHERE id = {n}",
    'INFO:     httpx: HTTP Request: GET http://stock:8000/items/{n} "HTTP/1.1 200 OK"',
    "WARNING:  app.stock: {w} {n} is nearly sold out",
)
_TROUBLE = (
    "[2026-11-22 10:00:{s:02} +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:{n})",
    "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
    "ERROR:    Exception in ASGI application",
    "ConnectionRefusedError: [Errno 111] Connection refused",
    "OSError: [Errno 28] No space left on device",
    "asyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already",
)
_TROUBLE_SHARE, _TOLD_SHARE = 0.001, 0.2


def write(path: Path, size: int) -> int:
    """Writes at least ``size`` bytes of it, always the same; how many lines those are."""
    rng = random.Random(5)
    lines = written = 0
    with path.open("w", encoding="ascii") as log:
        while written < size:
            block = "".join(_line(rng) for _ in range(1000))
            written += log.write(block)
            lines += 1000
    return lines


def _line(rng: random.Random) -> str:
    number, word, drawn = rng.randrange(100_000), rng.choice(_WORDS), rng.random()
    second = number % 60
    if drawn < _TROUBLE_SHARE:
        return rng.choice(_TROUBLE).format(n=number, s=second) + "\n"
    if drawn < _TROUBLE_SHARE + _TOLD_SHARE:
        return rng.choice(_TOLD).format(n=number, w=word) + "\n"
    path = rng.choice(_PATHS).format(n=number, w=word)
    client = f"10.{number & 63}.{number >> 9}.{second}:{30_000 + number % 30_000}"
    return f'INFO:     {client} - "GET {path} HTTP/1.1" {rng.choice(_STATUS)}\n'
