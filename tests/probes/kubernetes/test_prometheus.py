"""Figures from a real Prometheus server, which scrapes what a kubelet and an instrumented service would tell."""

from __future__ import annotations

import asyncio
import math
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, cast
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.base import DeploymentId, ReplicaId
from probes.model import Latency, TargetState
from probes.target import Options, Unreadable
from probes.targets.kubernetes import promql
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.contexts import resolve
from probes.targets.kubernetes.listed import KINDS
from probes.targets.kubernetes.prometheus import Offer, Prometheus, candidates
from probes.targets.kubernetes.sharing import Sharing
from probes.targets.kubernetes.views import ServiceView
from tests.cluster.api import Api
from tests.cluster.case import KubeCase, Pods
from tests.cluster.runner import KubeLab
from tests.lab.case import gunicorn
from tests.parts import missing
from tests.probes.kubernetes.watching import watched

START_SECONDS = 60.0
SERVICES = next(one for one in KINDS if one.name == "services")
SHOP, OTHER = ReplicaId("shop/web-1/app"), ReplicaId("shop/gone-1/app")
WEB = DeploymentId("k8s/test/shop/Deployment/web")
LABELS = 'namespace="shop",pod="web-1",container="app"'
HEALTHY = KubeCase("healthy", gunicorn("healthy:app"))


def exposition(seconds: float) -> str:
    """Counters as they stand after so many seconds: half a core, a quarter of the periods throttled, 10 requests/s."""
    requests = 10 * seconds
    lines = [
        f"container_memory_working_set_bytes{{{LABELS}}} 123456789",
        f"container_cpu_usage_seconds_total{{{LABELS}}} {seconds / 2}",
        f"container_cpu_cfs_periods_total{{{LABELS}}} {10 * seconds}",
        f"container_cpu_cfs_throttled_periods_total{{{LABELS}}} {2.5 * seconds}",
        f"container_cpu_cfs_throttled_seconds_total{{{LABELS}}} {0.1 * seconds}",
        f"container_oom_events_total{{{LABELS}}} 3",
        'container_memory_working_set_bytes{namespace="shop",pod="web-1",container="POD"} 1',
    ]
    for bound, share in (("0.1", 0.5), ("0.5", 0.9), ("1", 1.0), ("+Inf", 1.0)):
        of = f'namespace="shop",pod="web-1",handler="/",le="{bound}"'
        lines.append(f"http_request_duration_seconds_bucket{{{of}}} {requests * share}")
    for status, share in (("2xx", 0.8), ("5xx", 0.2)):
        lines.append(
            f'http_request_duration_seconds_count{{namespace="shop",pod="web-1",status="{status}"}} {requests * share}'
        )
    for le, share in (("0.25", 0.5), ("+Inf", 1.0)):  # another service, by OpenTelemetry's name
        of = f'namespace="shop",pod="api-1",http_response_status_code="200",le="{le}"'
        lines.append(f"http_server_request_duration_seconds_bucket{{{of}}} {requests * share}")
    return "\n".join(lines) + "\n"


def of_pod(namespace: str, pod: str, seconds: float) -> str:
    """What a pod's own counters would tell: half of its requests within 0.1 s."""
    of, name = f'namespace="{namespace}",pod="{pod}"', "http_request_duration_seconds_bucket"
    bounds = (("0.1", 0.5), ("0.5", 0.9), ("+Inf", 1.0))
    return "".join(f'{name}{{{of},handler="/",le="{le}"}} {10 * seconds * share}\n' for le, share in bounds)


class Counting(BaseHTTPRequestHandler):
    begun = time.monotonic()
    also: ClassVar[list[tuple[str, str]]] = []
    """Namespace and pod of more that is counted."""

    def do_GET(self) -> None:
        seconds = time.monotonic() - self.begun
        body = (exposition(seconds) + "".join(of_pod(*one, seconds) for one in self.also)).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def scraped() -> Iterator[str]:
    """The address of what tells those counters."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


@contextmanager
def scraping(folder: Path, scraped: str, address: str, path: str = "") -> Iterator[str]:
    """The URL of a server that has scraped for some seconds."""
    program = shutil.which("prometheus")
    if program is None:
        missing("prometheus is not installed (Debian: apt-get install prometheus)", "FASTOPS_REQUIRE_PARTS")
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n- job_name: all\n  honor_labels: true\n"
        f"  static_configs: [{{targets: ['{scraped}']}}]\n"
    )
    listens = f"{address}:{free_port(address)}"
    url = f"http://{listens}{path}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={listens}", f"--web.external-url=http://prometheus.test{path}",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + START_SECONDS
            while not enough(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "log").read_text()[-2000:])
                time.sleep(0.2)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.fixture(scope="module")
def server(scraped: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server below a path, as behind a proxy."""
    with scraping(tmp_path_factory.mktemp("prometheus"), scraped, "127.0.0.1", "/prom") as url:
        yield url


