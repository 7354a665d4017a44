"""Figures of containers: kubelets' counters as they stream, metrics-server's list, and a program inside."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.base import DeploymentId, Failure, NodeId, ReplicaId
from probes.httpmetrics import HISTOGRAMS
from probes.model import Cpu, HttpSample, Latency, Memory, Replica
from probes.target import Unreadable
from probes.targets.kubernetes import cadvisor, figures, found, inside, measure, promql
from probes.targets.kubernetes.exposition import Reader
from probes.targets.kubernetes.kubelets import Kubelets
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.prometheus import Prometheus
from probes.targets.kubernetes.readings import CADVISOR, INSIDE, LIST, Readings
from probes.targets.kubernetes.views import ServiceView
from probes.targets.kubernetes.workers import Inside, Told
from tests.probes.kubernetes._objects import deployment

APP = ReplicaId("shop/web-1/app")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def document(seconds: int, identity: str = "/kubepods/pod1/c1", started: float = 100.0) -> bytes:
    """As a kubelet tells it: a tenth of the periods throttled, a fifth of a core used."""
    at = int((NOW.timestamp() + seconds) * 1000)
    labels = f'container="app",id="{identity}",image="shop:1",name="c1",namespace="shop",pod="web-1"'
    other = labels.replace('container="app"', 'container="sidecar"')
    rows = [
        ("container_cpu_cfs_periods_total", 10 * seconds),
        ("container_cpu_cfs_throttled_periods_total", seconds),
        ("container_cpu_cfs_throttled_seconds_total", seconds / 20),
        ("container_memory_working_set_bytes", 5e7),
        ("container_oom_events_total", 2),
    ]
    lines = ["# HELP container_memory_working_set_bytes Current working set", "# TYPE x gauge"]
    lines += [f"{name}{{{which}}} {value} {at}" for name, value in rows for which in (labels, other)]
    lines.append(f'container_cpu_usage_seconds_total{{{labels},cpu="total"}} {seconds / 5} {at}')
    lines.append(f"container_start_time_seconds{{{labels}}} {started}")
    lines.append(f"container_network_receive_bytes_total{{{labels}}} 1 {at}")
    return "\n".join(lines).encode() + b"\n"


def counted(text: bytes, size: int = 1 << 16) -> cadvisor.Counters:
    found = cadvisor.Document({APP})
    for at in range(0, len(text), size):
        found.feed(text[at : at + size])
    counters = found.counters(NOW)
    assert counters.keys() == {APP}
    return counters[APP]


@given(st.integers(1, 300))
def test_counters_are_the_same_whatever_the_chunks(size: int) -> None:
    found = counted(document(30), size)
    assert found == counted(document(30))
    assert (found.periods, found.throttled_periods, found.oom_events) == (300, 30, 2)
    assert (found.working_set_bytes, found.cpu_seconds, found.started) == (50_000_000, 6.0, 100.0)
    assert found.at == NOW + timedelta(seconds=30)


def test_rates_are_taken_between_two_looks_at_one_run() -> None:
    first, second = counted(document(15)), counted(document(30))
    rates = cadvisor.cpu(second, first)
    assert rates.used_cores == pytest.approx(0.2)
    assert (rates.throttled_ratio, rates.throttled_time_ratio) == (pytest.approx(0.1), pytest.approx(0.05))
    assert cadvisor.cpu(first, None).used_cores is None
    assert cadvisor.cpu(counted(document(30, started=200.0)), first).throttled_ratio is None


def test_of_two_containers_of_one_name_the_one_that_was_started_last_counts() -> None:
    both = document(500, "/kubepods/pod1/old", 50.0) + document(30)
    assert counted(both).periods == 300


@given(st.binary(max_size=400))
def test_bytes_that_are_no_exposition_tell_nothing_and_break_nothing(data: bytes) -> None:
    reader = Reader({"container_memory_working_set_bytes"})
    assert [*reader.feed(data), *reader.end()] == []


def test_labels_may_hold_braces_commas_and_escaped_quotes() -> None:
    reader = Reader({"up"})
    (point,) = reader.feed(b'up{a="x}\\",b=\\"y",b="{1,2}"} 1.5e3 1700000000000\n')
    assert point.labels == {"a": 'x}",b="y', "b": "{1,2}"}
    assert (point.value, point.at) == (1500.0, 1_700_000_000.0)


def test_metrics_servers_list_and_a_kubelets_summary_tell_of_the_wanted_with_their_own_time() -> None:
    listed = b"""{"kind":"PodMetricsList","items":[{"metadata":{"name":"web-1","namespace":"shop"},
      "timestamp":"2026-11-22T11:59:40Z","window":"15s","containers":[
        {"name":"app","usage":{"cpu":"123456789n","memory":"50000Ki"}},{"name":"sidecar","usage":{"cpu":"1","memory":"1Mi"}}]}]}"""
    found = figures.pod_metrics(listed, {APP})
    assert found == {
        APP: figures.Figure(NOW - timedelta(seconds=20), 50_000 * 1024, pytest.approx(0.123456789), figures.METRICS)
    }
    told = b"""{"node":{},"pods":[{"podRef":{"name":"web-1","namespace":"shop"},"containers":[{"name":"app",
      "cpu":{"time":"2026-11-22T11:59:50Z","usageNanoCores":2000000},
      "memory":{"time":"2026-11-22T11:59:50Z","workingSetBytes":7}}]}]}"""
    (figure,) = figures.summary(told, {APP}).values()
    assert (figure.working_set_bytes, figure.used_cores, figure.source) == (7, 0.002, "kubelet summary")


def test_a_source_that_tells_less_never_overwrites_one_that_tells_more() -> None:
    kept: dict[ReplicaId, Measured] = {}
    readings = Readings(kept, lambda _: None)
    readings.begin(Replica(id=APP, name="web-1", state="running", started_at=NOW))
    readings.figure(APP, LIST, NOW, Memory(used_bytes=1, source="list"), None)
    readings.figure(APP, CADVISOR, NOW + timedelta(seconds=1), Memory(used_bytes=2, source="node"), Cpu(used_cores=1))
    readings.figure(APP, LIST, NOW + timedelta(seconds=2), Memory(used_bytes=3, source="list"), None)
    assert kept[APP].memory == Memory(used_bytes=2, source="node")
    readings.inside(APP, Inside(at=NOW + timedelta(seconds=3), memory=Memory(used_bytes=4, source="cgroup v2")))
    readings.figure(APP, INSIDE, NOW, Memory(used_bytes=5), None)  # older than what is known
    assert (kept[APP].memory or Memory()).used_bytes == 4
    assert kept[APP].sampled_at == NOW + timedelta(seconds=3)


def test_long_after_a_look_inside_the_nodes_counters_tell_of_the_cpu_and_of_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: dict[ReplicaId, Measured] = {}
    readings = Readings(kept, lambda _: None)
    readings.begin(Replica(id=APP, name="web-1", state="running", started_at=NOW))
    group = Memory(used_bytes=4, oom_kills=1, source="cgroup v2")
    readings.inside(APP, Inside(at=NOW, memory=group, cpu=Cpu(used_cores=0.1, throttled_ratio=0.9)))
    node, fifteen = Memory(used_bytes=9, oom_kills=0, source="node"), timedelta(seconds=15)
    readings.figure(APP, CADVISOR, NOW + fifteen, node, Cpu(throttled_ratio=0.2))
    assert kept[APP].cpu == Cpu(used_cores=0.1, throttled_ratio=0.9)
    ahead = time.monotonic() + 40.0
    monkeypatch.setattr(time, "monotonic", lambda: ahead)
    for number in (2, 3):
        at = NOW + number * fifteen
        readings.figure(APP, LIST, at, node, Cpu(used_cores=2.0))
        readings.figure(APP, CADVISOR, at, node, Cpu(throttled_ratio=number / 10))
        assert kept[APP].cpu == Cpu(throttled_ratio=number / 10, at=at)
    assert (kept[APP].memory, kept[APP].sampled_at) == (group, NOW)
    readings.inside(APP, Inside(at=NOW + 4 * fifteen, memory=group, cpu=Cpu(throttled_ratio=0.4)))
    assert kept[APP].cpu == Cpu(throttled_ratio=0.4)


def test_a_new_run_begins_with_nothing_known_and_failures_end_with_what_they_were_of() -> None:
    kept: dict[ReplicaId, Measured] = {}
    readings = Readings(kept, lambda _: None)
    replica = Replica(id=APP, name="web-1", state="running", started_at=NOW)
    assert readings.begin(replica)
    assert not readings.begin(replica)
    for number in range(20):
        readings.probed(APP, loop=HttpSample(NOW + timedelta(seconds=number), "/", 0.1, 404))
    assert len(kept[APP].loop_probes) == 12
    readings.failed(APP, "inside", Failure("forbidden", "", "", ""))
    assert [one.code for one in kept[APP].unreadable] == ["forbidden"]
    readings.inside(APP, Inside(at=NOW))
    assert kept[APP].unreadable == ()
    assert readings.begin(Replica(id=APP, name="web-1", state="running", started_at=NOW + timedelta(seconds=9)))
    assert APP not in kept


@pytest.mark.parametrize("shell", [False, True])
def test_the_program_inside_tells_of_processes_whose_titles_hold_anything(shell: bool) -> None:
    """Run here as it is run there: what it prints of a process with line breaks in its title is that process's."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "a\nb end 3\n"])
    try:
        program = inside.Program(details=True, shell=shell, interpreter=sys.executable)
        done = subprocess.run(program.argv, input=program.stdin, capture_output=True, timeout=60, check=True)
    finally:
        sleeper.kill()
        sleeper.wait()
    files = program.files(done.stdout)
    assert files is not None
    told = Told(files)
    tree = told.tree()
    assert "/proc/stat" in files
    if sleeper.pid in tree.stats:  # beyond 64 processes of one control group none is told of
        assert (told.argv(sleeper.pid) or ())[-1] == "a\nb end 3\n"
        assert (told.open_files(sleeper.pid) or 0) >= 3
        assert tree.stats[sleeper.pid].ppid == os.getpid()
    assert program.files(done.stdout[:-20]) is None
    assert inside.Program(details=False).files(done.stdout) is None


