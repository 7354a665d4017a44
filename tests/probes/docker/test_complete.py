"""What a Docker target counts as complete: everything that belongs on the list is there, or it says what is not."""

from __future__ import annotations

import pytest

from probes.target import Options
from probes.targets.docker import engine as engines
from probes.targets.docker import target as targets
from tests.probes.docker.fake_engine import ID, FakeEngine, inspect
from tests.probes.docker.watching import watched

STOPPED = {"Status": "exited", "Pid": 0, "ExitCode": 137, "OOMKilled": True}


@pytest.fixture
async def fake(tmp_path):
    engine = FakeEngine(tmp_path / "engine.sock")
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(engines, "_LIST_SECONDS", 0.2)
    monkeypatch.setattr(targets, "_PATIENCE_SECONDS", 3.0)


def finished() -> dict:
    started = inspect()["State"]["StartedAt"]
    return inspect(State={**STOPPED, "FinishedAt": started})


async def test_a_container_that_is_not_looked_at_in_time_is_a_failure_of_a_complete_state(fake, hasty):
    fake.delay_for = lambda path: 60.0 if path == f"/containers/{ID}/json" else 0.0
    async with watched(f"docker:unix://{fake.path}") as seen:
        state = await seen.until(lambda s: s.complete)
        assert all(not one.failures for one in seen.states if not one.complete)
        (failure,) = state.failures
        assert failure.code == "timeout"
        assert failure.what.startswith("1 container (")
        assert failure.hint


async def test_a_container_that_comes_late_but_in_time_is_in_the_first_complete_state(fake, monkeypatch):
    monkeypatch.setattr(engines, "_LIST_SECONDS", 0.1)
    fake.delay_for = lambda path: 2.0 if path == f"/containers/{ID}/json" else 0.0
    async with watched(f"docker:unix://{fake.path}") as seen:
        state = await seen.until(lambda s: s.complete)
        assert len(state.deployments) == 1
        assert state.failures == ()


async def test_an_inspect_that_fails_once_is_tried_again_before_the_state_is_complete(fake, monkeypatch):
    monkeypatch.setattr(engines, "_AGAIN_SECONDS", 0.3)
    looks = iter([500])
    fake.status_for = lambda path: next(looks, 200) if path == f"/containers/{ID}/json" else 200
    async with watched(f"docker:unix://{fake.path}") as seen:
        state = await seen.until(lambda s: s.complete)
        assert len(state.deployments) == 1
        assert state.failures == ()


async def test_a_failure_goes_when_the_container_comes_after_all(fake, hasty):
    fake.delay_for = lambda path: 5.0 if path == f"/containers/{ID}/json" else 0.0
    async with watched(f"docker:unix://{fake.path}") as seen:
        assert (await seen.until(lambda s: s.complete)).failures
        state = await seen.until(lambda s: bool(s.deployments) and not s.failures)
        assert state.complete


async def test_a_stopped_service_whose_files_cannot_be_read_is_listed_by_its_command(fake):
    fake.container = finished()
    fake.delay_for = lambda path: 60.0 if path.endswith("/archive") else 0.0
    async with watched(f"docker:unix://{fake.path}") as seen:
        state = await seen.until(lambda s: s.complete)
        (deployment,) = state.deployments.values()
        assert (deployment.framework, deployment.server) == ("fastapi", "uvicorn")
        assert "could not all be read" in deployment.recognised_by
        assert deployment.replicas[0].oom_killed
        assert state.failures == ()


async def test_files_that_could_not_be_read_are_read_later(fake, monkeypatch):
    monkeypatch.setattr(engines, "_AGAIN_SECONDS", 0.5)
    fake.container = finished()
    fake.delay_for = lambda path: 60.0 if path.endswith("/archive") else 0.0
    async with watched(f"docker:unix://{fake.path}") as seen:
        await seen.until(lambda s: s.complete)
        fake.delay_for = lambda _path: 0.0
        state = await seen.until(
            lambda s: all("could not all be read" not in one.recognised_by for one in s.deployments.values())
        )
        assert len(state.deployments) == 1


async def test_a_service_is_not_complete_before_the_log_of_its_past_was_read(fake):
    fake.container = finished()
    fake.delay_for = lambda path: 6.0 if path.endswith("/logs") else 0.0
    async with watched(f"docker:unix://{fake.path}") as seen:
        state = await seen.until(lambda s: s.complete)
        (deployment,) = state.deployments.values()
        assert deployment.logs.state == "followed"


async def test_a_log_that_is_not_read_in_time_stays_unread_and_says_so(fake, hasty):
    fake.container = finished()
    fake.delay_for = lambda path: 60.0 if path.endswith("/logs") else 0.0
    async with watched(f"docker:unix://{fake.path}", Options()) as seen:
        state = await seen.until(lambda s: s.complete)
        (deployment,) = state.deployments.values()
        assert (deployment.logs.state, deployment.logs.why) == ("unread", "not read yet")
