"""A container whose script starts several servers: the FastAPI one is listed, the others are named beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from console.contract.report import worker
from fixes.catalogue import signatures
from fixes.track import Tracker
from probes.base import TargetId
from probes.history import History
from probes.model import Deployment, Link, Listener, Snapshot, TargetState, Worker
from probes.targets.docker.deployments import build, deployment_id
from probes.targets.docker.measure import Reading
from screens.facts import worker_cells, worker_keys
from tests.probes.docker.test_locks import FILES, container

API = b"from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = b"from flask import Flask\napp = Flask(__name__)\n"
NOW = datetime.now(UTC)
BESIDE = "gunicorn web:app on :8001"


@pytest.fixture(autouse=True)
def sources(monkeypatch):
    for path, data in {
        "/app/api.py": API,
        "/app/web.py": FLASK,
        "/api-last.sh": b"#!/bin/sh\ngunicorn web:app -b :8001 &\nexec uvicorn api:app --host 0.0.0.0 --port 8000\n",
        "/api-first.sh": b"#!/bin/sh\nuvicorn api:app --host 0.0.0.0 --port 8000 &\nexec gunicorn web:app -b :8001\n",
    }.items():
        monkeypatch.setitem(FILES, path, data)


async def running(script: str) -> Deployment:
    one = await container(script)
    one.take(
        Reading(
            at=NOW,
            workers=(
                Worker(11, one.id, "server", started_at=NOW),
                Worker(12, one.id, "master", started_at=NOW, beside=BESIDE),
                Worker(13, one.id, "worker", started_at=NOW, beside=BESIDE),
            ),
            listeners=(Listener("0.0.0.0", 8000), Listener("0.0.0.0", 8001)),
        )
    )
    target = TargetId("docker")
    return build(target, deployment_id(target, one), [one], oldest=NOW, joined={}, node=None, local=True)


@pytest.mark.parametrize("script", ["/api-last.sh", "/api-first.sh"])
async def test_the_fastapi_application_is_the_deployment_wherever_it_stands_in_the_script(script):
    found = await running(script)
    assert (found.framework, found.server) == ("fastapi", "uvicorn")
    assert (found.setting("app"), found.setting("port")) == ("api:app", 8000)


async def test_the_other_server_is_named_and_its_processes_are_not_counted_as_the_deployment_s():
    found = await running("/api-last.sh")
    assert found.recognised_by.endswith("; in the same container: gunicorn web:app on :8001")
    (replica,) = found.replicas
    assert [one.pid for one in replica.workers] == [11]
    assert [one.pid for one in replica.others] == [12, 13]
    assert [one.pid for one in replica.processes] == [11, 12, 13]


async def test_a_report_and_a_screen_show_the_processes_of_both():
    found = await running("/api-last.sh")
    shown = [worker(one) for replica in found.replicas for one in replica.processes]
    assert [(one.pid, one.beside) for one in shown] == [(11, None), (12, BESIDE), (13, BESIDE)]
    cells = [worker_cells(one)[1].text for one in worker_keys(found).values()]
    assert [str(cell) for cell in cells] == ["server", "beside", "beside"]


async def test_nothing_is_made_up_from_the_two_together():
    found = await running("/api-last.sh")
    state = TargetState(found.target, Link("live", NOW), NOW, deployments={found.id: found})
    report = Tracker(tuple(signatures().values())).advance(
        Snapshot(NOW, {found.target: state}), History(), NOW + timedelta(minutes=2)
    )
    assert report.failures == ()
    assert {one.signature for one in report.of(found.id)} <= {"memory-limit-low", "probe-missing"}