class Leading:
    """An API server that leads to a Prometheus server once there is one; figures of its own it tells where it may."""

    def __init__(self, *, figures: bool = False) -> None:
        self.started = False
        self.why_not = "server-error"
        self.figures = figures
        self.asked: list[str] = []

    async def get(self, path: str, params: dict[str, str] | None = None, **_: object) -> bytes:
        if "/services/" not in path:
            if not self.figures:
                raise Unreadable(Failure("forbidden", path, "it is not allowed", ""))
            return b'{"items": []}'
        query = (params or {})["query"]
        self.asked.append(query)
        if not self.started:
            raise Unreadable(Failure(self.why_not, path, "it does not answer", ""))
        metric = {"namespace": "shop", "pod": "web-1"}
        if query.startswith("count by (__name__)"):
            told = [metric | {"__name__": one} for one in (promql.CONTAINERS, f"{HISTOGRAMS[0][0]}_bucket")]
        elif "by (namespace, pod, le)" in query:
            told = [metric | {"le": le} for le in ("1", "+Inf")]
        else:
            told = [metric | {"container": "app"}]
        series = [{"metric": one, "value": [1, "77"]} for one in told]
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}}).encode()

    async def stream(self, path: str, **_: object) -> AsyncIterator[bytes]:
        if not self.figures:
            raise Unreadable(Failure("forbidden", path, "it is not allowed", ""))
        yield b""


