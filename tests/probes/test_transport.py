"""The gate below every client."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.target import ReadOnly
from probes.transport import Endpoint, GatedTransport, harmless, harmless_in_cluster, open_client


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


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/n/pods/p/exec",
        "/api/v1/namespaces/n/pods/p/exec/",
        "/api/v1/namespaces/n/pods/p/%65xec",
        "/k8s/clusters/c-1/api/v1/namespaces/n/pods//p//attach",
        "/api/v1/namespaces/n/pods/p/portforward?ports=80",
        "/api/v1/nodes/n/proxy/exec/ns/pod/container",
        "/api/v1/nodes/n/proxy/run/ns/pod/container",
        "/api/v1/nodes/n/proxy/cri/exec/token",
        "/api/v1/nodes/n/proxy",
        "/api/v1/nodes/n/proxy/stats/summary%2F..%2F..%2Fexec",
        "/api/v1/nodes/n/proxy/metrics/..%2Fexec",
    ],
)
def test_a_get_of_a_cluster_that_takes_over_is_no_read(path):
    assert not harmless_in_cluster(httpx.Request("GET", f"https://cluster{path}"))


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/pods?watch=1",
        "/api/v1/namespaces/n/pods/exec",
        "/api/v1/namespaces/n/pods/session",
        "/apis/apps/v1/namespaces/n/deployments/attach",
        "/api/v1/namespaces/n/pods/p/log?follow=true",
        "/api/v1/namespaces/n/pods/p:8000/proxy/session",
        "/api/v1/nodes/n/proxy/stats/summary",
        "/api/v1/nodes/n/proxy/metrics/cadvisor",
    ],
)
def test_reads_of_a_cluster_pass_whatever_their_objects_are_called(path):
    request = httpx.Request("GET", f"https://cluster{path}")
    assert harmless_in_cluster(request)
    assert not harmless_in_cluster(httpx.Request("POST", request.url))
    assert not harmless_in_cluster(httpx.Request("GET", request.url, headers={"Upgrade": "websocket"}))