def enough(url: str) -> bool:
    """Whether rates can be told."""
    query = "rate(http_request_duration_seconds_count[2m])"
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?query={query}", timeout=2) as answer:
            return b'"pod"' in answer.read()
    except OSError:
        return False


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as one:
        one.bind((address, 0))
        return int(one.getsockname()[1])


async def test_a_few_queries_tell_memory_cpu_and_throttling_of_the_wanted_containers(server: str) -> None:
    prometheus = Prometheus(server)
    try:
        assert (await prometheus.offers({"shop"})).figures
        assert await prometheus.offers({"elsewhere"}) == (False, False)
        found = await prometheus.figures({SHOP, OTHER})
    finally:
        await prometheus.close()
    assert found.keys() == {SHOP}
    figure = found[SHOP]
    assert (figure.memory.used_bytes, figure.memory.oom_kills, figure.memory.source) == (123456789, 3, "Prometheus")
    assert figure.cpu.used_cores == pytest.approx(0.5, rel=0.5)
    assert figure.cpu.throttled_ratio == pytest.approx(0.25, rel=0.05)
    assert figure.cpu.throttled_time_ratio == pytest.approx(0.1, rel=0.5)
    assert abs(figure.at.timestamp() - time.time()) < 60


async def test_latency_is_that_of_the_deployments_pods_together_with_the_share_of_errors(server: str) -> None:
    prometheus = Prometheus(server)
    try:
        found = await prometheus.latency({"shop/web-1": WEB})
        assert await prometheus.latency({"other/web-1": WEB}) == {}
    finally:
        await prometheus.close()
    latency = found[WEB]
    assert latency.p50_seconds == pytest.approx(0.1, rel=0.1)
    assert latency.p95_seconds == pytest.approx(0.75, rel=0.1)
    assert latency.requests_per_second is not None
    assert 0 < latency.requests_per_second < 15  # a rate over minutes of which only seconds are there
    assert latency.error_ratio == pytest.approx(0.2, rel=0.05)
    assert "http_request_duration_seconds" in latency.source


async def test_services_that_count_by_different_names_are_all_told(server: str) -> None:
    prometheus = Prometheus(server)
    api = DeploymentId("k8s/here/shop/Deployment/api")
    try:
        found = await prometheus.latency({"shop/web-1": WEB, "shop/api-1": api})
    finally:
        await prometheus.close()
    assert ", http_request_duration_seconds over" in found[WEB].source
    assert ", http_server_request_duration_seconds over" in found[api].source
    assert found[api].p50_seconds == pytest.approx(0.25, rel=0.1)


def towards(host: str) -> str:
    """The address of this machine that a host sees."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect((host, 9))
        return str(one.getsockname()[0])


FORWARD = """
import asyncio, sys
async def pump(source, sink):
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()
async def serve(reader, writer):
    there = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))
async def main():
    await (await asyncio.start_server(serve, "0.0.0.0", 9090)).serve_forever()
asyncio.run(main())
"""
"""API servers lead a Service's requests to pods alone: this one passes them on."""


