"""A port of a pod, forwarded through the API server over a WebSocket, as one end of a pair of sockets.

The other end is handed to whoever speaks with the port. A pair has no address: nobody else on this machine can use it,
as everybody could a listener on loopback, and TLS goes through it as it is.

The channels are the kubelet's (k8s.io/kubelet, ``pkg/cri/streaming/portforward``): for the first port 0 has its data
and 1 its error, each of which begins with the port's number in two bytes.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpcore
import httpx
import wsproto
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, TextMessage

_DATA, _ERROR = 0, 1
_NUMBER_BYTES = 2
_CHUNK = 32 << 10
_WORDS_LIMIT = 2 << 10


class Forward:
    """Carries bytes until one side ends."""

    def __init__(self, response: httpx.Response) -> None:
        """``response``: a connection that was upgraded, which :meth:`run` closes."""
        self._response = response
        self._stream: Any = response.extensions["network_stream"]
        self._connection = Connection(ConnectionType.CLIENT)
        self._writing = asyncio.Lock()
        self._channel: int | None = None
        self._skip = {_DATA: _NUMBER_BYTES, _ERROR: _NUMBER_BYTES}
        self._words = bytearray()
        self.theirs, self._ours = socket.socketpair()
        self._ours.setblocking(False)
        self.theirs.setblocking(False)
        self.answered = False
        """Whether the port said anything."""

    @property
    def error(self) -> str:
        """What the kubelet said of why it ended; empty where it said nothing."""
        return self._words.decode("utf-8", "replace")

    async def run(self) -> None:
        """Carries until the port, whoever speaks with it, or the connection ends; closes all of it."""
        tasks = [asyncio.create_task(self._outwards()), asyncio.create_task(self._inwards())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._ours.close()
            await self._response.aclose()

    async def _outwards(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._ours, _CHUNK):
            await self._write(self._connection.send(Message(data=bytes([_DATA]) + data)))

    async def _inwards(self) -> None:
        try:
            while True:
                data = await self._stream.read(1 << 16)
                self._connection.receive_data(data or None)
                for event in self._connection.events():
                    if isinstance(event, Ping):
                        await self._write(self._connection.send(event.response()))
                    elif isinstance(event, CloseConnection):
                        return
                    elif isinstance(event, (BytesMessage, TextMessage)):
                        await self._take(event)
                if not data or self._words:
                    return
        except (wsproto.utilities.ProtocolError, httpcore.NetworkError):
            return  # it was cut: whoever reads the other end sees that

    async def _take(self, event: BytesMessage | TextMessage) -> None:
        """A message may come in parts: only its first has the channel's number."""
        data = bytes(event.data) if isinstance(event, BytesMessage) else event.data.encode()
        if self._channel is None and data:
            self._channel, data = data[0], data[1:]
        if self._channel in self._skip:
            skipped = min(self._skip[self._channel], len(data))
            self._skip[self._channel] -= skipped
            data = data[skipped:]
        if self._channel == _DATA and data:
            self.answered = True
            await asyncio.get_running_loop().sock_sendall(self._ours, data)
        elif self._channel == _ERROR:
            self._words += data[: _WORDS_LIMIT - len(self._words)]
        if event.message_finished:
            self._channel = None

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            await self._stream.write(data)
