"""Who is asked for metrics, and how often."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from probes import http, httpmetrics
from probes.base import DeploymentId, Frozen, ReplicaId, TargetId
from probes.model import Deployment, HttpSample, Interest, Replica
from probes.orchestrator import ProbeSpec
from probes.scraping import AGAIN_SECONDS, BEGUN, FAR_SECONDS, REPLICAS, SMALL_FLEET, Scraper
from probes.target import Access, Answer

NOW = datetime(2026, 1, 2, tzinfo=UTC)
COUNTS = b'http_request_duration_seconds_bucket{le="1"} 1\nhttp_request_duration_seconds_count 1\n'


@dataclass
class Service:
    """Answers every request for metrics with the same, and knows how often it was asked."""

    answer: Answer
    asked: list[tuple[ReplicaId, int]] = field(default_factory=list)

    async def get(self, replica: ReplicaId, port: int, path: str, timeout_seconds: float = 5.0) -> Answer:
        assert path == "/metrics"
        self.asked.append((replica, port))
        return self.answer


def deployment(name: str, replicas: int = 1, *, answers: bool = True) -> Deployment:
    probes = (HttpSample(NOW, "/.fastops/loop", 0.001, status=404 if answers else None),)
    return Deployment(
        id=DeploymentId(f"docker/{name}"),
        target=TargetId("docker"),
        name=name,
        kind="container",
        framework="fastapi",
        recognised_by="",
        replicas=tuple(
            Replica(ReplicaId(f"{name}-{n}"), f"{name}-{n}", "running", started_at=NOW, loop_probes=probes)
            for n in range(replicas)
        ),
    )


class Fleet(Frozen, frozen=True):
    """A scraper over some deployments."""

    scraper: Scraper
    service: Service

    async def round(self, now: float) -> int:
        """How many were asked at ``now``."""
        before = len(self.service.asked)
        self.scraper.begin(now)
        while any(known.task is not None for known in self.scraper._known.values()):
            await asyncio.sleep(0)
        return len(self.service.asked) - before


def fleet(service: Service, *found: Deployment, ports: tuple[int, ...] = (8000,)) -> Fleet:
    access: Access = service  # type: ignore[assignment]
    deployments = {one.id: one for one in found}
    return Fleet(Scraper(access, lambda: deployments, lambda *_: ports, lambda _: None), service)


def counting() -> Service:
    return Service(Answer(200, COUNTS, 0.001))


async def test_the_second_answer_comes_soon_and_the_others_seldom() -> None:
    one = fleet(counting(), deployment("shop"))
    begun = time.monotonic()
    asked = [await one.round(begun + second) for second in range(60)]
    assert asked[0] == asked[5] == asked[35] == 1
    assert sum(asked) == 3
    assert FAR_SECONDS == 30


async def test_what_is_looked_at_is_asked_more_often() -> None:
    one = fleet(counting(), deployment("shop"))
    one.scraper.interest = Interest(focused=DeploymentId("docker/shop"))
    begun = time.monotonic()
    assert sum([await one.round(begun + second) for second in range(60)]) == 7


async def test_of_a_large_fleet_only_what_is_looked_at_or_in_trouble_is_asked() -> None:
    many = [deployment(f"shop{n}") for n in range(SMALL_FLEET + 1)]
    large = fleet(counting(), *many)
    assert await large.round(time.monotonic()) == 0
    large.scraper.interest = Interest(visible=frozenset({many[0].id}), troubled=frozenset({many[1].id}))
    assert await large.round(time.monotonic()) == 2


async def test_at_one_time_few_are_asked_and_of_many_replicas_some() -> None:
    several = fleet(counting(), *[deployment(f"shop{n}") for n in range(SMALL_FLEET)])
    assert await several.round(time.monotonic()) == BEGUN
    wide = fleet(counting(), deployment("shop", replicas=50))
    assert await wide.round(time.monotonic()) == REPLICAS


@pytest.mark.parametrize("answer", [Answer(404, b"", 0.001), Answer(200, b"<html>", 0.001)])
async def test_where_there_are_no_metrics_nobody_asks_again_for_long(answer: Answer) -> None:
    without = fleet(Service(answer), deployment("shop"), ports=(8000, 9000))
    now = time.monotonic()
    assert await without.round(now) == 1
    assert await without.round(now + AGAIN_SECONDS - 10) == 0
    assert await without.round(now + AGAIN_SECONDS + 10) == 1
    assert without.scraper.scrapes() == {}


async def test_a_service_that_does_not_answer_is_not_asked_for_more() -> None:
    assert await fleet(counting(), deployment("shop", answers=False)).round(time.monotonic()) == 0


async def test_an_answer_that_takes_long_to_read_is_read_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[int] = []
    parse = httpmetrics.parse

    def noted(body: bytes, ignored: Collection[str]) -> httpmetrics.Scrape | None:
        readers.append(threading.get_ident())
        return parse(body, ignored)

    monkeypatch.setattr(httpmetrics, "parse", noted)
    access: Access = Service(Answer(200, COUNTS * 100, 0.001))  # type: ignore[assignment]
    _, scrape = await http.metrics(access, ReplicaId("a"), 8000)
    assert scrape is not None
    assert threading.get_ident() not in readers


async def test_the_paths_of_a_replicas_own_checks_are_not_its_users() -> None:
    lines = b'http_request_duration_seconds_count{handler="/am-i-well"} 7\n'
    found = deployment("web")
    check = ProbeSpec(role="readiness", handler="http", path="/am-i-well")
    replica = replace(found.replicas[0], probes=(check,))
    one = fleet(Service(Answer(200, lines, 0.001)), replace(found, replicas=(replica,)))
    await one.round(0.0)
    (run,) = one.scraper.scrapes()[replica.id]._runs.values()
    assert [key.whose for key in run.taken[0][2].samples] == ["others"]


async def test_what_is_gone_is_forgotten() -> None:
    found = {DeploymentId("docker/shop"): deployment("shop")}
    access: Access = counting()  # type: ignore[assignment]
    scraper = Scraper(access, lambda: found, lambda *_: (8000,), lambda _: None)
    one = Fleet(scraper, access)  # type: ignore[arg-type]
    await one.round(time.monotonic())
    assert scraper.scrapes().keys() == {"shop-0"}
    found.clear()
    await one.round(time.monotonic())
    assert scraper.scrapes() == {}
