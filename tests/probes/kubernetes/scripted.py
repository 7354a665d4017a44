"""A server that answers as it is told, for what a real API server does too seldom; and hands on wires between two."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from probes.base import TargetId
from probes.targets.kubernetes.place import Cluster, Place, User


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Respond = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Scripted:
    """Answers each request with the next of ``answers``; the last one is repeated."""

    def __init__(self, *answers: bytes | Respond) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0

    @property
    def place(self) -> Place:
        cluster = Cluster(f"http://127.0.0.1:{self.port}", proxy="")
        return Place(TargetId("k8s/scripted"), "scripted", None, "default", cluster, User())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                method, path, _ = first.split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append(Request(method, path, headers, body))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(self.requests[-1], writer)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def scripted(*answers: bytes | Respond) -> AsyncIterator[Scripted]:
    """Runs one on loopback."""
    script = Scripted(*answers)
    async with _listening(script.serve) as script.port:
        yield script


def answer(status: int, body: Any = b"", **headers: str) -> bytes:
    """A whole answer; what is not bytes becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def refusal(code: int, message: str, reason: str = "", **details: Any) -> dict[str, Any]:
    """A Status object."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "code": code,
        "message": message,
        "reason": reason,
        "details": details,
    }


class Wire:
    """Passes a port on to another one; ``cut`` ends what is open, without a word."""

    def __init__(self, port: int) -> None:
        self._far = port
        self.port = 0
        self.asked: list[bytes] = []
        """The first line of each CONNECT, where it is used as an HTTP proxy."""
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def connections(self) -> int:
        """Those that are open."""
        return len(self._open)

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._far)
        self._open.add(writer)
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._open.discard(writer)
            far_writer.close()
            writer.close()

    async def serve_connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As an HTTP proxy."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await self.serve(reader, writer)

    async def serve_socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As a SOCKS proxy (RFC 1928), without authentication."""
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        *_, kind = await reader.readexactly(4)
        name = await reader.readexactly(4 if kind == 1 else (await reader.readexactly(1))[0])
        await reader.readexactly(2)
        self.asked.append(b"SOCKS " + name)
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await self.serve(reader, writer)


@contextlib.asynccontextmanager
async def wire(port: int, how: str = "serve") -> AsyncIterator[Wire]:
    """Runs one on loopback."""
    made = Wire(port)
    async with _listening(getattr(made, how)) as made.port:
        yield made
        made.cut()


@contextlib.asynccontextmanager
async def _listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in set(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
