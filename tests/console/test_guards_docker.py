"""What no remedy may do on a real engine: lose a file, cut off memory in use, overwrite what somebody else changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from probes.target import Refused
from tests.console._fastops import until
from tests.console._mended import MIB, SICK, Scene, plain, watch
from tests.console._places import named, serves
from tests.console._remedies import Remedied, applied
from tests.console._watching import Watch
from tests.lab.case import gunicorn
from tests.lab.cases import CASES
from tests.lab.runner import Lab

__all__ = ["watch"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_new_container_that_does_not_come_up_gives_its_place_back(docker_client: Any, lab: Lab, watch: Watch) -> None:
    one = plain(docker_client, lab, watch, "apply-gunicorn-config")
    one.remedied.await_found()
    plan = one.remedied.plan("apply-gunicorn-config", {"worker_class": "no.such.Worker"})
    outcome = one.remedied.apply(plan, plan.confirm and one.name)
    assert not outcome.applied
    assert outcome.why
    assert "no.such.Worker" in outcome.why or "boot" in outcome.why.lower() or "code" in outcome.why
    one.is_as_before()
    until("the service", lambda: serves(named(docker_client, one.name)))


def test_a_container_started_with_rm_is_not_recreated(docker_client: Any, lab: Lab, watch: Watch) -> None:
    one = plain(docker_client, lab, watch, "bind-all-interfaces", auto_remove=True)
    one.remedied.await_found()
    with pytest.raises(Refused, match="--rm"):
        one.remedied.plan("bind-all-interfaces")
    assert named(docker_client, one.name).status == "running"


def test_a_container_whose_network_another_one_shares_is_not_recreated(
    docker_client: Any, lab: Lab, watch: Watch
) -> None:
    one = plain(docker_client, lab, watch, "bind-all-interfaces")
    guest = lab.start(CASES["sleeper"], network_mode=f"container:{one.old}").ready()
    one.remedied.await_found()
    with pytest.raises(Refused, match=guest.names[0]):
        one.remedied.plan("bind-all-interfaces")
    one.is_as_before()


def test_files_changed_inside_a_container_need_its_name_typed(docker_client: Any, lab: Lab, watch: Watch) -> None:
    one = plain(docker_client, lab, watch, "bind-all-interfaces")
    assert one.running.container.exec_run(["sh", "-c", "echo 1 > /app/orders.db"]).exit_code == 0
    one.remedied.await_found()
    plan = one.remedied.plan("bind-all-interfaces")
    assert plan.confirm is not None
    assert "/app/orders.db" in plan.confirm
    for wrong in (None, "yes"):
        with pytest.raises(Refused, match=one.name):
            one.remedied.apply(plan, wrong)
    one.is_as_before()
    outcome = one.remedied.apply(plan, one.name)
    assert outcome.applied, outcome
    assert one.remedied.undo(outcome).applied
    one.is_as_before()
    kept = named(docker_client, one.name).exec_run(["cat", "/app/orders.db"])
    assert kept.output == b"1\n"


def test_memory_in_use_is_never_cut_off_by_an_undo(docker_client: Any, lab: Lab, watch: Watch) -> None:
    case = msgspec.structs.replace(CASES["limit-256m"], command=gunicorn("memory:app"))
    running = lab.start(case).ready()
    one = Remedied(watch, running.deployment, "memory-limit-low")
    one.await_found()
    outcome = one.apply(one.plan("set-memory-limit", {"limit": 1024 * MIB}))
    assert outcome.verified == "gone", outcome
    httpx.get(f"http://127.0.0.1:{running.port()}/eat?mb=400", timeout=60, trust_env=False)
    with pytest.raises(Refused, match="256"):
        applied(one.undo(outcome))
    assert running.inspect()["HostConfig"]["Memory"] == 1024 * MIB
    assert running.inspect()["State"]["Status"] == "running"


def test_what_was_changed_since_is_not_taken_back(docker_client: Any, lab: Lab, watch: Watch) -> None:
    running = lab.start(CASES["limit-256m"]).ready()
    one = Remedied(watch, running.deployment, "memory-limit-low")
    one.await_found()
    outcome = one.apply(one.plan("set-memory-limit"))
    assert outcome.applied, outcome
    running.container.update(mem_limit=900 * MIB, memswap_limit=900 * MIB)
    with pytest.raises(Refused, match="changed since"):
        applied(one.undo(outcome))
    assert running.inspect()["HostConfig"]["Memory"] == 900 * MIB


def test_a_plan_is_refused_when_its_file_was_changed_meanwhile(
    docker_client: Any, lab: Lab, watch: Watch, tmp_path: Path
) -> None:
    one = Scene(docker_client, lab, watch, SICK["set-memory-limit"], tmp_path)
    one.remedied.await_found()
    plan = one.remedied.plan("set-memory-limit")
    assert one.file is not None
    one.file.write_bytes(one.text + b"# somebody was here\n")
    digest = hashlib.sha256(one.file.read_bytes()).hexdigest()
    with pytest.raises(Refused, match="plan again"):
        applied(one.remedied.apply(plan))
    assert hashlib.sha256(one.file.read_bytes()).hexdigest() == digest
    assert one.attrs["HostConfig"]["Memory"] == 256 * MIB
