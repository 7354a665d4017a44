"""Ways to a pod: its address where that leads to it, else through the API server; programs inside where allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from probes.base import Failure, ReplicaId
from probes.http import loop_probe
from probes.model import Replica
from probes.target import Answer, Unreadable
from probes.targets.kubernetes.access import ClusterAccess

APP = ReplicaId("shop/web-1/app")


class Api:
    """An API server whose proxy gives one answer."""

    def __init__(self, answer: Answer | Failure) -> None:
        self.said = answer
        self.asked: list[str] = []
        self.down = False
        self.takes_seconds = 0.0

    async def answer(self, path: str, *, timeout_seconds: float = 5.0) -> Answer:
        self.asked.append(path)
        if isinstance(self.said, Failure):
            raise Unreadable(self.said)
        return self.said

    async def version(self, *, timeout_seconds: float = 5.0) -> str:
        if self.down:
            raise Unreadable(Failure("timeout", "GET /version", "it did not answer in time", ""))
        await asyncio.sleep(self.takes_seconds)
        return "v1.34.4"

    async def execute(self, *_: Any, **__: Any) -> bytes:
        raise Unreadable(Failure("no-command", "", "there is no such program", ""))


def access(api: Any, address: str | None = "127.0.0.1", **more: Any) -> ClusterAccess:
    replica = Replica(id=APP, name="web-1", state="running", addresses={"pod": address} if address else {})
    allowed = {"execute": False, "read_only": False, **more}
    return ClusterAccess(api, lambda one: replica if one == APP else None, **allowed)


@asynccontextmanager
async def service(body: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        if first:
            asked.append(first)
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def test_an_address_that_gives_the_pods_own_answer_is_asked_directly_from_then_on() -> None:
    api = Api(Answer(404, b"nobody", 0.01))
    async with service(b"nobody") as (port, asked):
        way = access(api)
        for _ in range(3):
            assert (await way.get(APP, port, "/x")).status == 404
        assert way.reaches(APP)
    assert len(api.asked) == 1
    assert [one.split()[1] for one in asked].count(b"/x") == 3


async def test_a_stranger_at_the_pods_address_is_never_taken_for_it() -> None:
    api = Api(Answer(404, b"the pod's", 0.01))
    async with service(b"a printer's") as (port, asked):
        way = access(api)
        assert (await way.get(APP, port, "/health")).body == b"the pod's"
        assert (await way.get(APP, port, "/health")).body == b"the pod's"
    assert len(asked) == 1
    assert api.asked[-1] == f"/api/v1/namespaces/shop/pods/web-1:{port}/proxy/health"


async def test_what_the_api_server_fails_is_not_told_of_the_service() -> None:
    down = Api(Answer(None, b"", 5.0, "timeout"))
    down.down = True
    for api in (down, Api(Failure("unreachable", "GET", "the connection failed", ""))):
        assert (await loop_probe(access(api, None), APP, 8000)).error in {"api-timeout", "api-unreachable"}
    slow = await loop_probe(access(Api(Answer(None, b"", 5.0, "timeout")), None), APP, 8000)
    assert slow.error == "timeout"


async def test_a_service_is_not_blamed_for_a_time_out_of_an_api_server_that_is_as_slow() -> None:
    api = Api(Answer(status=None, body=b"", took_seconds=0.1, error="timeout"))
    told = await access(api, address=None).get(APP, 8000, "/health")
    assert told.error == "timeout"
    api.takes_seconds = 0.1
    with pytest.raises(Unreadable) as raised:
        await access(api, address=None).get(APP, 8000, "/health")
    assert raised.value.failure.code == "api-timeout"


async def test_nothing_is_run_inside_unless_it_was_allowed() -> None:
    for more in ({}, {"execute": True, "read_only": True}):
        for attempt in (access(Api(Answer(404, b"", 0)), **more).read(APP, "/etc/hosts"),):
            with pytest.raises(Unreadable) as caught:
                await attempt
            assert caught.value.failure.code in {"not-allowed", "read-only"}
    with pytest.raises(Unreadable) as missing:
        await access(Api(Answer(404, b"", 0)), execute=True).stacks(APP, 7)
    assert missing.value.failure.code == "not-installed"
    with pytest.raises(Unreadable, match="gone"):
        await access(Api(Answer(404, b"", 0))).get(ReplicaId("shop/gone/app"), 8000, "/")


async def test_names_of_the_cluster_are_not_dialled_from_outside() -> None:
    with pytest.raises(Unreadable, match="not reached from here"):
        async with access(Api(Answer(404, b"", 0)), None).dial(APP, "db.shop.svc", 5432):
            raise AssertionError
