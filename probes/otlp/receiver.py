"""Listens for OTLP over HTTP, on one address that somebody asked for. Hostile input costs a bounded answer.

``/v1/metrics`` is read; traces and logs are answered as if they were, so that an exporter that sends them too does not
complain, and thrown away. HTTP is parsed by h11.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from probes.base import Failure, Frozen
from probes.otlp.decode import Export, Undecodable, decode
from probes.otlp.instance import Peer

METRICS_PATH = "/v1/metrics"
DISCARDED = frozenset({"/v1/traces", "/v1/logs", "/v1development/profiles"})
BODY_BYTES = 1 << 20
"""Of a body, as it is sent and as it is unpacked; a service of a thousand routes and answers sends half of that."""
CONNECTIONS = 512
"""One for each process that sends; beyond, a new one is closed at once."""
FREE_BYTES = 1 << 16
"""Of a body each connection may hold; what is larger waits for one of few turns."""
AT_ONCE = 8
"""Larger bodies that are held at one time: who stops in the middle of one holds up nobody whose exports are small."""
DECODING_SHARE = 0.25
"""Of one core; what a service sends takes a millisecond or two, the worst of 1 MiB a second."""
REQUEST_SECONDS = 10.0
IDLE_SECONDS = 150.0
"""Between two requests; exporters send every minute."""
_READ_BYTES = 1 << 16
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_WINDOWS = {"gzip": 31, "deflate": 15}
"""Content-Encoding → zlib's window bits."""

Take = Callable[[Sequence[Export], Peer], None]
"""Called in a thread of its own, by one at a time as a rule: two where a request's time was over meanwhile."""


class Place(Frozen, frozen=True):
    """Where to listen."""

    host: str
    """An IP address of this machine."""
    port: int

    @property
    def url(self) -> str:
        """What an exporter of metrics is given as its endpoint."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{METRICS_PATH}"


def place(text: str) -> Place:
    """``ADDRESS:PORT`` as a place to listen; raises :class:`ValueError` with a sentence for people."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError("write ADDRESS:PORT with an IP address of this machine, such as 127.0.0.1:4318") from None
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65_536:
        raise ValueError("the port is a number from 1 to 65535; OpenTelemetry's own is 4318")
    if address.is_unspecified or address.is_multicast:
        raise ValueError(
            "name the one address to listen on: 127.0.0.1 for processes of this machine, the bridge's gateway "
            "(172.17.0.1 mostly) for containers"
        )
    return Place(str(address), int(port))


