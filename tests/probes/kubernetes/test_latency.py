"""Users' requests to real pods, by what the service counts itself and by its access log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from probes.model import Deployment, Interest, TargetState
from probes.target import Options
from tests.cluster.case import KubeCase
from tests.cluster.runner import KubeLab, RunningPods
from tests.lab.case import uvicorn
from tests.probes.kubernetes.watching import watched

RATE = 20
COUNTING = """
import asyncio, time
from fastapi import FastAPI, Response
app = FastAPI()
started, count, slow = time.time(), 0, 0
@app.get("/health")
async def health():
    return "ok"
@app.get("/work")
async def work():
    global count, slow
    count += 1
    slow += count % 5 == 0
    return "ok"
@app.get("/metrics")
async def metrics():
    name = "http_server_request_duration_seconds"
    labels = 'http_route="/work",http_response_status_code="200"'
    buckets = {"0.1": count - slow, "0.5": count, "+Inf": count}
    lines = [f'{name}_bucket{{{labels},le="{bound}"}} {value}' for bound, value in buckets.items()]
    lines += [f"{name}_count{{{labels}}} {count}", f"process_start_time_seconds {started}"]
    return Response("\\n".join(lines) + "\\n", media_type="text/plain")
"""
SERVE = " ".join(uvicorn("counting:app", "--app-dir", "/tmp"))
HOW = f"cat > /tmp/counting.py <<'END'\n{COUNTING}\nEND\nexec {SERVE}"
FASTAPI = {"fastops.io/enable": "true"}
COUNTED = KubeCase("counted", ("sh", "-c", HOW), annotations=FASTAPI)
LOGGED = KubeCase("logged", uvicorn("healthy:app"))


@pytest.fixture(scope="module")
def pods(kube_api: Any, make_namespace: Callable[[], str]) -> Iterator[dict[str, RunningPods]]:
    with KubeLab(kube_api, make_namespace()) as lab:
        yield lab.bring([COUNTED, LOGGED])


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [("counted", "/work", "its own /metrics"), ("logged", "/nothing", "access log (no durations)")],
)
async def test_pods_tell_how_the_requests_of_their_users_fare(
    cluster: Path, pods: dict[str, RunningPods], monkeypatch: pytest.MonkeyPatch, name: str, path: str, words: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    host, port = pods[name].endpoint()
    base = f"http://{host}:{port}"

    async def load() -> None:
        began, sent = time.monotonic(), 0
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client, asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(max(0.0, began + sent / RATE - time.monotonic()))
                sent += 1
                group.create_task(client.get(base + path))

    def the(state: TargetState) -> Deployment | None:
        return next((one for one in state.deployments.values() if one.name == name), None)

    def told(state: TargetState) -> bool:
        one = the(state)
        said = one.latency if one is not None else None
        if said is None or words not in said.source or said.requests_per_second is None:
            return False
        return abs(said.requests_per_second - RATE) <= 0.1 * RATE

    task = asyncio.create_task(load())
    try:
        async with watched(Options(namespace=pods[name].namespace)) as seen:
            state = await seen.until(lambda s: the(s) is not None, 60)
            found = the(state)
            assert found is not None
            seen.target.focus(Interest(focused=found.id))
            found = the(await seen.until(told, 120))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert found is not None
    assert found.latency is not None
    assert found.latency.error_ratio == 0.0
    if name == "counted":  # four of five requests within 0.1 s, the fifth within 0.5
        assert found.latency.p50_seconds == pytest.approx(0.1 * 0.5 / 0.8, rel=0.1)
        assert found.latency.p95_seconds == pytest.approx(0.1 + 0.4 * 0.75, rel=0.1)
