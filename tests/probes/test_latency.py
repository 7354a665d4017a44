"""Latency of services that nobody prepared for fastops: real servers under a known load, against what was measured."""

from __future__ import annotations

import asyncio
import sys
import time
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from probes import http, httpmetrics
from probes.base import ReplicaId
from probes.latency import own_probes
from probes.model import Deployment, Latency, Replica
from probes.procfs import ProcFs
from probes.scrapes import Scrapes
from probes.targets.local.access import LocalAccess
from probes.traffic import nearest_rank, together
from tests.probes.local.servers import free_port, running, unique, uvicorn, watched

SLEEPS = (0.035, 0.035, 0.035, 0.15, 0.15)
"""Of five requests in turn: the median is the first, p95 the second."""
SERVICE = """
import asyncio, itertools, time
from fastapi import FastAPI, HTTPException

app = FastAPI()
{instrument}
turn = itertools.count()
SLEEPS = {sleeps}

@app.get("/health")
async def health():
    return "ok"

@app.get("/work/{{number}}")
async def work(number: int):
    began = time.perf_counter()
    await asyncio.sleep(SLEEPS[next(turn) % len(SLEEPS)])
    if number % 10 == 0:
        raise HTTPException(500)
    return time.perf_counter() - began
"""
INSTRUMENTATOR = (
    "from prometheus_fastapi_instrumentator import Instrumentator\nInstrumentator().instrument(app).expose(app)"
)
EXPORTER = """from starlette_exporter import PrometheusMiddleware, handle_metrics
app.add_middleware(PrometheusMiddleware)
app.add_route("/metrics", handle_metrics)"""
OTEL = """import prometheus_client
from fastapi import Response
LABELS = ("http_request_method", "http_route", "http_response_status_code")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
TOOK = prometheus_client.Histogram("http_server_request_duration_seconds", "", LABELS, buckets=BOUNDS)

@app.get("/metrics")
async def metrics():
    return Response(prometheus_client.generate_latest())

@app.middleware("http")
async def counted(request, call_next):
    began = time.perf_counter()
    answer = await call_next(request)
    route = getattr(request.scope.get("route"), "path", "")
    TOOK.labels(request.method, route, answer.status_code).observe(time.perf_counter() - began)
    return answer"""
"""The names, labels and bounds of OpenTelemetry's exporter for Prometheus (semantic conventions 1.23 and newer)."""
EXPORTER_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
MIDDLEWARE = """
@app.middleware("http")
async def waits(request, call_next):
    began = time.perf_counter()
    await asyncio.sleep(SLEEPS[next(turn) % len(SLEEPS)])
    answer = await call_next(request)
    with open({took!r}, "a") as told:
        told.write(str(time.perf_counter() - began) + chr(10))
    return answer"""
FINE_BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5, 10.0)


