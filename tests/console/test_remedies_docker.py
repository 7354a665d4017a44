"""Each remedy on a real engine: found, planned, fixed, verified, taken back, and found again."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixes.model import Plan
from probes.target import Refused
from tests.console._fastops import until
from tests.console._mended import SICK, Scene, watch
from tests.console._places import lasting, named, serves
from tests.console._remedies import FOUND_SECONDS, Remedied, changed_lines, free_port
from tests.console._watching import Watch
from tests.lab.case import Case, Hold, Load, gunicorn
from tests.lab.cases import CASES
from tests.lab.runner import Lab, Running

__all__ = ["watch"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LEAK_SECONDS = 240
"""A leak is told after a worker's first minute and another one."""


def shown(plan: Plan, scene: Scene) -> None:
    """The plan's diffs are of what will be written, and of the file's wanted lines alone."""
    assert plan.steps
    assert {step.action for step in plan.steps} == (
        {"recreate" if scene.sick.recreates else "update"} | ({"write-file"} if scene.file else set())
    )
    for step, change in zip(plan.steps, plan.changes, strict=True):
        assert step.before.title == change.document
        removed, added = changed_lines(change.diff)
        assert added or removed, change
        if step.action != "write-file":
            continue
        assert step.before.text.encode() == scene.text
        assert [x.strip() for x in removed] == [x.strip() for x in scene.sick.removed]
        if scene.sick.added:
            assert [x.strip() for x in added] == [x.strip() for x in scene.sick.added]
    assert plan.restart is scene.sick.recreates


@pytest.mark.parametrize("remedy", sorted(SICK))
def test_a_remedy_ends_its_finding_and_taking_it_back_brings_it_back(
    docker_client: Any, lab: Lab, watch: Watch, tmp_path: Path, remedy: str
) -> None:
    """On a plain container and on one of a Compose project, at the same time: most of it is waiting."""
    with ThreadPoolExecutor() as pool:
        scenes = pool.map(lambda folder: Scene(docker_client, lab, watch, SICK[remedy], folder), (None, tmp_path))
        for _ in pool.map(there_and_back, scenes):
            pass


def there_and_back(one: Scene) -> None:
    """What drives the case goes on over the fix and after it was taken back: it asks for the published port."""
    sick = one.sick
    one.remedied.await_found()
    if sick.connections:
        one.remedied.await_load(sick.connections)
    plan = one.remedied.plan(sick.remedy, dict(sick.values))
    shown(plan, one)
    assert lasting(one.attrs) == one.before, "a plan changes nothing"
    outcome = one.remedied.apply(plan, plan.confirm and one.name)
    one.remedied.is_gone(outcome)
    assert sick.now(one.attrs), one.attrs["Config"]
    assert (one.attrs["Id"] != one.old) is sick.recreates
    until("the service", lambda: serves(named(one.client, one.name)))
    if one.file is not None:
        (written,) = [s for s in plan.steps if s.action == "write-file"]
        assert one.file.read_text() == written.after.text != one.text.decode()
    one.remedied.await_gone()
    undone = one.remedied.undo(outcome)
    assert undone.applied, (undone, one.remedied.said)
    one.is_as_before()
    one.remedied.await_found()
    if sick.signature == "bind-loopback":
        until("the service", lambda: serves(named(one.client, one.name)))


def test_a_restart_clears_what_a_start_clears_and_cannot_be_taken_back(
    docker_client: Any, lab: Lab, watch: Watch
) -> None:
    """An import of yesterday left its files open; the listeners of today would fit in well."""
    case = Case("descriptors-left", gunicorn("descriptors:app"), nofile=64, drive=(Hold(connections=12),))
    running = lab.start(case, ports={"8000/tcp": ("127.0.0.1", free_port())}).ready()
    one = Remedied(watch, running.deployment, "fd-exhausted")
    leave_open(running, one)
    one.await_load(2)
    before, started = lasting(running.inspect()), running.inspect()["State"]["StartedAt"]
    plan = one.plan("restart")
    assert [step.action for step in plan.steps] == ["restart"]
    assert plan.restart
    outcome = one.apply(plan)
    one.is_gone(outcome)
    assert running.inspect()["State"]["StartedAt"] > started
    assert lasting(running.inspect()) == before
    one.await_gone()
    undone = one.undo(outcome)
    assert undone.applied
    assert "a restart leaves nothing to take back" in one.said
    assert running.inspect()["State"]["Status"] == "running"
    leave_open(running, one)


def leave_open(running: Running, one: Remedied) -> None:
    """Imports until the finding is there."""

    def found() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{running.port()}/template", timeout=10, trust_env=False)
        return one.found

    until("fd-exhausted", found, FOUND_SECONDS)


def test_profile_names_the_line_that_blocks_and_changes_nothing(lab: Lab, watch: Watch) -> None:
    running = lab.start(CASES["blocked-sleep"]).ready()
    one = Remedied(watch, running.deployment, "event-loop-blocked")
    one.await_found()
    before = lasting(running.inspect())
    advice = watch.session.profile(one.deployment).result(60)
    assert "blocking.py" in advice.text + advice.code
    assert lasting(running.inspect()) == before


def test_advise_shows_what_to_write_and_changes_nothing(lab: Lab, watch: Watch) -> None:
    running = lab.start(CASES["wrong-port"]).ready()
    one = Remedied(watch, running.deployment, "port-mismatch")
    one.await_found()
    plan = one.plan("advise")
    assert plan.advice is not None
    assert "8000" in plan.advice.text + plan.advice.code
    assert plan.steps == ()
    with pytest.raises(Refused):
        one.apply(plan)


@pytest.mark.timeout(1200)  # twice the time in which a leak is told, and its verification
def test_a_leak_is_bounded_by_recycling_and_told_again_without_it(docker_client: Any, lab: Lab, watch: Watch) -> None:
    """Each worker that is recycled lives for less than the two minutes in which a leak could be told."""
    leaking = Case(
        "leaks-per-request",
        gunicorn("memory:app"),
        memory="1g",
        drive=(Load("/grow?mb=1", every_seconds=0.5), Hold(connections=8)),
    )
    one = Scene(docker_client, lab, watch, SICK["enable-worker-recycling"]._replace(case=leaking), None)
    one.remedied = Remedied(watch, one.running.deployment, "memory-leak")
    one.remedied.await_found(LEAK_SECONDS)
    one.remedied.await_load(2)
    plan = one.remedied.plan("enable-worker-recycling", {"max_requests": 20, "max_requests_jitter": 5})
    outcome = one.remedied.apply(plan)
    one.remedied.is_gone(outcome)
    one.remedied.await_gone()
    undone = one.remedied.undo(outcome)
    assert undone.applied, (undone, one.remedied.said)
    one.is_as_before()
    one.remedied.await_found(LEAK_SECONDS)
