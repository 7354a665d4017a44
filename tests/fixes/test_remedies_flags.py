"""Development flags are dropped where the command has them, and it is said where something else asks for them."""

from __future__ import annotations

from typing import Any

import pytest

from fixes.catalogue import remedies, signatures
from fixes.model import RemedyId, SignatureId
from fixes.plan import refusal
from fixes.values import MIB, BadValue, settle
from probes.base import NodeId, ReplicaId, Value
from probes.command import rewrite
from probes.intent import Desired
from probes.model import Deployment, Limit, Memory, Node, Setting, Worker
from probes.pools import DatabaseServer, Held, Pool
from tests.fixes.fake import NOW, deployment, finding, replica

FOUND = finding("dev-server")
DROP = remedies()[RemedyId("drop-dev-flags")]


def dev(*command: str, source: str | None = "command line", host: str = "0.0.0.0", **changes: Any) -> Deployment:
    settings = {"host": Setting(host, "default"), "reload": Setting(source is not None, source or "default")}
    known: dict[str, Any] = {
        "server": "uvicorn",
        "settings": settings,
        "capabilities": {"command": None},
        "replicas": (replica(command=command or ("uvicorn", "a:b", "--reload")),),
    }
    return deployment(**{**known, **changes})


def wanted(one: Deployment) -> Any:
    assert DROP.intend is not None
    return DROP.intend(one, FOUND, {})


def test_it_is_the_first_answer_to_a_development_server() -> None:
    assert signatures()[SignatureId("dev-server")].remedies == ("drop-dev-flags", "advise")


@pytest.mark.parametrize("source", ["command line", "UVICORN_RELOAD", "default"])
def test_flags_of_the_command_and_its_variables_are_dropped(source: str) -> None:
    assert refusal(DROP, dev(source=source), FOUND) is None
    assert wanted(dev(source=source)) == Desired(production=True)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (dev(source="/app/gunicorn.conf.py"), "switched on in /app/gunicorn.conf.py"),
        (dev("python", "main.py", source=None), "its code asks for it"),
        (dev(server=None), "no server that can be told apart"),
        (dev(capabilities={"command": "Stop it and start it with: uvicorn a:b"}), "start it with: uvicorn a:b"),
    ],
)
def test_what_no_command_can_change_is_said(one: Deployment, why: str) -> None:
    assert why in str(refusal(DROP, one, FOUND))


def test_a_flag_that_no_setting_knows_is_dropped_too() -> None:
    assert refusal(DROP, dev("hypercorn", "a:b", "--debug", source=None, server="hypercorn"), FOUND) is None


def several(
    workers: int = 16, *, limit: int | None = None, pss: int | None = 200 * MIB, **changes: Any
) -> tuple[Deployment, dict[str, Value]]:
    """A server that runs one worker while it reloads, and what its parameters settle to."""
    ran = (Worker(7, ReplicaId("c1"), "worker", pss_bytes=pss),)
    one = replica(command=("uvicorn", "a:b", "--reload"), workers=ran, memory=Memory(limit=Limit(bool(limit), limit)))
    settings = {"workers": Setting(workers, "WEB_CONCURRENCY"), "reload": Setting(True, "command line")}
    made = dev(**{"settings": settings, "replicas": (one,), **changes})
    return made, settle(DROP.parameters(made, FOUND, None), {})


def connections(usable: int) -> Pool:
    return Pool("asked", 15, 15, 5, 10, 1, 1, 0, Held(DatabaseServer("db", "postgresql", NOW, None, usable, 15), 15))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 16),
        ({"limit": 512 * MIB}, 2),
        ({"limit": 100 * MIB}, 1),
        ({"limit": 512 * MIB, "pss": None}, 1),
        ({"pool": connections(100)}, 5),
        ({"pool": connections(100), "limit": 512 * MIB}, 2),
        ({"pool": connections(10)}, 1),
    ],
)
def test_workers_that_reloading_hid_start_only_where_they_fit(changes: dict[str, Any], expected: int) -> None:
    one, values = several(**changes)
    assert refusal(DROP, one, FOUND) is None
    assert values == {"workers": expected}
    assert DROP.intend is not None
    want = DROP.intend(one, FOUND, values)
    assert want == Desired(production=True, gunicorn={"workers": expected}, server="uvicorn")
    assert any("of its 16 workers" in said for said in DROP.cautions(one, FOUND, values)) is (expected < 16)
    with pytest.raises(BadValue):
        settle(DROP.parameters(one, FOUND, None), {"workers": expected + 1})


def test_without_a_limit_the_machines_memory_bounds_them() -> None:
    one, _ = several()
    node = Node(NodeId("n"), "n", 4, 8 << 30, 1 << 30)
    assert settle(DROP.parameters(one, FOUND, node), {}) == {"workers": 5}


def test_one_process_that_becomes_several_needs_the_name_where_that_may_break() -> None:
    one, values = several(packages={"apscheduler": "3.10"}, drivers=("asyncpg",))
    assert DROP.confirm is not None
    assert "scheduled jobs" in str(DROP.confirm(one, FOUND, values))
    assert "scheduled jobs" in " ".join(DROP.cautions(one, FOUND, values))
    assert "connections rise by 16/1" in " ".join(DROP.cautions(one, FOUND, values))
    assert DROP.confirm(one, FOUND, {"workers": 1}) is None


def test_a_server_that_runs_its_workers_while_it_reloads_is_asked_nothing() -> None:
    settings = {"workers": Setting(16, "command line"), "reload": Setting(True, "command line")}
    for one in (dev(server="gunicorn", settings=settings), several(1)[0]):
        assert DROP.parameters(one, FOUND, None) == ()
        assert wanted(one) == Desired(production=True)


@pytest.mark.parametrize(
    ("command", "environment", "argv", "left"),
    [
        ("uvicorn a:b --reload --workers 16", {}, "uvicorn a:b --workers 2", {}),
        ("uvicorn a:b --reload", {"WEB_CONCURRENCY": "16"}, "uvicorn a:b", {"WEB_CONCURRENCY": "2"}),
        ("fastapi dev a.py", {"WEB_CONCURRENCY": "16"}, "fastapi run a.py", {"WEB_CONCURRENCY": "2"}),
    ],
)
def test_the_number_that_fits_is_written_where_it_stood(
    command: str, environment: dict[str, str], argv: str, left: dict[str, str]
) -> None:
    want = Desired(production=True, gunicorn={"workers": 2}, server="uvicorn")
    made = rewrite(command.split(), environment, want, {"uvicorn": "0.30"})
    assert (" ".join(made.argv), made.environment) == (argv, left)
    assert any(note.startswith("Its 2 workers start now") for note in made.notes)


def test_loopback_stays_where_others_share_the_network() -> None:
    assert wanted(dev(host="127.0.0.1")) == Desired(production=True)
    shared = dev(host="127.0.0.1", replicas=(replica(network_mode="host", command=("fastapi", "dev")),))
    for one in (shared, dev(host="127.0.0.1", kind="process")):
        assert wanted(one) == Desired(production=True, bind_host="127.0.0.1")
    assert wanted(dev(kind="process")) == Desired(production=True)
