"""Growth for each request: what is said of a known leak under a known load, and when nothing is said."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from fixes.model import Fires, View
from fixes.signatures import _cases, memory_leak
from probes.history import Metric, Point
from probes.model import Deployment, Limit, Memory

NOW = _cases.NOW.timestamp()
MIB = float(1 << 20)
LIMITED = Memory(used_bytes=300 << 20, limit=Limit(limited=True, value=float(512 << 20)))
SOURCE = "its own /metrics"


def leaking(bytes_per_second: float, pid: int = 17, noise: float = 0.0) -> dict[str, Sequence[Point]]:
    """Forty minutes of a worker, read every ten seconds."""
    chance = random.Random(pid)
    points = (
        Point(NOW + at, 100 * MIB + bytes_per_second * (2400 + at) + chance.uniform(-noise, noise))
        for at in range(-2400, 1, 10)
    )
    return {f"{_cases.REPLICA}/{pid}": tuple(points)}


def rate(*per_second: float, step: float = 15.0) -> Mapping[str, Sequence[Point]]:
    """Rates over the forty minutes, evenly spread and repeated."""
    count = int(2400 / step)
    return {SOURCE: tuple(Point(NOW - step * i, per_second[i % len(per_second)]) for i in range(count, -1, -1))}


def view_of(series: Mapping[Metric, Mapping[str, Sequence[Point]]], deployment: Deployment) -> View:
    return View(
        deployment=deployment,
        now=_cases.NOW,
        window=timedelta(minutes=15),
        series=lambda metric: series.get(metric, {}),
    )


def fires(
    memory: Mapping[str, Sequence[Point]], requests: Mapping[str, Sequence[Point]], deployment: Deployment | None = None
) -> Fires:
    series: dict[Metric, Mapping[str, Sequence[Point]]] = {"worker-anonymous": memory, "request-rate": requests}
    pids = [int(label.rpartition("/")[2]) for label in memory]
    workers = tuple(_cases.worker(pid) for pid in pids)
    found = memory_leak.detect(view_of(series, deployment or _cases.container(memory=LIMITED, workers=workers)))
    assert isinstance(found, Fires)
    return found


def test_what_each_request_adds_is_said_with_its_bounds_and_who_counts() -> None:
    # 12 KiB for each of 8 requests a second, in two workers that share them unevenly
    memory = leaking(12 * 1024 * 5.0, 17, noise=MIB) | leaking(12 * 1024 * 3.0, 18, noise=MIB)
    found = fires(memory, rate(6.0, 8.0, 10.0, 8.0))
    told = next(one for one in found.evidence if one.unit == "bytes/request")
    assert told.value == pytest.approx(12 * 1024, rel=0.03)
    assert found.facts["bytes_per_request"] == round(told.value or 0)
    assert "KiB for each request" in found.title
    assert SOURCE in told.text
    low, _, high = told.text.partition("(")[2].partition(")")[0].partition(" … ")
    assert float(low.split()[0]) <= 12.0 <= float(high.split()[0])


@pytest.mark.parametrize(
    ("requests", "why"),
    [
        ({}, "nobody counts"),
        (rate(0.0), "there are none"),
        (rate(0.02), "there are too few"),
        (rate(8.0, step=200.0), "there are gaps in which nobody counted"),
        ({SOURCE: rate(8.0)[SOURCE][-60:]}, "they are counted for a part of the time"),
    ],
)
def test_where_requests_are_not_known_nothing_is_said_of_them(
    requests: Mapping[str, Sequence[Point]], why: str
) -> None:
    found = fires(leaking(100_000.0), requests)
    assert "bytes_per_request" not in found.facts, why
    assert "request" not in found.title + "".join(one.text for one in found.evidence)


def test_the_requests_of_a_worker_that_was_not_watched_cannot_be_told_from_the_others() -> None:
    memory = leaking(100_000.0, 17)
    deployment = _cases.container(memory=LIMITED, workers=(_cases.worker(17), _cases.worker(18)))
    assert "bytes_per_request" not in fires(memory, rate(8.0), deployment).facts


def test_two_sources_are_not_joined() -> None:
    every = rate(8.0)[SOURCE]
    found = fires(leaking(80_000.0), {"its access log": every[:80], SOURCE: every[81:]})
    assert "bytes_per_request" not in found.facts