class Answer(Exception):
    """Ends a request with this status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Receiver:
    """Hands on what is received."""

    def __init__(self, where: Place, take: Take) -> None:
        self.where = where
        self._take = take
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._decoding = asyncio.Lock()
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> Failure | None:
        """Begins to listen; why it cannot."""
        try:
            self._server = await asyncio.start_server(self._serve, self.where.host, self.where.port, limit=_READ_BYTES)
        except OSError as error:
            why = error.strerror or str(error)
            if error.errno is not None and "address" in why.lower() and "use" in why.lower():
                hint = "another program listens there; if it is a console of fastops, use that, else name another port"
            else:
                hint = "name an address of this machine: `ip address` lists them"
            what = f"listening for telemetry on {self.where.host}:{self.where.port}"
            return Failure("telemetry", what, why.rpartition(": ")[2], hint)
        return None

    async def close(self) -> None:
        """Ends listening and all connections."""
        if self._server is not None:
            self._server.close()
        tasks = tuple(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import h11

        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) <= CONNECTIONS:
                await self._converse(reader, writer)
        except (OSError, TimeoutError, h11.ProtocolError):
            pass
        except asyncio.CancelledError:  # the receiver closes; asyncio's streams would print it
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import h11

        told = writer.get_extra_info("peername")
        peer: Peer = (str(told[0]).partition("%")[0], int(told[1]))
        connection = h11.Connection(h11.SERVER)
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                first = await _event(connection, reader, writer)
            if not isinstance(first, h11.Request):
                return
            status, body = 200, b""
            try:
                async with asyncio.timeout(REQUEST_SECONDS), AsyncExitStack() as turn:
                    body = await self._request(connection, first, reader, writer, peer, turn)
            except Answer as answer:
                status, body = answer.status, str(answer).encode()
            except h11.RemoteProtocolError:
                status = 400
            if connection.our_state in {h11.MUST_CLOSE, h11.CLOSED, h11.ERROR}:
                return
            headers = [("Content-Length", str(len(body)))]
            if status == 200:
                kind = dict(first.headers).get(b"content-type", b"").partition(b";")[0].strip().decode("latin-1")
                headers += [("Content-Type", _JSON if kind == _JSON else _PROTOBUF)]
            else:
                headers += [("Content-Type", "text/plain; charset=utf-8")]
                if status in {405, 413, 400}:
                    headers += [("Connection", "close")]
            sent = connection.send(h11.Response(status_code=status, headers=headers)) or b""
            if first.method != b"HEAD":
                sent += connection.send(h11.Data(data=body)) or b""
            sent += connection.send(h11.EndOfMessage()) or b""
            writer.write(sent)
            async with asyncio.timeout(REQUEST_SECONDS):
                await writer.drain()
            if {connection.our_state, connection.their_state} != {h11.DONE}:
                return
            connection.start_next_cycle()

    async def _request(
        self,
        connection: Any,
        request: Any,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peer: Peer,
        turn: AsyncExitStack,
    ) -> bytes:
        """What is answered to one request; raises :class:`Answer` where it is not accepted."""
        path = request.target.decode("latin-1").partition("?")[0]
        if path != METRICS_PATH and path not in DISCARDED:
            raise Answer(404, "fastops takes OTLP metrics at /v1/metrics")
        if request.method != b"POST":
            raise Answer(405, "POST is taken here")
        headers = dict(request.headers)
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
        if kind not in {_PROTOBUF, _JSON}:
            raise Answer(415, f"{_PROTOBUF} and {_JSON} are taken here")
        body = await self._body(connection, reader, writer, turn)
        if path == METRICS_PATH:
            encoding = headers.get(b"content-encoding", b"identity").strip().lower().decode("latin-1")
            await self._taken(lambda: decode(_unpacked(body, encoding), as_json=kind == _JSON), peer)
        return b"{}" if kind == _JSON else b""

    async def _body(
        self, connection: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: AsyncExitStack
    ) -> bytes:
        import h11

        body, has_turn = bytearray(), False
        while True:
            event = await _event(connection, reader, writer)
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_BYTES:
                    raise Answer(413, f"a body of {BODY_BYTES} bytes is the largest that is taken here")
                if len(body) > FREE_BYTES and not has_turn:
                    await turn.enter_async_context(self._turns)
                    has_turn = True
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            else:
                raise Answer(400, "the body is not whole")

    async def _taken(self, decoded: Callable[[], Sequence[Export]], peer: Peer) -> None:
        """One body after the other, and with a rest after each: nobody can take a core with what they send."""
        async with self._decoding:
            began = time.monotonic()
            try:
                await asyncio.to_thread(lambda: self._take(decoded(), peer))
            except Undecodable:
                raise Answer(400, "that is no OTLP metrics") from None
            finally:
                await asyncio.sleep((time.monotonic() - began) * (1 / DECODING_SHARE - 1))


async def _event(connection: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
    """h11's next event; ``None`` where the connection ended, or what came is no HTTP."""
    import h11

    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return None
        if event is not h11.NEED_DATA:
            return event
        if connection.they_are_waiting_for_100_continue:
            informed = h11.InformationalResponse(status_code=100, headers=[])
            writer.write(connection.send(informed) or b"")
        connection.receive_data(await reader.read(_READ_BYTES))


def _unpacked(body: bytes, encoding: str) -> bytes:
    """What a packed body holds, which is no more than :data:`BODY_BYTES`."""
    if encoding in {"", "identity"}:
        return body
    if encoding not in _WINDOWS:
        raise Answer(415, "gzip and deflate are unpacked here")
    unpacking = zlib.decompressobj(_WINDOWS[encoding])
    try:
        found = unpacking.decompress(body, BODY_BYTES + 1)
    except zlib.error:
        raise Answer(400, "the body cannot be unpacked") from None
    if len(found) > BODY_BYTES:
        raise Answer(413, f"a body of {BODY_BYTES} bytes is the largest that is taken here")
    if not unpacking.eof:
        raise Answer(400, "the body is not whole")
    return found
