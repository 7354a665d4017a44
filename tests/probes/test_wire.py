"""One GET to a service that answers well, badly or not at all."""

from __future__ import annotations

import asyncio
import socket

import pytest

from probes import wire


async def ask(answer: bytes, *, path: str = "/x", timeout_seconds: float = 5.0, hold: bool = False):
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if hold:
            await asyncio.sleep(30)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        return await wire.get("127.0.0.1", port, path, timeout_seconds, "fastops/1"), heard
    finally:
        server.close()


async def test_a_status_and_a_body_come_back_and_the_request_is_a_get():
    answer, heard = await ask(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nhi")
    assert (answer.status, answer.body, answer.error) == (404, b"hi", None)
    assert heard[0].startswith(b"GET /x HTTP/1.1\r\n")
    assert b"fastops/1" in heard[0]


async def test_a_chunked_body_is_put_together():
    answer, _ = await ask(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert answer.body == b"abc"


async def test_a_body_is_capped():
    answer, _ = await ask(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (wire.BODY_LIMIT + 5000))
    assert len(answer.body) == wire.BODY_LIMIT


@pytest.mark.parametrize(
    ("said", "error"), [(b"", "reset"), (b"SSH-2.0-x\r\n\r\n", "invalid"), (b"\x15\x03\x01\0\x02", "invalid")]
)
async def test_what_is_no_answer_is_a_word(said, error):
    answer, _ = await ask(said)
    assert (answer.status, answer.error) == (None, error)


async def test_a_silent_service_times_out_and_a_head_without_its_body_is_an_answer():
    answer, _ = await ask(b"", timeout_seconds=0.2, hold=True)
    assert (answer.status, answer.error) == (None, "timeout")
    answer, _ = await ask(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", timeout_seconds=0.2, hold=True)
    assert (answer.status, answer.error) == (200, None)


async def test_nobody_listening_is_refused_and_a_bad_path_is_invalid():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert (await wire.get("127.0.0.1", port, "/", 2.0, "x")).error == "refused"
    answer, _ = await ask(b"HTTP/1.1 200 OK\r\n\r\n", path="/a b\r\nx: y")
    assert answer.error == "invalid"
