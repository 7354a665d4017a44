"""Blocking calls inside ``async def`` endpoints: the event loop stands still meanwhile."""

from __future__ import annotations

import os
import socket
import threading
import time

import requests
from fastapi import FastAPI

app = FastAPI(title="blocking")
SUPPLIER_PORT = 8900


def slow_supplier() -> None:
    """Another company's slow service: answers each connection after 1.5 s."""
    with socket.create_server(("127.0.0.1", SUPPLIER_PORT), backlog=50, reuse_port=True) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                time.sleep(1.5)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


if os.environ.get("SUPPLIER"):
    threading.Thread(target=slow_supplier, name="supplier", daemon=True).start()


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/block")
async def block(seconds: float = 1.5) -> dict[str, float]:
    print(f"blocking for {seconds} s", flush=True)
    time.sleep(seconds)
    return {"blocked": seconds}


@app.get("/price")
async def price() -> dict[str, str]:
    return {"price": requests.get(f"http://127.0.0.1:{SUPPLIER_PORT}/", timeout=10).text}
