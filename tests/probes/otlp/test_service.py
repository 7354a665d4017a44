"""FastAPI's own telemetry, from real services under a known load, against what the services and who asked measured."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from probes import http, traffic
from probes.otlp.instances import Instances, together
from probes.otlp.receiver import METRICS_PATH, Place, Receiver
from probes.traffic import Traffic
from tests.probes.local.servers import free_port, running, uvicorn
from tests.probes.otlp.messages import BOUNDS
from tests.probes.test_latency import Load, loaded, service, within_its_bucket

DEADLINE_SECONDS = 180.0
ON = {"FASTAPI_OTEL_AUTO_CONFIGURE": "true", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
FINE = tuple(2.0 ** (step / 16) for step in range(-16 * 14, 16 * 5))
"""The bounds of the finest exponential buckets that are kept."""


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[str, Instances]]:
    heard = Instances()
    receiver = Receiver(
        Place("127.0.0.1", free_port()), lambda exports, peer: heard.take(exports, peer, time.monotonic())
    )
    assert await receiver.open() is None
    try:
        yield receiver.where.url, heard
    finally:
        await receiver.close()


async def until(heard: Instances, workers: int, met: Callable[[Traffic], bool]) -> Traffic:
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        found = together(heard.heard(time.monotonic()), workers)
        if found is not None and met(found):
            return found
        assert time.monotonic() < end, f"never so: {found}"
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("more", "bounds"),
    [
        ({}, BOUNDS),
        (
            {
                "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
            },
            FINE,
        ),
    ],
    ids=["as it is", "delta, exponential, gzip"],
)
async def test_its_telemetry_tells_what_was_driven(
    tmp_path: Path, more: dict[str, str], bounds: tuple[float, ...]
) -> None:
    """With the two variables that FastAPI documents: traces and logs are sent, too, and are thrown away."""
    service(tmp_path, "")
    port, count = free_port(), 150
    async with receiving() as (url, heard):
        environment = {**ON, "OTEL_EXPORTER_OTLP_ENDPOINT": url.removesuffix(METRICS_PATH), **more}
        with running(uvicorn(port), tmp_path, port, **environment):
            load = Load(port, 60)
            async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
                await load.run(client, count)
                for path in ("/health", http.LOOP_PATH, http.METRICS_PATH) * 5:
                    await client.get(f"http://127.0.0.1:{port}{path}")
            found = await until(heard, 1, lambda _: _requests(heard) == count)
        assert "code: 4" not in (tmp_path / "service.log").read_text(), "nothing that it sends is refused"
    latency = traffic.together([found], 1)
    assert latency is not None
    assert latency.source == "telemetry (OTLP) over 1m"
    assert latency.error_ratio == pytest.approx(0.1)
    assert within_its_bucket(latency.p50_seconds, load.percentile(0.50), bounds)
    assert within_its_bucket(latency.p95_seconds, load.percentile(0.95), bounds)


async def test_two_workers_are_added_up_and_one_that_is_killed_is_replaced(tmp_path: Path) -> None:
    service(tmp_path, "")
    port, rate = free_port(), 40.0
    async with receiving() as (url, heard):
        environment = {**ON, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": url}
        with running(uvicorn(port, "--workers", "2"), tmp_path, port, **environment) as process:
            async with loaded(port, rate):
                found = await until(heard, 2, lambda one: one.whole and abs(one.per_second - rate) <= 0.25 * rate)
                assert found.errors_per_second == pytest.approx(0.1 * found.per_second, rel=0.5)
            before = set(_latest_two(heard))
            assert len(before) == 2
            os.kill(_worker(process.pid), signal.SIGKILL)
            async with loaded(port, rate):
                await until(heard, 2, lambda _: len(before & set(_latest_two(heard))) == 1 and _is_asked(heard, before))


def _latest_two(heard: Instances) -> list[str]:
    """The processes that count where two answer: who ended is not among them for long."""
    return [one.resource["service.instance.id"] for one in heard.heard(time.monotonic())[-2:]]


def _is_asked(heard: Instances, before: set[str]) -> bool:
    """Whether a process that came later has told of requests."""
    later = [o for o in heard.heard(time.monotonic()) if o.resource["service.instance.id"] not in before]
    return any((told := one.traffic()) is not None and told.per_second > 0 for one in later)


def _requests(heard: Instances) -> float:
    """Of users, as far as they were told."""
    slices = [part for one in heard.heard(time.monotonic()) for part in one._slices]
    return sum(number for part in slices for (whose, _), number in part.requests.items() if whose == "users")


def _worker(parent: int) -> int:
    """One of the processes that serve, of a server that has some."""
    import psutil

    return next(
        child.pid for child in psutil.Process(parent).children() if "resource_tracker" not in " ".join(child.cmdline())
    )
