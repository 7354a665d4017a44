"""A session that listens gives a service's own telemetry to the deployment that sent it, and names it."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace

from console.config import BadConfig, Config
from console.pooled import PooledBoard
from console.session import Session
from console.telemetry import TelemetryWatch
from fixes.model import Report
from probes import httpmetrics
from probes.model import Deployment, Latency
from probes.otlp.receiver import Place
from tests.console._fastops import Fastops
from tests.console.test_pooled import _deployment, _state
from tests.probes.local.servers import free_port, running, unique, uvicorn
from tests.probes.otlp.messages import BOUNDS
from tests.probes.test_latency import Load, loaded, service, within_its_bucket

if TYPE_CHECKING:
    from console.judging import Judging

WAIT_SECONDS = 180
NOW = datetime(2026, 11, 22, tzinfo=UTC)
ON = {"FASTAPI_OTEL_AUTO_CONFIGURE": "true", "OTEL_METRIC_EXPORT_INTERVAL": "500"}


def test_the_processes_that_send_are_told_apart_by_their_sockets(tmp_path: Path) -> None:
    at, rates = f"127.0.0.1:{free_port()}", {unique("shop"): 40.0, unique("cart"): 10.0}
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{at}"}
    with ExitStack() as stack:
        ports = {}
        for name, workers in zip(rates, ("2", "1"), strict=True):
            ports[name] = free_port()
            service(tmp_path / name, "")
            argv = uvicorn(ports[name], "--workers", workers)
            stack.enter_context(running(argv, tmp_path / name, ports[name], **ON, **endpoint))
        session = stack.enter_context(Session(["local"], Config(telemetry=at)))
        with driven({name: f"127.0.0.1:{port}" for name, port in ports.items()}, rates) as loads:

            def told(report: Report) -> bool:
                found = {d.name: d.latency for d in report.snapshot.deployments() if d.name in rates}
                return len(found) == 2 and all(is_near(one, rates[name]) for name, one in found.items())

            assert session.wait(WAIT_SECONDS, told), [d.latency for d in session.report.snapshot.deployments()]
            found = {d.name: d for d in session.report.snapshot.deployments() if d.name in rates}
            for name, one in found.items():
                assert one.latency is not None
                assert one.latency.source == "telemetry (OTLP) over 1m"
                assert one.latency.error_ratio == pytest.approx(0.1, abs=0.05)
                assert within_its_bucket(one.latency.p50_seconds, loads[name].percentile(0.50), BOUNDS)
        shop = next(d for d in found.values() if rates[d.name] == 40.0)
        assert session.series(shop.id, "request-p95")


class driven:  # noqa: N801 - it is a function with two ends
    """Loads in a thread of their own: the test waits for the session in this one."""

    def __init__(self, places: dict[str, str], rates: dict[str, float]) -> None:
        self._places, self._rates = places, rates
        self._loads: dict[str, Load] = {}
        self._ready, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> dict[str, Load]:
        self._thread.start()
        assert self._ready.wait(WAIT_SECONDS)
        return self._loads

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            for name, where in self._places.items():
                self._loads[name] = await stack.enter_async_context(loaded(where, self._rates[name]))
            self._ready.set()
            while not self._over.is_set():
                await asyncio.sleep(0.1)


def is_near(told: Latency | None, rate: float) -> bool:
    if told is None or "telemetry" not in told.source or told.requests_per_second is None:
        return False
    return abs(told.requests_per_second - rate) <= 0.25 * rate


@pytest.mark.parametrize(
    ("published", "expected"),
    [(None, "telemetry"), ("access log, %(D)s over 1m", "telemetry"), (httpmetrics.SOURCE, "its own /metrics")],
)
def test_it_is_the_best_source_but_the_services_own_metrics(published: str | None, expected: str) -> None:
    board = PooledBoard()
    one = _deployment("one")
    if published is not None:
        one = replace(one, latency=Latency(NOW, source=published))
    board.publish(_state(one))
    board.hear({one.id: Latency(NOW, p95_seconds=0.2, source="telemetry (OTLP) over 1m")})
    assert _latency(board).source.startswith(expected)
    board.hear({})
    told = board.snapshot().deployments()[0].latency
    assert (None if told is None else told.source) == published


async def test_the_loop_goes_on_while_much_is_taken() -> None:
    judging = SimpleNamespace(board=PooledBoard())
    watch = TelemetryWatch(Place("127.0.0.1", 1), {}, cast("Judging", judging))
    watch._lock.acquire()
    looking = asyncio.create_task(watch._look())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not looking.done()
    watch._lock.release()
    async with asyncio.timeout(WAIT_SECONDS):
        await looking


def _latency(board: PooledBoard) -> Latency:
    one: Deployment = board.snapshot().deployments()[0]
    assert one.latency is not None
    return one.latency


def test_a_place_that_is_taken_is_said_and_costs_nothing_else(tmp_path: Path) -> None:
    port = free_port()
    with Session(["local"], Config(telemetry=f"127.0.0.1:{port}")) as first:
        assert first.wait(WAIT_SECONDS, lambda _: first._judging.receives is not None)
        done = Fastops(tmp_path / "own")("scan", "local", "--telemetry", f"127.0.0.1:{port}", "--format", "json")
    assert f"listening for telemetry on 127.0.0.1:{port}" in done.err, done.said
    assert done.json["schema"] == 1


def test_a_fix_says_why_it_cannot_listen_and_can_be_told_not_to(tmp_path: Path) -> None:
    name, port = unique("shop"), free_port()
    service(tmp_path / name, "")
    fastops = Fastops(tmp_path / "own")
    ask = ("fix", f"local/{name}", "enable-telemetry", "--dry-run")
    with socket.create_server(("127.0.0.1", 0)) as taken, running(uvicorn(port), tmp_path / name, port):
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        done = fastops(*ask, "--telemetry", at)
        assert done.status == 4, done.said
        assert f"listening for telemetry on {at}: address already in use" in done.err
        assert "start it with" not in done.err
        fastops.config.write_text(f'telemetry = "{at}"\n')
        done = fastops(*ask, "--telemetry", "")
    assert done.status == 4, done.said
    assert "start it with --telemetry 127.0.0.1:4318" in done.err


def test_an_address_that_is_none_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = Fastops(tmp_path / "own")("scan", "local", "--telemetry", "0.0.0.0:4318")
    assert done.status == 2, done.said
    assert "name the one address to listen on" in done.err
    with pytest.raises(BadConfig, match="4318"):
        Config().listening("localhost:4318")
