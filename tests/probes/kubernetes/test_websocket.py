"""The frames of a command, good and bad; real containers are in ``test_exec.py``."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Message, Ping

from probes.target import Unreadable
from probes.targets.kubernetes.client import ApiClient
from tests.probes.kubernetes.scripted import Request, scripted

SUCCESS = b"\x03" + json.dumps({"status": "Success"}).encode()

FAILURE = b"\x03" + json.dumps({"status": "Failure", "message": "it \x1b[31mbroke"}).encode()


def frames(*events: Any) -> bytes:
    connection = Connection(ConnectionType.SERVER)
    return b"".join(connection.send(one) for one in events)


async def spoken(sent: bytes | Sequence[bytes], *, abort: bool = False, **rest: Any) -> bytes | str:
    """What a command gave, or its failure's code and reason."""

    async def serve(request: Request, writer: asyncio.StreamWriter) -> None:
        seal = hashlib.sha1(f"{request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode())
        head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        head += f"sec-websocket-accept: {base64.b64encode(seal.digest()).decode()}\r\n"
        writer.write(f"{head}sec-websocket-protocol: v5.channel.k8s.io\r\n\r\n".encode())
        for piece in [sent] if isinstance(sent, bytes) else sent:
            writer.write(piece)
            await writer.drain()
        if abort:
            await asyncio.sleep(0)
            writer.transport.abort()
        elif not sent:
            writer.close()

    async with scripted(serve) as script:
        client = ApiClient(script.place, read_only=False)
        try:
            return await client.execute("n", "p", "c", ["cmd"], **{"timeout_seconds": 1.0, **rest})
        except Unreadable as unreadable:
            return f"{unreadable.failure.code}: {unreadable.failure.why}"
        finally:
            await client.close()


async def test_output_in_parts_is_put_together():
    sent = frames(
        Message(data=b"\x01", message_finished=True),
        Message(data=b"\x01ab"),
        Message(data=b"\x02noise"),
        Ping(payload=b"x"),
        Message(data=b"\x01c", message_finished=False),
        Message(data=b"d", message_finished=True),
        Message(data=b"\x09unknown"),
        Message(data=SUCCESS),
    )
    assert await spoken(sent) == b"abcd"
    assert await spoken([sent[at : at + 1] for at in range(len(sent))]) == b"abcd"


@pytest.mark.parametrize(
    ("sent", "abort", "expected"),
    [
        (frames(Message(data=b"\x01half")), True, "unreachable"),
        (frames(Message(data=b"\x01half"), CloseConnection(code=1011, reason="bye")), False, "unreachable"),
        (b"", False, "unreachable"),
        (b"\xff" * 40, False, "unreachable"),
        (frames(Message(data=b"\x03not json")), False, "unreachable"),
        (frames(Message(data=b"\x01" + b"x" * 3000), Message(data=SUCCESS)), False, "too-large"),
        (frames(Message(data=b"\x01silence")), False, "timeout"),
        (frames(Message(data=FAILURE)), False, "server-error: it broke"),
    ],
)  # fmt: skip
async def test_what_is_no_good_end_is_a_failure(sent, abort, expected):
    found = await spoken(sent, abort=abort, limit=2000)
    assert isinstance(found, str)
    assert found.startswith(expected)


@given(st.binary(max_size=80))
async def test_any_bytes_end_in_output_or_a_failure(data):
    found = await spoken(data + frames(Message(data=SUCCESS)), abort=True)
    assert isinstance(found, str | bytes)