async def test_one_in_the_cluster_is_found_and_asked_through_the_api_server(
    cluster: Path, kube_api: Api, lab_pods: KubeLab, scraped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = resolve("k8s", None, {"KUBECONFIG": str(cluster)})
    address = towards(str(urlsplit(place.endpoint).hostname))
    if address.startswith("127."):
        missing("pods cannot reach this machine by an address that is known", "FASTOPS_REQUIRE_PARTS")
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    client = ApiClient(place, read_only=True)
    healthy = await asyncio.to_thread(lambda: lab_pods.start(HEALTHY).ready())
    monkeypatch.setattr(
        Counting, "also", [(lab_pods.namespace, str(one["metadata"]["name"])) for one in healthy.pods()]
    )
    with scraping(tmp_path, scraped, address) as url:
        command = ("python3", "-c", FORWARD, address, str(urlsplit(url).port))
        case = KubeCase("prometheus-server", command, up=Pods(ready=True), listed=False, port=9090)
        await asyncio.to_thread(lambda: lab_pods.start(case).ready())
        try:
            listed = await client.get(f"/api/v1/namespaces/{lab_pods.namespace}/services")
            (view,) = candidates(cast("list[ServiceView]", SERVICES.page(listed, Sharing()).views))
            prometheus = Prometheus(None, client, view)
            assert (await eventually(lambda: prometheus.offers({"shop"}))) == (True, True)
            figures = await prometheus.figures({SHOP, OTHER})
            latency = await prometheus.latency({"shop/web-1": WEB})
            assert figures.keys() == {SHOP}
            assert figures[SHOP].memory.used_bytes == 123456789
            assert latency[WEB].error_ratio == pytest.approx(0.2, rel=0.05)
            async with watched(Options(namespace=lab_pods.namespace, read_only=True)) as seen:
                state = await seen.until(lambda s: told(s) is not None, START_SECONDS)
            by_users = told(state)
            assert by_users is not None
            assert by_users.p50_seconds == pytest.approx(0.1, rel=0.1)
            assert "http_request_duration_seconds" in by_users.source
            assert not any("Prometheus" in one.what for one in state.failures)
            kube_api.delete(f"/api/v1/namespaces/{lab_pods.namespace}/services/{view.name}")
            with pytest.raises(Unreadable):
                await Prometheus(None, client, view).offers({"shop"})
        finally:
            await client.close()


def told(state: TargetState) -> Latency | None:
    """The latency of the service that tells none itself."""
    return next((one.latency for one in state.deployments.values() if one.name == HEALTHY.name), None)


async def eventually(asked: Callable[[], Awaitable[Offer]]) -> Offer:
    """What it offers; the API server learns only after a moment where a new Service leads."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return await asked()
        except Unreadable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def test_what_is_no_prometheus_is_one_sentence_each(server: str) -> None:
    with pytest.raises(Unreadable, match="no URL"):
        Prometheus("prometheus.example:9090")
    refused = Prometheus(f"http://user:hunter2@127.0.0.1:{free_port()}")
    with pytest.raises(Unreadable, match="not reached") as caught:
        await refused.offers({"shop"})
    assert "hunter2" not in str(caught.value)
    await refused.close()
    wrong = Prometheus(server.removesuffix("/prom"))
    with pytest.raises(Unreadable, match="not understood"):
        await wrong.offers({"shop"})
    await wrong.close()
    await asyncio.sleep(0)


def test_the_service_of_a_prometheus_server_is_told_from_what_stands_beside_it() -> None:
    def service(name: str, port: int) -> ServiceView:
        return ServiceView(namespace="monitoring", name=name, uid="", version="", ports=((port, port),))

    listed = [
        service("prometheus-alertmanager", 9093),
        service("prometheus-node-exporter", 9100),
        service("prometheus-operated", 9090),
        service("kube-prometheus-stack-prometheus", 9090),
        service("prometheus-server", 80),
        service("shop", 80),
    ]
    assert [one.name for one in candidates(listed)] == ["kube-prometheus-stack-prometheus", "prometheus-server"]


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=8, unique=True), st.data())
def test_a_quantile_lies_within_the_bucket_of_its_rank(bounds: list[float], data: st.DataObject) -> None:
    ascending = (*sorted(bounds), math.inf)
    rates = tuple(sorted(data.draw(st.lists(st.floats(0, 1e6), min_size=len(ascending), max_size=len(ascending)))))
    share = data.draw(st.floats(0.01, 0.99))
    found = promql.Buckets(ascending, rates).quantile(share)
    if rates[-1] <= 0:
        assert found is None
        return
    index = next(i for i, rate in enumerate(rates) if rate >= share * rates[-1])
    if math.isinf(ascending[index]):
        assert found is None
    else:
        assert found is not None
        assert (ascending[index - 1] if index else 0) - 1e-9 <= found <= ascending[index] + 1e-9


def test_figures_that_cannot_be_make_no_percentile() -> None:
    pod = {"namespace": "shop", "pod": "web-1"}
    told = [("-5", "1"), ("1e308", "1"), ("NaN", "1"), ("1", "-3"), ("1", "1e300"), ("1", "2"), ("+Inf", "2")]
    series = [promql.Series({**pod, "le": bound}, (0.0, value)) for bound, value in told]
    found = promql.buckets(series, {"shop/web-1": WEB}, 1.0)
    assert found == {WEB: promql.Buckets((1.0, math.inf), (2.0, 2.0))}
    container = promql.Series({**pod, "container": "app"}, (0.0, "-1"))
    assert promql.by_container([container], {SHOP}) == {}


@given(st.binary(max_size=200))
def test_an_answer_of_any_bytes_is_a_vector_or_an_error(body: bytes) -> None:
    try:
        promql.vector(body)
    except ValueError:
        return
