"""The server refuses connections (SQLSTATE 53300), the pool is not the cause.

A thread speaks just enough of PostgreSQL's protocol to say so, in the server's own words.
"""

from __future__ import annotations

import socket
import struct
import threading

import asyncpg
from fastapi import FastAPI

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
REFUSAL = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"


def full_database() -> None:
    with socket.create_server(("127.0.0.1", 5432), backlog=50, reuse_port=True) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                if connection.recv(4096) == SSL_REQUEST:
                    connection.sendall(b"N")
                    connection.recv(4096)
                connection.sendall(b"E" + struct.pack("!i", len(REFUSAL) + 4) + REFUSAL)


threading.Thread(target=full_database, name="database", daemon=True).start()
app = FastAPI(title="refused")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/orders")
async def orders() -> dict[str, int]:
    connection = await asyncpg.connect("postgresql://shop@127.0.0.1:5432/shop", password="", timeout=5)
    return {"orders": await connection.fetchval("select 1")}
