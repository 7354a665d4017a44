"""The frames of a forwarded port, good and bad; real pods are in ``test_forward.py``."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Sequence

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping

from probes.target import Unreadable
from probes.targets.kubernetes import reaching
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.reaching import Forwarded
from probes.targets.kubernetes.servers import Spot
from tests.probes.kubernetes.scripted import Request, answer, refusal, scripted

PORT = b"\x38\x15"
SPOT = Spot("10.0.0.2", 5432, "shop", "db-0")


def frames(*events: Event) -> bytes:
    connection = Connection(ConnectionType.SERVER)
    return b"".join(connection.send(one) for one in events)


async def carried(sent: Sequence[bytes], *, abort: bool = False) -> tuple[bytes, str | None]:
    """What came out of the stream until its end, and what was said of that."""
    done = asyncio.Event()

    async def serve(request: Request, writer: asyncio.StreamWriter) -> None:
        seal = hashlib.sha1(f"{request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode())
        head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        head += f"sec-websocket-accept: {base64.b64encode(seal.digest()).decode()}\r\n"
        writer.write(f"{head}sec-websocket-protocol: v4.channel.k8s.io\r\n\r\n".encode())
        for piece in sent:
            writer.write(piece)
            await writer.drain()
        if abort:
            writer.transport.abort()
        done.set()

    async with scripted(serve) as script:
        client = ApiClient(script.place, read_only=False)
        way = Forwarded(client, SPOT)
        try:
            stream = await way.open()
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(60):
                await done.wait()
                came = bytearray()
                while data := await loop.sock_recv(stream, 4096):
                    came += data
            stream.close()
            return bytes(came), None if way.failure is None else way.failure.why
        finally:
            await way.close()
            await client.close()


async def test_data_in_parts_comes_out_whole_and_without_the_ports_number() -> None:
    sent = frames(
        Message(data=b"\x00" + PORT),
        Message(data=b"\x01" + PORT),
        Message(data=b"\x00ab"),
        Ping(payload=b"x"),
        Message(data=b"\x00c", message_finished=False),
        BytesMessage(data=b"d", message_finished=True),
        Message(data=b"\x07unknown"),
        CloseConnection(code=1000),
    )
    assert (await carried([sent]))[0] == b"abcd"
    assert (await carried([sent[at : at + 1] for at in range(len(sent))]))[0] == b"abcd"


async def test_what_the_kubelet_says_of_the_end_is_told_without_its_colours() -> None:
    sent = frames(Message(data=b"\x01" + PORT), Message(data=b"\x01connection \x1b[31mrefused"))
    came, why = await carried([sent])
    assert came == b""
    assert why == "the pod's port cannot be forwarded: connection refused"


@pytest.mark.parametrize("sent", [[], [b"\xff" * 40], [frames(Message(data=b"\x00"))]])
async def test_a_cut_ends_the_stream(sent: list[bytes]) -> None:
    assert (await carried(sent, abort=True))[0] == b""


async def test_a_way_that_failed_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(reaching, "monotonic", lambda: now)
    forbidden = answer(403, refusal(403, 'pods "db-0" is forbidden: User "x" cannot get resource "pods/portforward" in '
                                    'API group "" in the namespace "shop"'))  # fmt: skip
    async with scripted(forbidden) as script:
        client = ApiClient(script.place, read_only=False)
        way = Forwarded(client, SPOT)
        try:
            for wait, asked in ((0.0, 1), (5.0, 1), (6.0, 2), (11.0, 2), (10.0, 3), (39.0, 3), (2.0, 4)):
                now += wait
                with pytest.raises(Unreadable, match="the right `get pods/portforward` is missing"):
                    await way.open()
                assert len(script.requests) == asked
        finally:
            await client.close()


async def test_a_pods_name_that_an_endpointslice_made_up_leads_to_no_other_path() -> None:
    async with scripted(answer(404, refusal(404, "no such pod"))) as script:
        client = ApiClient(script.place, read_only=False)
        try:
            for name in ("a/../../../kube-system/pods/b", "b/attach#", "b/exec?command=id&x="):
                with pytest.raises(Unreadable):
                    await Forwarded(client, SPOT._replace(pod=name)).open()
            for one in script.requests:
                assert one.path.startswith("/api/v1/namespaces/shop/pods/")
                assert one.path.removeprefix("/api/v1/namespaces/shop/pods/").count("/") == 1
                assert one.path.endswith("/portforward?ports=5432")
        finally:
            await client.close()