def service(folder: Path, instrument: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(SERVICE.format(instrument=instrument, sleeps=SLEEPS))


class Load:
    """Requests at a steady rate, and how long they took: inside the service, and for who asked."""

    def __init__(self, where: int | str, per_second: float) -> None:
        self.base = f"http://127.0.0.1:{where}" if isinstance(where, int) else f"http://{where}"
        self.per_second = per_second
        self.sent = 0
        self.inner: list[float] = []
        self.outer: list[float] = []

    async def run(self, client: httpx.AsyncClient, count: int | None = None) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while count is None or self.sent < count:
                await asyncio.sleep(max(0.0, began + self.sent / self.per_second - time.monotonic()))
                self.sent += 1
                group.create_task(self._one(client, self.sent))

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        began = time.perf_counter()
        answer = await client.get(f"{self.base}/work/{number}")
        self.outer.append(time.perf_counter() - began)
        if answer.status_code == 200:
            self.inner.append(float(answer.text))

    def percentile(self, share: float) -> tuple[float, float]:
        return nearest_rank(sorted(self.inner), share), nearest_rank(sorted(self.outer), share)


@asynccontextmanager
async def loaded(where: int | str, per_second: float) -> AsyncIterator[Load]:
    """A load that goes on until the end, on a port of this machine or another ``ADDRESS:PORT``."""
    load = Load(where, per_second)
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        task = asyncio.create_task(load.run(client))
        try:
            yield load
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def within_its_bucket(measured: float | None, truth: tuple[float, float], bounds: tuple[float, ...]) -> bool:
    """Whether it lies in the bucket of what the service took, or of what who asked waited, or between."""
    assert measured is not None
    low, high = bisect_left(bounds, truth[0]), bisect_left(bounds, truth[1])
    return (bounds[low - 1] if low else 0.0) <= measured <= bounds[high]


@pytest.mark.parametrize(
    ("instrument", "bounds", "name"),
    [
        (INSTRUMENTATOR, FINE_BOUNDS, httpmetrics.FINE),
        (EXPORTER, EXPORTER_BOUNDS, "starlette_request_duration_seconds"),
        (OTEL, EXPORTER_BOUNDS, "http_server_request_duration_seconds"),
    ],
    ids=["instrumentator", "exporter", "opentelemetry"],
)
async def test_a_services_own_metrics_tell_what_was_driven(
    tmp_path: Path, instrument: str, bounds: tuple[float, ...], name: str
) -> None:
    port, replica = free_port(), ReplicaId("1:1")
    service(tmp_path, instrument)
    access, scrapes = LocalAccess(ProcFs(), lambda _: ()), Scrapes()
    with running(uvicorn(port), tmp_path, port):
        load = Load(port, 60)
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            await Load(port, 60).run(client, 20)  # what was before does not count
            for turn in range(2):
                if turn:
                    await load.run(client, 200)
                    for path in ("/health", http.LOOP_PATH, http.METRICS_PATH) * 5:
                        await client.get(f"http://127.0.0.1:{port}{path}")
                _, scrape = await http.metrics(access, replica, port)
                assert scrape is not None
                scrapes.take(scrape, time.monotonic())
        await access.close()
    now = time.monotonic()
    (run,) = scrapes._runs.values()
    seconds = run.taken[-1][0] - run.taken[0][0]
    traffic = scrapes.traffic(now)
    assert traffic is not None
    latency = together([traffic], 1)
    assert latency is not None
    assert name in latency.source
    assert latency.requests_per_second == pytest.approx(200 / seconds, rel=0.01)
    assert latency.error_ratio == pytest.approx(0.1)
    assert within_its_bucket(latency.p50_seconds, load.percentile(0.50), bounds)
    assert within_its_bucket(latency.p95_seconds, load.percentile(0.95), bounds)


async def told_by(
    argv: tuple[str, ...], folder: Path, port: int, rate: float, words: str
) -> tuple[Latency, Load, Deployment]:
    """What the local target tells once it has said it for some seconds of load."""
    with running(argv, folder, port):
        async with loaded(port, rate) as load, watched(interval_seconds=0.5) as watch:

            def told(found: dict[str, Deployment]) -> bool:
                one = found.get(folder.name)
                said = one.latency if one is not None else None
                if said is None or words not in said.source or said.requests_per_second is None:
                    return False
                return abs(said.requests_per_second - rate) <= 0.1 * rate and len(load.outer) >= 5 * rate

            found = (await watch.until(told))[folder.name]
            assert found.latency is not None
            return found.latency, load, found


async def test_gunicorns_access_log_with_a_duration_tells_what_was_driven(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / unique("shop")
    service(folder, "")
    form = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
    argv = (sys.executable, "-m", "gunicorn", "main:app", "-k", "asgi", "-w", "2", "-b", f"127.0.0.1:{port}")
    argv += ("--access-logfile", "-", "--access-logformat", form)
    latency, load, _ = await told_by(argv, folder, port, 20, "access log, %(D)s")
    assert latency.error_ratio == pytest.approx(0.1, abs=0.03)  # some of the last ones may not be read yet
    for share, measured in ((0.50, latency.p50_seconds), (0.95, latency.p95_seconds)):
        inner, outer = load.percentile(share)
        assert measured is not None
        assert 0.9 * inner <= measured <= 1.1 * outer


async def test_uvicorns_access_log_tells_the_rate_and_says_that_it_has_no_durations(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / unique("shop")
    service(folder, "")
    latency, _, found = await told_by(uvicorn(port), folder, port, 20, "access log (no durations)")
    assert latency.error_ratio == pytest.approx(0.1, abs=0.03)
    own = sum(len(one.loop_probes) for one in found.replicas)
    assert ("fastops' own requests" in latency.source) == (own > 0) == (latency.p95_seconds is not None)


async def test_the_local_target_asks_for_metrics_itself(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / unique("shop")
    service(folder, INSTRUMENTATOR)
    latency, load, _ = await told_by(uvicorn(port), folder, port, 20, "its own /metrics")
    assert latency.error_ratio == pytest.approx(0.1, abs=0.03)
    assert within_its_bucket(latency.p50_seconds, load.percentile(0.50), FINE_BOUNDS)
    assert within_its_bucket(latency.p95_seconds, load.percentile(0.95), FINE_BOUNDS)


async def test_workers_without_a_shared_directory_are_told_apart(tmp_path: Path) -> None:
    port = free_port()
    service(tmp_path, INSTRUMENTATOR)
    access, scrapes = LocalAccess(ProcFs(), lambda _: ()), Scrapes()
    with running(uvicorn(port, "--workers", "2"), tmp_path, port):
        async with loaded(port, 40) as load:
            deadline = time.monotonic() + 60
            found = None
            while found is None or not found.whole:
                assert time.monotonic() < deadline, "not all workers answered"
                _, scrape = await http.metrics(access, ReplicaId("1:1"), port)
                if scrape is not None:
                    scrapes.take(scrape, time.monotonic())
                await asyncio.sleep(0.3)
                runs = [run.taken[-1][0] - run.taken[0][0] for run in scrapes._runs.values()]
                if len(runs) == 2 and min(runs) >= 4:
                    found = scrapes.traffic(time.monotonic(), workers=2)
            assert not scrapes.incoherent(time.monotonic())
            assert found.per_second == pytest.approx(load.per_second, rel=0.2)  # each counted over its own seconds
            assert "2 of 2 workers" in found.source
    await access.close()


async def test_what_fastops_asks_itself_takes_what_the_service_took(tmp_path: Path) -> None:
    """A middleware that waits before every answer, of a path that no route takes too."""
    port, took = free_port(), tmp_path / "took"
    service(tmp_path, MIDDLEWARE.format(took=str(took)))
    access, replica = LocalAccess(ProcFs(), lambda _: ()), ReplicaId("1:1")
    deadline, fits = time.monotonic() + 60, False
    with running(uvicorn(port), tmp_path, port):
        # What fastops' own loop was late is taken off, which on a busy machine may be too much: another twenty then.
        while not fits and time.monotonic() < deadline:
            took.write_text("")
            samples, outer = [], []
            for _ in range(20):
                began = time.perf_counter()
                samples.append(await http.loop_probe(access, replica, port))
                outer.append(time.perf_counter() - began)
            inner = sorted(float(line) for line in took.read_text().split())
            assert len(inner) == 20
            told = own_probes([Replica(replica, "shop", "running", loop_probes=tuple(samples))])
            assert told is not None
            assert "fastops' own requests" in told[1]
            fits = all(
                0.9 * nearest_rank(inner, share) <= measured <= 1.1 * nearest_rank(sorted(outer), share)
                for share, measured in zip((0.50, 0.95), told[0], strict=False)
            )
    await access.close()
    assert fits, (inner, told[0])
