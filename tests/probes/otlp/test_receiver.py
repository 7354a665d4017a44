"""The receiver takes what exporters send, and answers whatever else comes without harm."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes.otlp import receiver as receiving
from probes.otlp.decode import Export
from probes.otlp.receiver import BODY_BYTES, METRICS_PATH, Place, Receiver, place
from tests.probes.otlp.messages import BOUNDS, explicit, message

PROTOBUF, JSON = {"Content-Type": "application/x-protobuf"}, {"Content-Type": "application/json"}
BODY = explicit(message(), [1] * (len(BOUNDS) + 1), started=1, at=2).SerializeToString()


class Taken:
    """What was handed on."""

    def __init__(self) -> None:
        self.exports: list[Export] = []
        self.peers: list[tuple[str, int]] = []

    def __call__(self, exports: Sequence[Export], peer: tuple[str, int]) -> None:
        self.exports += exports
        self.peers.append(peer)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Receiver, Taken]]:
    taken = Taken()
    made = Receiver(Place("127.0.0.1", free_port()), taken)
    assert await made.open() is None
    try:
        yield made, taken
    finally:
        await made.close()


@asynccontextmanager
async def client(made: Receiver) -> AsyncIterator[httpx.AsyncClient]:
    url = made.where.url.removesuffix(METRICS_PATH)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as one:
        yield one


@pytest.mark.parametrize(
    ("packed", "encoding"), [(BODY, None), (gzip.compress(BODY), "gzip"), (zlib.compress(BODY), "deflate")]
)
async def test_protobuf_is_taken_as_it_is_and_packed(packed: bytes, encoding: str | None) -> None:
    async with listening() as (made, taken), client(made) as one:
        headers = PROTOBUF if encoding is None else {**PROTOBUF, "Content-Encoding": encoding}
        answer = await one.post(METRICS_PATH, content=packed, headers=headers)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert taken.exports[0].points[0].route == "/items"
        assert taken.peers[0][0] == "127.0.0.1"


async def test_json_is_taken_and_one_connection_serves_many_exports() -> None:
    said = json_format.MessageToJson(explicit(message(), [1] * 15, started=1, at=2)).encode()
    async with listening() as (made, taken), client(made) as one:
        for _ in range(3):
            answer = await one.post(METRICS_PATH, content=said, headers=JSON)
            assert (answer.status_code, answer.json()) == (200, {})
        assert len(taken.exports) == 3
        assert len(set(taken.peers)) == 1


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
async def test_what_else_exporters_send_is_answered_and_thrown_away(path: str) -> None:
    async with listening() as (made, taken), client(made) as one:
        answer = await one.post(path, content=b"anything", headers=PROTOBUF)
        assert (answer.status_code, answer.content) == (200, b"")
        assert taken.exports == []


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", METRICS_PATH, b"", {}, 405),
        ("POST", "/", b"x", PROTOBUF, 404),
        ("POST", METRICS_PATH, BODY, {"Content-Type": "text/html"}, 415),
        ("POST", METRICS_PATH, BODY, {**PROTOBUF, "Content-Encoding": "br"}, 415),
        ("POST", METRICS_PATH, BODY, {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        ("POST", METRICS_PATH, gzip.compress(BODY)[:-9], {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        ("POST", METRICS_PATH, b"\xff\xff\xff", PROTOBUF, 400),
        ("POST", METRICS_PATH, b"{", JSON, 400),
        ("POST", METRICS_PATH, bytes(BODY_BYTES + 1), PROTOBUF, 413),
        ("POST", METRICS_PATH, gzip.compress(bytes(50 * BODY_BYTES)), {**PROTOBUF, "Content-Encoding": "gzip"}, 413),
    ],
)
async def test_what_cannot_be_taken_is_refused_by_its_status(
    method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    async with listening() as (made, taken), client(made) as one:
        answer = await one.request(method, path, content=body, headers=headers)
        assert answer.status_code == status
        assert taken.exports == []
        again = await one.post(METRICS_PATH, content=BODY, headers=PROTOBUF)
        assert again.status_code == 200


@pytest.mark.parametrize(("path", "status"), [(METRICS_PATH, 405), ("/", 404)])
async def test_a_health_check_by_head_is_answered_without_a_body(path: str, status: int) -> None:
    async with listening() as (made, _), client(made) as one:
        for _ in range(2):
            answer = await one.head(path)
            assert (answer.status_code, answer.content) == (status, b"")


async def test_who_stops_in_the_middle_of_a_body_holds_up_nobody() -> None:
    async with listening() as (made, taken), client(made) as one:
        stopped = []
        for held in (b"half", bytes(2 * receiving.FREE_BYTES)):
            for _ in range(receiving.AT_ONCE + 1):
                stopped.append(await asyncio.open_connection(made.where.host, made.where.port))
                stopped[-1][1].write(_head(BODY_BYTES) + held)
                await stopped[-1][1].drain()
        async with asyncio.timeout(60):
            while not made._turns.locked():
                await asyncio.sleep(0.01)
        assert (await one.post(METRICS_PATH, content=BODY, headers=PROTOBUF)).status_code == 200
        assert made._turns.locked(), "they are still in the middle of theirs"
        assert len(taken.exports) == 1
        for _, writer in stopped:
            writer.close()


async def test_what_was_received_is_handed_on_outside_of_the_loop() -> None:
    threads: list[threading.Thread] = []
    made = Receiver(Place("127.0.0.1", free_port()), lambda *_: threads.append(threading.current_thread()))
    assert await made.open() is None
    async with client(made) as one:
        assert (await one.post(METRICS_PATH, content=BODY, headers=PROTOBUF)).status_code == 200
    await made.close()
    assert threads
    assert threading.current_thread() not in threads


async def test_who_sends_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(receiving, "IDLE_SECONDS", 0.2)
    async with listening() as (made, taken):
        for begun in (b"", b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n", _head(1000) + b"half"):
            reader, writer = await asyncio.open_connection(made.where.host, made.where.port)
            writer.write(begun)
            async with asyncio.timeout(60):
                assert await reader.read() == b""
            writer.close()
        assert taken.peers == []


async def test_more_connections_than_processes_send_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "CONNECTIONS", 2)
    async with listening() as (made, _):
        kept = [await asyncio.open_connection(made.where.host, made.where.port) for _ in range(2)]
        for _, writer in kept:
            writer.write(_head(len(BODY)) + BODY)
        for reader, _ in kept:
            async with asyncio.timeout(60):
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        reader, writer = await asyncio.open_connection(made.where.host, made.where.port)
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        for _, one in (*kept, (reader, writer)):
            one.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.sampled_from([b"\r\n", b"POST /v1/metrics HTTP/1.1\r\n"])), max_size=6
    )
)
def test_any_bytes_are_answered_or_hung_up_on(pieces: list[bytes]) -> None:
    async def send() -> None:
        async with listening() as (made, _), client(made) as one:
            reader, writer = await asyncio.open_connection(made.where.host, made.where.port)
            writer.write(b"".join(pieces))
            writer.write_eof()
            async with asyncio.timeout(60):
                answer = b""
                with suppress(ConnectionResetError):
                    answer = await reader.read()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
            writer.close()
            assert (await one.post(METRICS_PATH, content=BODY, headers=PROTOBUF)).status_code == 200

    asyncio.run(send())


async def test_closing_ends_connections_and_frees_the_port() -> None:
    async with listening() as (made, _):
        reader, writer = await asyncio.open_connection(made.where.host, made.where.port)
        busy = Receiver(made.where, Taken())
        failure = await busy.open()
        assert failure is not None
        assert f"127.0.0.1:{made.where.port}" in failure.what
        assert "another program" in failure.hint
        await made.close()
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()
        assert await busy.open() is None
        await busy.close()


async def test_an_address_of_another_machine_is_one_sentence() -> None:
    failure = await Receiver(Place("192.0.2.1", free_port()), Taken()).open()
    assert failure is not None
    assert "address of this machine" in failure.hint


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:4318", "http://127.0.0.1:4318/v1/metrics"),
        ("[::1]:4318", "http://[::1]:4318/v1/metrics"),
    ],
)
def test_a_place_is_an_address_and_a_port(text: str, url: str) -> None:
    assert place(text).url == url


@pytest.mark.parametrize(
    "text", ["", "4318", "localhost:4318", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "0.0.0.0:4318", "[::]:1"]
)
def test_what_is_no_single_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        place(text)


def _head(length: int) -> bytes:
    return (
        b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Length: %d\r\n\r\n" % length
    )
