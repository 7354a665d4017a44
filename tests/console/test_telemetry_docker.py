"""`enable-telemetry` on a real engine: the diff, the container made anew, what it then sends, and the way back."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.config import Config
from console.session import Session
from fixes.model import Report
from tests.console._fastops import Fastops
from tests.console.test_telemetry import driven, is_near
from tests.probes.local.servers import free_port
from tests.probes.otlp.messages import BOUNDS
from tests.probes.test_latency import service, within_its_bucket

WAIT_SECONDS = 180
RATE = 20.0


@pytest.fixture
def shop(docker_client: Any, lab_image: str, tmp_path: Path) -> Iterator[Any]:
    """A container of a FastAPI service with two workers and no environment of its own."""
    service(tmp_path / "shop", "")
    command = ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--no-access-log"]
    name = f"fastops-otlp-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    made = docker_client.containers.run(
        lab_image, command, name=name, detach=True, working_dir="/shop",
        volumes={str(tmp_path / "shop"): {"bind": "/shop", "mode": "ro"}},
    )  # fmt: skip
    yield made
    for one in docker_client.containers.list(all=True, filters={"name": name}):
        one.remove(force=True)


def _address(docker_client: Any, name: str) -> tuple[str, str]:
    """The container's own address, and this machine's in its network."""
    network = docker_client.containers.get(name).attrs["NetworkSettings"]["Networks"]["bridge"]
    return network["IPAddress"], network["Gateway"]


def test_it_is_set_with_a_diff_and_tells_what_was_driven_and_is_taken_back(
    docker_client: Any, engine: str, shop: Any, tmp_path: Path
) -> None:
    fastops, port = Fastops(tmp_path / "own", engine), free_port()
    _, gateway = _address(docker_client, shop.name)
    ask = ("fix", f"docker/{shop.name}", "enable-telemetry")

    deaf = fastops(*ask, "--dry-run")
    assert deaf.status == 4, deaf.said
    assert f"start it with --telemetry {gateway}:4318" in deaf.err

    done = fastops(*ask, "--yes", "--set", "interval=1", "--format", "json", "--telemetry", f"{gateway}:{port}")
    assert done.status == 0, done.said
    diff = "".join(change["diff"] for change in done.json["plan"]["changes"])
    assert f"+  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: http://{gateway}:{port}/v1/metrics" in diff, diff
    assert done.json["outcome"]["verified"] == "gone"

    address, _ = _address(docker_client, shop.name)
    with (
        Session([f"docker:{engine}"], Config(telemetry=f"{gateway}:{port}")) as session,
        driven({shop.name: f"{address}:8000"}, {shop.name: RATE}) as loads,
    ):

        def told(report: Report) -> bool:
            return any(d.name == shop.name and is_near(d.latency, RATE) for d in report.snapshot.deployments())

        assert session.wait(WAIT_SECONDS, told), [d.latency for d in session.report.snapshot.deployments()]
        latency = next(d.latency for d in session.report.snapshot.deployments() if d.name == shop.name)
        assert latency is not None
        assert within_its_bucket(latency.p50_seconds, loads[shop.name].percentile(0.50), BOUNDS)
        assert latency.error_ratio == pytest.approx(0.1, abs=0.05)

    undone = fastops("undo", "--yes")
    assert undone.status == 0, undone.said
    environment = docker_client.containers.get(shop.name).attrs["Config"]["Env"]
    assert not any(one.startswith(("OTEL_", "FASTAPI_")) for one in environment)
