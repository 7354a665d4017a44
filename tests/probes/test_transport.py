"""The gate below every client."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.target import ReadOnly
from probes.transport import Endpoint, GatedTransport, harmless, open_client


class Recording(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.seen: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.method)
        return httpx.Response(200)


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=12))
async def test_nothing_but_get_and_head_passes_in_read_only_mode(method):
    inner = Recording()
    async with httpx.AsyncClient(transport=GatedTransport(inner, read_only=True)) as client:
        if method in {"GET", "HEAD"}:
            await client.request(method, "http://docker/containers/json")
            assert inner.seen == [method]
        else:
            with pytest.raises(ReadOnly):
                await client.request(method, "http://docker/containers/json")
            assert inner.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1.41/containers/x/attach/ws",
        "/containers/x/attach",
        "/session",
        "/grpc",
        "/exec/x/start",
        "/containers/x/wait",
    ],
)
def test_a_get_that_takes_the_connection_over_is_no_read(path):
    assert not harmless(httpx.Request("GET", f"http://docker{path}"))
    assert not harmless(httpx.Request("GET", "http://docker/", headers={"Upgrade": "tcp"}))


@pytest.mark.parametrize(
    "path", ["/v1.41/containers/json", "/containers/wait/json", "/containers/attach/logs", "/_ping"]
)
def test_reads_pass_whatever_a_container_is_called(path):
    assert harmless(httpx.Request("GET", f"http://docker{path}"))


async def test_writes_pass_where_they_are_allowed():
    inner = Recording()
    async with httpx.AsyncClient(transport=GatedTransport(inner, read_only=False)) as client:
        await client.post("http://docker/containers/x/restart")
    assert inner.seen == ["POST"]


def test_a_certificate_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError):
        open_client(Endpoint(url="https://127.0.0.1:1", ca=str(tmp_path / "none.pem")), read_only=True)
