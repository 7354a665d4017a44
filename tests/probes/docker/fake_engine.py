"""An engine that fails on demand: enough of the Engine API for one container, on a Unix socket or a TCP port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ID = "f" * 64


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def inspect(**changes) -> dict:
    now = datetime.now(UTC)
    document = {
        "Id": ID,
        "Created": (now - timedelta(minutes=5)).isoformat(),
        "Path": "uvicorn",
        "Args": ["--host", "0.0.0.0", "shop:app"],
        "Name": "/shop",
        "Image": "sha256:1",
        "RestartCount": 2,
        "State": {
            "Status": "running",
            "OOMKilled": False,
            "Pid": 4194000,
            "ExitCode": 0,
            "StartedAt": (now - timedelta(minutes=4)).isoformat(),
            "FinishedAt": "0001-01-01T00:00:00Z",
        },
        "Config": {"Env": ["DB_PASSWORD=hunter2", "PORT=8000"], "Image": "shop:1", "WorkingDir": "/app", "Labels": {}},
        "HostConfig": {"NetworkMode": "bridge", "Memory": 268435456, "LogConfig": {"Type": "json-file"}},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "127.0.0.9"}}, "Ports": {}},
    }
    for key, value in changes.items():
        document[key] = {**document[key], **value} if isinstance(value, dict) else value
    return document


class FakeEngine:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[tuple[str, str]] = []
        self.container: dict | None = inspect()
        self.status_for: Callable[[str], int] = lambda _path: 200
        self.delay_for: Callable[[str], float] = lambda _path: 0.0
        self.api_version = "1.41"
        self.log: bytes = frame(1, b"2026-01-02T03:04:05.000000001Z hello\n")
        self.log_for: Callable[[dict[str, list[str]]], bytes] = lambda _query: self.log
        self.skew = timedelta(0)
        """Its clock less ours."""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._event_streams: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self, context: ssl.SSLContext | None = None, *, tcp: bool = False) -> None:
        if tcp:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
            self.port = self._server.sockets[0].getsockname()[1]
        else:
            self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self.path.unlink(missing_ok=True)

    def cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def happen(self, action: str, **attributes: str) -> None:
        event = {
            "Type": "container",
            "Action": action,
            "Actor": {"ID": ID, "Attributes": attributes},
            "timeNano": int(datetime.now(UTC).timestamp() * 1e9),
        }
        for writer in self._event_streams:
            chunk(writer, json.dumps(event).encode() + b"\n")

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skew

    def paths(self) -> list[str]:
        return [path for _, path in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, _ = head.split(b" ", 2)
                await self._answer(method.decode(), target.decode(), writer)
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            pass
        finally:
            self._open.discard(writer)
            self._event_streams.discard(writer)
            writer.close()

    async def _answer(self, method: str, target: str, writer: asyncio.StreamWriter) -> None:
        url = urlsplit(target)
        path = "/" + url.path.split("/", 2)[2] if url.path.startswith("/v1.") else url.path
        self.requests.append((method, path))
        await asyncio.sleep(self.delay_for(path))
        status = self.status_for(path)
        if method == "HEAD":
            writer.write(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n")
        elif status != 200:
            send(writer, status, json.dumps({"message": "no, says the engine"}).encode())
        elif path == "/events":
            begin(writer)
            self._event_streams.add(writer)
        elif path.endswith("/logs"):
            begin(writer)
            query = parse_qs(url.query)
            chunk(writer, self.log_for(query))
            if query.get("follow") != ["1"]:
                writer.write(b"0\r\n\r\n")
        else:
            body = self._document(path)
            if body is None:
                send(writer, 404, b'{"message": "No such container"}')
            else:
                send(writer, 200, body)
        with contextlib.suppress(ConnectionError):
            await writer.drain()

    def _document(self, path: str) -> bytes | None:
        if path == "/_ping":
            return b"OK"
        if path == "/version":
            return json.dumps({"Version": "99.0", "ApiVersion": self.api_version, "MinAPIVersion": "1.12"}).encode()
        if path == "/info":
            said = {"ID": "x", "Name": "box", "NCPU": 2, "MemTotal": 1 << 30, "SystemTime": self.now().isoformat()}
            return json.dumps(said).encode()
        if path == "/containers/json":
            rows = [] if self.container is None else [{"Id": ID, "State": "running", "Status": "Up", "Created": 1}]
            return json.dumps(rows).encode()
        if path == f"/containers/{ID}/json" and self.container is not None:
            return json.dumps(self.container).encode()
        if path.endswith("/stats") and self.container is not None:
            usage = {"cpu_usage": {"total_usage": len(self.requests) * 10**7}, "throttling_data": {}}
            memory = {"usage": 1000, "stats": {"total_inactive_file": 100}}
            return json.dumps({"read": "2026-01-02T03:04:05Z", "cpu_stats": usage, "memory_stats": memory}).encode()
        if path.endswith("/top") and self.container is not None:
            row = ["4194000", "1", "2048", "1", "60", "3", "/usr/bin/python3 /usr/bin/uvicorn --host 0.0.0.0 shop:app"]
            return json.dumps({"Titles": [], "Processes": [row]}).encode()
        return None


def send(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)


def begin(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")


def chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
