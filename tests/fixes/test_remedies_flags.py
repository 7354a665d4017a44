"""Development flags are dropped where the command has them, and it is said where something else asks for them."""

from __future__ import annotations

from typing import Any

import pytest

from fixes.catalogue import remedies, signatures
from fixes.model import RemedyId, SignatureId
from fixes.plan import refusal
from probes.intent import Desired
from probes.model import Deployment, Setting
from tests.fixes.fake import deployment, finding, replica

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


def test_loopback_stays_where_others_share_the_network() -> None:
    assert wanted(dev(host="127.0.0.1")) == Desired(production=True)
    shared = dev(host="127.0.0.1", replicas=(replica(network_mode="host", command=("fastapi", "dev")),))
    for one in (shared, dev(host="127.0.0.1", kind="process")):
        assert wanted(one) == Desired(production=True, bind_host="127.0.0.1")
    assert wanted(dev(kind="process")) == Desired(production=True)
