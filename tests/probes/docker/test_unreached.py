"""Why an engine cannot be reached, and what to check, for each way to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from probes.base import Failure
from probes.target import Unreadable
from probes.targets.docker import contexts
from probes.targets.docker.client import EngineClient
from probes.targets.docker.failures import unreached


async def test_permission_denied_names_the_group_docker():
    failure = unreached("/var/run/docker.sock", "GET /version", PermissionError(13, "Permission denied"))
    assert failure.code == "permission-denied"
    assert "group docker" in failure.hint


@asynccontextmanager
async def answering(words: bytes):
    """A port of this machine where everybody gets these words, and the end; its number."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(words)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def failing(url: str, environment: dict[str, str]) -> Failure:
    place = contexts.resolve("docker", {"DOCKER_HOST": url, **environment})
    client = EngineClient(place.endpoint, read_only=True)
    try:
        with pytest.raises(Unreadable) as unreadable:
            await client.open()
    finally:
        await client.close()
    return unreadable.value.failure


_GO = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


@pytest.mark.parametrize(
    ("words", "environment", "code", "why", "hint"),
    [
        (b"", {}, "unreachable", "disconnected", "address and port"),
        (_GO, {}, "tls", "takes TLS only", "DOCKER_TLS_VERIFY=1"),
        (_GO, {"DOCKER_TLS_VERIFY": "1"}, "tls", "WRONG_VERSION_NUMBER", "speaks no TLS there"),
        (b"", {"DOCKER_TLS_VERIFY": "1"}, "tls", "EOF", "ca.pem"),
    ],
)
async def test_a_port_that_is_no_engine_s_is_named_with_what_to_check(words, environment, code, why, hint):
    async with answering(words) as port:
        failure = await failing(f"tcp://127.0.0.1:{port}", environment)
    assert failure.code == code
    assert why in failure.why
    assert hint in failure.hint


async def test_a_port_where_nothing_listens_asks_for_address_and_port_not_to_start_docker_here():
    async with answering(b"") as port:
        pass
    failure = await failing(f"tcp://127.0.0.1:{port}", {})
    assert failure.why == f"nothing answers at http://127.0.0.1:{port}"
    assert "address and port" in failure.hint
    assert "systemctl" not in failure.hint


async def test_a_host_without_an_address_is_named_as_such():
    failure = await failing("tcp://nohost.invalid:2375", {})
    assert "the name in http://nohost.invalid:2375 is not known here" in failure.why
    assert "DOCKER_HOST" in failure.hint


@pytest.mark.parametrize("error", [ConnectionRefusedError(), FileNotFoundError(), ConnectionResetError(), EOFError()])
async def test_an_engine_behind_ssh_is_called_by_its_own_name_and_started_there(error):
    failure = unreached("ssh://ops@box", "GET /version", error)
    assert "ssh://ops@box" in failure.why
    assert failure.hint.startswith("start Docker on that machine")


async def test_a_firewall_that_forbids_the_way_is_no_group_that_is_missing():
    failure = unreached("http://10.0.0.1:2375", "GET /version", PermissionError(1, "Operation not permitted"))
    assert failure.code == "unreachable"
    assert "group" not in failure.hint
