"""A recording proxy between a client and an engine's socket: what was asked for, and a hand on its throat.

With certificates it stands between a client and an API server: it ends the client's TLS and begins its own.

It understands just enough of HTTP/1.1 to tell where a request begins (bodies by length or in chunks); answers, streams
and what follows an upgrade pass as bytes. ``Proxy.at`` says what happens at the N-th write: before it reaches the
engine, or after the engine has done it and before the client knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self
from urllib.parse import urlsplit

READS = ("GET", "HEAD")
HEAD_BYTES = 1 << 20
PIECE_BYTES = 1 << 18
WAITING = 1024  # connections: a client opens some for every container
START_SECONDS = 10
Moment = Literal["asked", "done"]
"""``asked``: the engine never sees the request; ``done``: it has answered, and the client never hears of it."""


class Request(NamedTuple):
    """One request as it was sent."""

    method: str
    path: str
    upgrade: bool = False
    """It takes the connection over, and what follows is no HTTP: an exec, an attach."""

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method not in READS or self.upgrade


class Trap(NamedTuple):
    """What to do at a write."""

    number: int  # of the write, from 1
    moment: Moment
    act: Callable[[Request], None]


class Certificates(NamedTuple):
    """Both sides of a proxy that speaks TLS."""

    server: ssl.SSLContext
    """Towards clients: it then listens on a port of this machine, not on a socket."""
    client: ssl.SSLContext
    """Towards the engine."""


class Proxy:
    """Listens on ``path`` and passes everything on to ``engine`` (unix://, tcp:// or https://); a context manager."""

    def __init__(self, engine: str, path: Path, certificates: Certificates | None = None) -> None:
        self.path = path
        self._certificates = certificates
        self._port = 0
        self.requests: list[Request] = []
        self._engine = urlsplit(engine)
        self._trap: Trap | None = None
        self._writes = 0
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recording-proxy", daemon=True)

    @property
    def url(self) -> str:
        """For ``DOCKER_HOST``; of an API server for a kubeconfig."""
        return f"unix://{self.path}" if self._certificates is None else f"https://127.0.0.1:{self._port}"

    @property
    def writes(self) -> list[Request]:
        """The requests that may change something."""
        return [one for one in self.requests if one.writes]

    def at(self, number: int, moment: Moment, act: Callable[[Request], None]) -> None:
        """Calls ``act`` at the N-th write from now on and drops the connection; counting begins anew."""
        self._writes, self._trap = 0, Trap(number, moment, act)

    def forget(self) -> None:
        """Forgets what was recorded and what was to be done."""
        self.requests.clear()
        self._trap, self._writes = None, 0

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._up.wait(START_SECONDS):
            raise TimeoutError("the proxy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        server: asyncio.Server
        if self._certificates is None:
            server = await asyncio.start_unix_server(self._accept, self.path, limit=HEAD_BYTES, backlog=WAITING)
            os.chmod(self.path, 0o666)
        else:
            server = await asyncio.start_server(
                self._accept, "127.0.0.1", 0, ssl=self._certificates.server, limit=HEAD_BYTES, backlog=WAITING
            )
            self._port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._stop.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._engine.scheme == "unix":
            return await asyncio.open_unix_connection(self._engine.path, limit=HEAD_BYTES)
        if self._certificates is not None:
            return await asyncio.open_connection(
                self._engine.hostname, self._engine.port or 443, ssl=self._certificates.client, limit=HEAD_BYTES
            )
        return await asyncio.open_connection(self._engine.hostname, self._engine.port, limit=HEAD_BYTES)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                far_reader, far_writer = await self._dial()
                try:
                    await _Connection(self, reader, writer, far_reader, far_writer).pass_on()
                finally:
                    far_writer.transport.abort()  # TLS would say good-bye first, to a loop that is closed by then
        finally:
            if self._stop.is_set():
                writer.transport.abort()
            else:
                writer.close()

    def seen(self, request: Request) -> Trap | None:
        """Records a request; the trap that it springs, if it does."""
        self.requests.append(request)
        if not request.writes or self._trap is None:
            return None
        self._writes += 1
        return self._trap if self._writes == self._trap.number else None


class _Connection:
    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.far_reader, self.far_writer = far_reader, far_writer
        self.sprung: tuple[Trap, Request] | None = None

    async def pass_on(self) -> None:
        """Both ways until one side ends."""
        ways = {asyncio.create_task(self._requests()), asyncio.create_task(self._answers())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _requests(self) -> None:
        while True:
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ", 2)
            fields = {name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines if x)}
            request = Request(method, path, "upgrade" in fields)
            trap = self.proxy.seen(request)
            if trap is not None and trap.moment == "asked":
                trap.act(request)
                return
            if trap is not None:
                self.sprung = (trap, request)
            self.far_writer.write(head)
            if "upgrade" in fields:
                await _pump(self.reader, self.far_writer)
                return
            await self._body(fields)
            await self.far_writer.drain()

    async def _body(self, fields: dict[str, str]) -> None:
        if fields.get("transfer-encoding", "").lower() == "chunked":
            while True:
                line = await self.reader.readuntil(b"\r\n")
                size = int(line.split(b";")[0], 16)
                self.far_writer.write(line + await self.reader.readexactly(size + 2))
                await self.far_writer.drain()
                if size == 0:
                    return
        left = int(fields.get("content-length", "0"))
        while left:
            piece = await self.reader.read(min(left, PIECE_BYTES))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            self.far_writer.write(piece)
            await self.far_writer.drain()

    async def _answers(self) -> None:
        while piece := await self.far_reader.read(PIECE_BYTES):
            if self.sprung is not None:
                trap, request = self.sprung
                trap.act(request)
                return
            self.writer.write(piece)
            await self.writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
