"""A command in a container over a WebSocket: the channels of ``v5.channel.k8s.io`` and ``v4.channel.k8s.io``.

wsproto speaks the frames on the connection that httpx opened: so the request passes the same gate, proxy, TLS and
credentials as every other. (``websockets`` and ``httpx-ws`` open connections or tasks of their own.)
The channels: https://kubernetes.io/docs/reference/using-api/ and k8s.io/apimachinery's ``remotecommand`` constants.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import Any

import httpcore
import httpx
import msgspec
import wsproto
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, TextMessage

from probes import text
from probes.base import Failure, Frozen
from probes.target import Unreadable

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR, _CLOSE = 0, 1, 2, 3, 255
_CHUNK = 32 << 10
_WORDS_LIMIT = 8 << 10
_NO_PROGRAM = ("executable file not found", "no such file or directory")  # runc's and crun's words


class _Cause(Frozen, frozen=True):
    reason: str = ""
    message: str = ""


class _Details(Frozen, frozen=True):
    causes: tuple[_Cause, ...] = ()


class _End(Frozen, frozen=True):
    status: str = ""
    message: str | None = None
    reason: str | None = None
    details: _Details | None = None


def query(container: str, argv: Sequence[str], *, stdin: bool) -> dict[str, object]:
    """The query of an exec."""
    said: dict[str, object] = {"container": container, "stdout": "true", "stderr": "true", "command": tuple(argv)}
    return {**said, "stdin": "true"} if stdin else said


def handshake() -> dict[str, str]:
    """The headers of an opening handshake (RFC 6455, section 4.1)."""
    return {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
        "sec-websocket-protocol": f"{V5}, {V4}",
    }


async def converse(response: httpx.Response, what: str, program: str, stdin: bytes, limit: int) -> bytes:
    """Feeds ``stdin``, collects standard output until the command ends. The caller sets the deadline.

    A server that speaks v4 only (before 1.30) cannot be told that standard input ends. Raises :class:`Unreadable`,
    and ``ConnectionError`` where the connection was cut.
    """
    stream: Any = response.extensions["network_stream"]
    connection = Connection(ConnectionType.CLIENT)
    told = _Told(what, program, limit)
    if stdin:
        for at in range(0, len(stdin), _CHUNK):
            await stream.write(connection.send(Message(data=bytes([_STDIN]) + stdin[at : at + _CHUNK])))
        if response.headers.get("sec-websocket-protocol") == V5:
            await stream.write(connection.send(Message(data=bytes([_CLOSE, _STDIN]))))
    try:
        while not told.closed:
            data = await stream.read(1 << 16)
            connection.receive_data(data or None)
            for event in connection.events():
                if isinstance(event, Ping):
                    await stream.write(connection.send(event.response()))
                else:
                    told.take(event)
            if not data:
                break
    except (wsproto.utilities.ProtocolError, httpcore.NetworkError) as error:
        raise ConnectionError(f"the WebSocket was cut: {error}") from None
    finally:
        await stream.aclose()
    return told.output()


class _Told:
    """What came over the channels. A message may come in parts: only its first has the channel's number."""

    def __init__(self, what: str, program: str, limit: int) -> None:
        self._what = what
        self._program = program
        self._limit = limit
        self._channel: int | None = None
        self._kept = {_STDOUT: bytearray(), _STDERR: bytearray(), _ERROR: bytearray()}
        self.closed = False

    def take(self, event: object) -> None:
        """Raises :class:`Unreadable` when standard output exceeds its limit."""
        if isinstance(event, CloseConnection):
            self.closed = True
        if not isinstance(event, (BytesMessage, TextMessage)):
            return
        data = bytes(event.data) if isinstance(event, BytesMessage) else event.data.encode()
        if self._channel is None and data:
            self._channel, data = data[0], data[1:]
        kept = self._kept.get(-1 if self._channel is None else self._channel)
        if kept is not None:
            kept += data
            if self._channel != _STDOUT:
                del kept[:-_WORDS_LIMIT]
            elif len(kept) > self._limit:
                why = f"it printed more than {self._limit} bytes"
                raise Unreadable(Failure("too-large", self._what, why, ""))
        if event.message_finished:
            self.closed = self.closed or self._channel == _ERROR  # the server's last word
            self._channel = None

    def output(self) -> bytes:
        """Standard output, where the command ended well."""
        try:
            end = msgspec.json.decode(bytes(self._kept[_ERROR]), type=_End)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ConnectionError("the connection ended before the command did") from None
        if end.status == "Success":
            return bytes(self._kept[_STDOUT])
        lines = [one for one in self._kept[_STDERR].decode("utf-8", "replace").splitlines() if one.strip()]
        said = text.line(lines[-1] if lines else end.message or end.reason or "it failed", 300)
        codes = [one.message for one in (end.details or _Details()).causes if one.reason == "ExitCode"]
        if any(one in (end.message or "") for one in _NO_PROGRAM) or codes == ["127"]:
            why = f"there is no program {text.line(self._program, 120)} in it"
            raise Unreadable(Failure("no-command", self._what, why, ""))
        if not codes:  # the command's end is not known: what failed is the way to it
            raise Unreadable(Failure("server-error", self._what, said, ""))
        why = f"it ended with {text.clean(codes[0], 8)}: {said}"
        raise Unreadable(Failure("command-failed", self._what, why, ""))
