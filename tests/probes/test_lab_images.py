"""The lab is honest: its cases come up, and a sick one shows its raw fact without any help of fastops."""

from __future__ import annotations

import json
import urllib.request

import pytest

from fixes.catalogue import signatures
from tests.lab.case import InState, Logged, Stop
from tests.lab.cases import CASES, answering, sick
from tests.lab.runner import LABEL, Lab

THIRTEEN = {
    "oom-killed", "worker-sigkill", "worker-timeout", "worker-boot-failed", "missing-env", "bind-loopback",
    "port-mismatch", "memory-limit-low", "memory-leak", "single-process", "event-loop-blocked", "fd-exhausted",
    "pool-exhausted",
}  # fmt: skip


def ask(lab_port: int, path: str) -> object:
    with urllib.request.urlopen(f"http://127.0.0.1:{lab_port}{path}", timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("signature", sorted(THIRTEEN))
def test_each_signature_has_a_sick_case_and_nothing_else_is_expected(signature: str) -> None:
    assert answering(signature)
    assert all(CASES[name].expect | CASES[name].allow <= set(signatures()) for name in sick())


@pytest.mark.parametrize("signature", sorted(THIRTEEN - {"fd-exhausted"}))
def test_each_signature_has_a_look_alike_in_which_it_must_stay_silent(signature: str) -> None:
    look_alikes = [case for case in CASES.values() if case.look_alike_of == signature]
    assert look_alikes
    assert all(signature not in case.expect | case.allow for case in look_alikes)


@pytest.mark.parametrize("name", ["healthy-gunicorn", "healthy-granian", "healthy-product"])
def test_a_healthy_service_answers_and_says_that_it_is_fastapi(lab: Lab, name: str) -> None:
    running = lab.start(CASES[name]).ready()
    assert ask(running.port(), "/health") == {"status": "ok"}
    schema = ask(running.port(), "/openapi.json")
    assert isinstance(schema, dict)
    assert "/health" in schema["paths"]


def test_memory_kills_a_lone_server_and_the_engine_says_so(lab: Lab) -> None:
    running = lab.start(CASES["oom-lone"]).ready()
    state = running.inspect()["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)


def test_a_kill_from_outside_has_the_same_exit_code_and_is_no_oom(lab: Lab) -> None:
    running = lab.start(CASES["killed-from-outside"]).ready()
    state = running.inspect()["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (False, 137)


def test_a_worker_killed_from_outside_is_replaced_and_its_master_lives(lab: Lab) -> None:
    running = lab.start(CASES["worker-killed"]).ready()
    running.wait(Logged("Booting worker with pid", times=3))
    state = running.inspect()["State"]
    assert (state["Running"], state["OOMKilled"]) == (True, False)


def test_two_replicas_of_a_compose_service_carry_its_labels(lab: Lab) -> None:
    running = lab.start(CASES["compose-pair"]).ready()
    labels = [container.labels for container in running.containers]
    assert {one["com.docker.compose.service"] for one in labels} == {"compose-pair"}
    assert {one["com.docker.compose.container-number"] for one in labels} == {"1", "2"}
    assert len({one["com.docker.compose.project"] for one in labels}) == 1


def test_a_lab_removes_its_own_containers_and_no_others(lab: Lab, docker_client) -> None:
    ours = lab.start(CASES["sleeper"])
    with Lab(docker_client) as other:
        gone = other.start(CASES["sleeper"])
        gone.do(Stop(grace_seconds=0))
        gone.wait(InState(status="exited"))
        run = other.run
    assert docker_client.containers.list(all=True, filters={"label": f"{LABEL}={run}"}) == []
    assert ours.inspect()["State"]["Running"]