class Metered:
    """A meter over one replica, what it told, and the Services that it sees."""

    def __init__(self, server: Leading, *, running: bool = True) -> None:
        self.kept: dict[ReplicaId, Measured] = {}
        self.latency: list[Mapping[DeploymentId, Latency]] = []
        self.services: list[ServiceView] = []
        replica = Replica(id=APP, name="web-1", state="running", started_at=NOW, node=NodeId("k8s/test/node/n"))
        listed = deployment("shop", replicas=(replica,))
        self.runs = {listed.id: listed} if running else {}
        readings = Readings(self.kept, lambda _: None)
        readings.begin(replica)
        self.meter = measure.Meter(
            server, readings, Kubelets(), namespace=lambda: None, deployments=lambda: self.runs,
            services=lambda: self.services, latency=self.latency.append,
        )  # fmt: skip

    async def round(self) -> None:
        await self.meter.step()
        await self.meter.step_beside()


PROMETHEUS = ServiceView("monitoring", "prometheus", "u", "1", ports=((9090, 9090),))


async def test_a_prometheus_that_is_seen_or_starts_later_is_found_and_asked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(found, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(found, "_AGAIN_SECONDS", 0.0)
    server = Leading()
    metered = Metered(server)
    await metered.round()
    metered.services.append(PROMETHEUS)
    await metered.round()
    assert not metered.latency
    server.started = True
    monkeypatch.setattr(found, "ASK_SECONDS", 0.0)
    await metered.round()
    assert (metered.kept[APP].memory or Memory()).used_bytes == 77
    assert [one.p50_seconds is not None for one in metered.latency[-1].values()] == [True]
    assert not metered.meter.failures()
    server.started = False
    await metered.round()
    assert metered.latency[-1] == {}


async def test_a_prometheus_is_asked_for_latency_alone_where_the_usual_sources_tell_figures() -> None:
    server = Leading(figures=True)
    server.started = True
    metered = Metered(server)
    metered.services.append(PROMETHEUS)
    for _ in range(3):
        await metered.round()
    assert metered.meter.settled()
    assert [len(one) for one in metered.latency] == [1]
    assert len(server.asked) == 3  # what it has, the buckets, the statuses
    assert not any("cpu" in one for one in server.asked)
    assert APP not in metered.kept or metered.kept[APP].memory is None


@pytest.mark.parametrize("why", ["forbidden", "server-error"])
async def test_a_candidate_that_refuses_is_asked_once_delays_nothing_and_is_no_failure(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found, "_LOOK_SECONDS", 0.0)
    server = Leading(figures=True)
    server.why_not = why
    metered = Metered(server)
    metered.services += [PROMETHEUS, msgspec.structs.replace(PROMETHEUS, name="prometheus-server")]
    for _ in range(5):
        await metered.round()
    assert len(server.asked) == 2
    assert metered.meter.settled()
    assert metered.meter.failures() == ()


async def test_a_server_that_is_silent_holds_a_first_picture_up_for_its_patience_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(found, "_PATIENCE_SECONDS", 0.05)
    server = Leading(figures=True)
    metered = Metered(server)
    metered.services.append(PROMETHEUS)
    monkeypatch.setattr(Prometheus, "offers", lambda *_: asyncio.Event().wait())
    silent = asyncio.create_task(metered.meter.step_beside())
    await asyncio.sleep(0)
    await metered.meter.step()
    async with asyncio.timeout(60):
        while not metered.meter.settled():
            await asyncio.sleep(0.01)
    silent.cancel()


async def test_where_nothing_runs_nothing_is_waited_for() -> None:
    server = Leading()
    metered = Metered(server, running=False)
    await metered.round()
    assert not metered.meter.settled()  # pods may just have been listed
    await metered.round()
    assert metered.meter.settled()
    metered.runs.update(Metered(server).runs)
    assert not metered.meter.settled()
    await metered.round()
    assert metered.meter.settled()
