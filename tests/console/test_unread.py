"""What was not read is never taken for what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from console.commands._session import find, must_answer
from console.exits import PARTIAL, USAGE, Stop
from fixes.journal import Journal
from fixes.model import ChangeId, ChangeState, Done, Entry, RemedyId, SignatureId
from probes.base import DeploymentId, Failure, TargetId
from probes.intent import RestorePoint
from probes.model import TargetState
from tests.console._fastops import Fastops
from tests.fixes.fake import restart_step
from tests.screens.reports import CHECKOUT, DOCKER, LOCAL, NOW, REPORTS, report, state

BOTH = (DOCKER, LOCAL)
READ = state(LOCAL, (REPORTS,))
TIMEOUT = Failure("timeout", "1 container (web)", "the engine did not let it be looked at", "scan again")


@pytest.mark.parametrize(
    ("docker", "says"),
    [
        (state(DOCKER, (), "down", "there is no socket", "start it"), "docker: there is no socket (start it)"),
        (state(DOCKER, (CHECKOUT,), "forbidden", "no permission"), "docker: no permission"),
        (replace(state(DOCKER, (CHECKOUT,)), complete=False), "docker: not everything was read"),
        (replace(state(DOCKER, (CHECKOUT,)), failures=(TIMEOUT,)), "docker: 1 container (web): the engine did not"),
        (None, "docker: no answer within"),
    ],
)
def test_a_name_that_is_not_in_what_was_read_may_be_in_the_rest(docker: TargetState | None, says: str) -> None:
    seen = report(READ) if docker is None else report(docker, READ)
    with pytest.raises(Stop, match="there is no deployment 'no-such' in what could be read") as stop:
        find(seen, BOTH, "no-such")
    assert stop.value.status == PARTIAL
    assert says in str(stop.value)
    assert find(seen, BOTH, "reports").id == REPORTS.id


def test_where_everything_was_read_a_name_that_is_not_there_is_wrong_use() -> None:
    with pytest.raises(Stop, match="there are docker/checkout, local/reports") as stop:
        find(report(state(DOCKER, (CHECKOUT,)), READ), BOTH, "no-such")
    assert stop.value.status == USAGE


def test_what_is_to_be_changed_has_to_be_reached() -> None:
    seen = report(state(DOCKER, (CHECKOUT,), "stale", "it was lost"), READ)
    must_answer(seen, LOCAL)
    for target in (DOCKER, TargetId("k8s/prod")):
        with pytest.raises(Stop, match=f"nothing was changed: {target}: ") as stop:
            must_answer(seen, target)
        assert stop.value.status == PARTIAL


@pytest.mark.parametrize(("command", "left"), [("undo", "applied"), ("resume", "applying")])
def test_a_change_of_an_engine_that_is_not_there_is_left_as_it_is(
    tmp_path: Path, command: str, left: ChangeState
) -> None:
    offline = Fastops(tmp_path / "home", f"unix://{tmp_path}/nobody.sock")
    step = restart_step()
    entry = Entry(
        ChangeId("20261122-aaaa"),
        NOW,
        DeploymentId("docker/x"),
        SignatureId("memory-limit-low"),
        RemedyId("set-memory-limit"),
        "Raise the limit",
        left,
        (Done(step.summary, step, "done", RestorePoint(step.action, step.subject, "")),),
    )
    Journal(offline.state / "journal").write(entry)
    for how in ("--yes", "--dry-run") if command == "undo" else ("--yes",):
        done = offline(command, how)
        assert done.status == PARTIAL, done.said
        assert "nothing was changed: docker: there is no socket" in done.err
    assert Journal(offline.state / "journal").read(entry.id) == entry
