"""Services are asked what they are: few, bounded, by GET alone, and not where nobody answers or asking is forbidden."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from probes.base import Failure
from probes.target import Answer, Unreadable
from probes.targets.kubernetes import documents as module
from probes.targets.kubernetes.documents import Documents
from tests.probes.kubernetes._cluster import Given, container, owner, pod, running

FASTAPI = json.dumps({"openapi": "3.1.0", "info": {"title": "shop"}, "paths": {}}).encode()
OTHER = json.dumps({"openapi": "3.1.0", "info": {}, "paths": {"/x": {"get": {"operationId": "listThings"}}}}).encode()


class Services:
    """Answers by port, or by what a test gives; counts."""

    def __init__(self, by_port: dict[int, Any], took_seconds: float = 0.0) -> None:
        self.by_port = by_port
        self.took_seconds = took_seconds
        self.asked: list[str] = []
        self.at_once = self.most = 0

    async def answer(self, path: str, *, timeout_seconds: float = 5.0) -> Answer:
        self.asked.append(path)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(self.took_seconds)
        self.at_once -= 1
        port = int(path.partition("/proxy/")[0].rpartition(":")[2])
        told = self.by_port.get(port)
        if isinstance(told, Exception):
            raise told
        if isinstance(told, bytes):
            return Answer(status=200, body=told, took_seconds=0.0)
        if isinstance(told, int):
            return Answer(status=told, body=b"", took_seconds=0.0)
        return Answer(status=None, body=b"", took_seconds=0.0, error=told or "unreachable")


def given(count: int = 1, ports: tuple[int, ...] = (8000,)) -> Given:
    """Workloads whose command stands in their image."""
    declared = [{"containerPort": one} for one in ports]
    pods = [
        pod(
            f"w{n}-0",
            of=owner("StatefulSet", f"w{n}"),
            spec={"containers": [container(command=None, args=None, image=f"shop:{n}", ports=declared)]},
        )
        for n in range(count)
    ]
    return Given().put("pods", *pods)


async def asked(fleet: Given, services: Services) -> Documents:
    documents = Documents(fleet.fleet)
    task = asyncio.create_task(documents.run(services))
    async with asyncio.timeout(30):
        while not documents.settled:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    fleet.fleet.refresh()
    return documents


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PER_SECOND", 500.0)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)


async def test_the_document_at_a_declared_port_tells() -> None:
    fleet = given(ports=(9000, 8000))
    services = Services({9000: 404, 8000: FASTAPI})
    await asked(fleet, services)
    assert fleet.ids() == {"shop/StatefulSet/w0"}
    assert services.asked == [f"/api/v1/namespaces/shop/pods/w0-0:{port}/proxy/openapi.json" for port in (9000, 8000)]


@pytest.mark.parametrize("told", [404, 500, OTHER, b"<html>", b"[" * 2000])
async def test_what_answers_something_else_is_not_listed_and_not_asked_again(told: Any) -> None:
    fleet = given()
    services = Services({8000: told})
    await asked(fleet, services)
    assert fleet.ids() == set()
    assert list(fleet.fleet.open()) == []
    assert len(services.asked) == 1


async def test_only_one_replica_is_asked_and_a_ready_one_first() -> None:
    fleet = given()
    made = {"containers": [container(command=None, args=None, image="shop:0")]}
    other = pod("w0-1", of=owner("StatefulSet", "w0"), spec=made)
    sick = pod(
        "w0-0", of=owner("StatefulSet", "w0"), spec=made, metadata={"resourceVersion": "2"}, status=running(ready=False)
    )
    fleet.put("pods", other, sick)
    services = Services({8000: FASTAPI})
    await asked(fleet, services)
    assert len(services.asked) == 1
    assert "/w0-1:8000/" in services.asked[0]


async def test_no_more_than_a_few_are_asked_at_once() -> None:
    services = Services({8000: FASTAPI}, took_seconds=0.05)
    fleet = given(40)
    await asked(fleet, services)
    assert services.most <= module.AT_ONCE
    assert len(fleet.ids()) == len(services.asked) == 40


def test_a_burst_is_asked_at_once_and_more_than_it_at_a_steady_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PER_SECOND", 25.0)
    documents = Documents(given().fleet)
    now, waited = 1000.0, []
    for _ in range(module.BURST + 50):
        waited.append(documents._pause(now))
        now += waited[-1]
    assert waited[: module.BURST] == [0.0] * module.BURST
    assert waited[-50:] == pytest.approx([1 / 25] * 50)
    assert documents._pause(now + 4.0) == 0.0


async def test_where_nobody_is_reached_asking_rests() -> None:
    fleet = given(60)
    services = Services({}, took_seconds=0.01)
    documents = await asked(fleet, services)
    assert len(services.asked) < 60
    assert documents.settled
    assert len(list(fleet.fleet.open())) == 60, "they may be asked later"


async def test_a_refused_connection_is_an_answer_of_the_network_and_the_rest_are_asked() -> None:
    services = Services({8000: "refused"})
    await asked(given(30), services)
    assert len(services.asked) >= 30


async def test_a_missing_right_is_named_once_and_nobody_else_is_asked() -> None:
    refusal = Unreadable(Failure("forbidden", "GET pods/proxy", "the API server says 403", "ask for the rule"))
    services = Services({8000: refusal}, took_seconds=0.01)
    documents = await asked(given(60), services)
    assert documents.failure == refusal.failure
    assert len(services.asked) <= module.AT_ONCE + 1


async def test_a_pod_that_is_gone_hinders_nobody() -> None:
    gone = Unreadable(Failure("not-found", "the pod", "it is gone", ""))
    services = Services({8000: gone})
    documents = await asked(given(30), services)
    assert documents.failure is None
    assert len(services.asked) >= 30
