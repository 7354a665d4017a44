"""What a Docker target says when its engine fails it: data, one sentence, and what to do next."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta

import pytest

from probes.base import ReplicaId
from probes.logs import LogStream
from probes.model import TargetState
from probes.schedule import Job
from probes.target import Options, ReadOnly, Unreadable
from probes.targets.docker import sampler
from probes.targets.docker.client import EngineClient, EngineError
from probes.targets.docker.measure import LocalMeter, Subject
from probes.targets.docker.target import DockerTarget
from probes.transport import Endpoint
from tests.probes.docker.fake_engine import ID, FakeEngine, frame, inspect
from tests.probes.docker.watching import watched


@pytest.fixture
async def fake(tmp_path):
    engine = FakeEngine(tmp_path / "engine.sock")
    await engine.start()
    yield engine
    await engine.stop()


def spec(fake: FakeEngine) -> str:
    return f"docker:unix://{fake.path}"


def is_live(state: TargetState) -> bool:
    return state.link.state == "live"


async def test_an_engine_on_another_machine_is_measured_by_its_own_answers(fake):
    async with watched(spec(fake)) as seen:
        state = await seen.until(lambda s: s.complete)
        (deployment,) = state.deployments.values()
        (replica,) = deployment.replicas
        assert deployment.server == "uvicorn"
        assert replica.restarts == 2
        assert replica.memory.used_bytes == 900
        assert replica.memory.limit.value == 268435456
        assert [w.rss_bytes for w in replica.workers] == [2048 * 1024]
        assert replica.cpu.used_cores is not None
        assert replica.environment["DB_PASSWORD"] == "•••"
        assert "hunter2" not in str(state)
        assert deployment.capabilities["profile"] is not None


async def test_a_daemon_that_is_not_there_is_down_with_a_hint_and_found_when_it_comes(tmp_path):
    engine = FakeEngine(tmp_path / "late.sock")
    async with watched(f"docker:unix://{engine.path}") as seen:
        state = await seen.until(lambda s: s.link.state == "down")
        assert "no socket" in (state.link.why or "")
        assert "systemctl start docker" in (state.link.hint or "")
        assert state.link.retry_at is not None
        await engine.start()
        assert (await seen.until(lambda s: is_live(s) and bool(s.deployments))).version == "99.0"
        await engine.stop()


async def test_a_daemon_that_goes_away_leaves_what_was_known_and_comes_back(fake):
    async with watched(spec(fake)) as seen:
        await seen.until(lambda s: s.complete)
        await fake.stop()
        lost = await seen.until(lambda s: s.link.state in {"stale", "down"})
        assert len(lost.deployments) == 1
        assert not lost.complete
        await fake.start()
        back = await seen.until(lambda s: s.complete)
        assert back.link.state == "live"
        assert len(back.deployments) == 1


async def test_a_cut_event_stream_is_stale_and_then_live_again_without_what_is_gone(fake):
    async with watched(spec(fake)) as seen:
        await seen.until(lambda s: s.complete)
        fake.container = None
        fake.cut()
        stale = await seen.until(lambda s: s.link.state == "stale")
        assert stale.deployments
        await seen.until(lambda s: is_live(s) and not s.deployments)


async def test_events_alone_tell_what_happened_and_nothing_is_polled(fake):
    async with watched(spec(fake)) as seen:
        await seen.until(lambda s: s.complete)
        lists = fake.paths().count("/containers/json")
        inspects = fake.paths().count(f"/containers/{ID}/json")
        fake.container = inspect(State={"Status": "exited", "Pid": 0, "ExitCode": 137, "OOMKilled": True})
        fake.happen("oom")
        fake.happen("die", exitCode="137")
        state = await seen.until(lambda s: any(r.state == "exited" for d in s.deployments.values() for r in d.replicas))
        (replica,) = next(iter(state.deployments.values())).replicas
        assert (replica.exit_code, replica.oom_killed, replica.ready) == (137, True, False)
        assert [(e.kind, e.exit_code) for e in replica.events] == [("oom", None), ("die", 137)]
        assert fake.paths().count("/containers/json") == lists
        assert fake.paths().count(f"/containers/{ID}/json") == inspects + 1


async def test_a_container_that_vanishes_is_taken_off_the_list(fake):
    async with watched(spec(fake)) as seen:
        await seen.until(lambda s: s.complete)
        fake.container = None
        fake.happen("destroy")
        gone = await seen.until(lambda s: not s.deployments)
        assert gone.changed == {f"{gone.target}/shop"}


async def test_a_container_that_vanishes_between_list_and_inspect_is_not_listed(fake):
    fake.status_for = lambda path: 404 if path == f"/containers/{ID}/json" else 200
    async with watched(spec(fake)) as seen:
        state = await seen.until(lambda s: s.complete)
        assert state.deployments == {}


async def test_what_nobody_may_read_is_forbidden_and_says_how_to_be_allowed(fake):
    fake.status_for = lambda _path: 403
    async with watched(spec(fake)) as seen:
        state = await seen.until(lambda s: s.link.state == "forbidden")
        assert "no, says the engine" in (state.link.why or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every socket")
async def test_a_socket_that_is_closed_to_us_names_the_group_docker(fake):
    fake.path.chmod(0)
    async with watched(spec(fake)) as seen:
        state = await seen.until(lambda s: s.link.state == "forbidden")
        assert "group docker" in (state.link.hint or "")


async def test_one_slow_container_delays_nobody(fake):
    fake.delay_for = lambda path: 30.0 if path.endswith(("/logs", "/stats")) else 0.0
    async with watched(spec(fake)) as seen:
        state = await seen.until(lambda s: s.complete, seconds=25)
        assert len(state.deployments) == 1


async def test_an_engine_that_is_too_old_says_so(fake):
    fake.api_version = "1.39"
    async with watched(spec(fake)) as seen:
        state = await seen.until(lambda s: s.link.state == "down")
        assert "1.41" in (state.link.why or "")


async def test_read_only_lets_nothing_but_reads_through(fake):
    client = EngineClient(Endpoint(url=f"unix://{fake.path}"), read_only=True)
    await client.open()
    seen = len(fake.requests)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        with pytest.raises(ReadOnly):
            await client.request(method, f"/containers/{ID}/update", json={"Memory": 1})
    for path in (f"/containers/{ID}/attach/ws", f"/containers/{ID}/wait", "/session"):
        with pytest.raises(ReadOnly):
            await client.request("GET", path)
    assert len(fake.requests) == seen
    await client.close()
    with pytest.raises(ReadOnly):
        DockerTarget(spec(fake), Options(read_only=True)).writer()


async def test_a_refused_write_carries_the_engines_words(fake):
    client = EngineClient(Endpoint(url=f"unix://{fake.path}"), read_only=False)
    await client.open()
    fake.status_for = lambda _path: 409
    with pytest.raises(EngineError) as refused:
        await client.request("POST", f"/containers/{ID}/start")
    assert (refused.value.status, refused.value.message) == (409, "no, says the engine")
    fake.status_for = lambda _path: 404
    with pytest.raises(Unreadable) as missing:
        await client.request("GET", "/containers/x/json")
    assert missing.value.failure.code == "not-found"
    await client.close()


async def test_a_request_has_a_deadline(fake):
    fake.delay_for = lambda _path: 30.0
    client = EngineClient(Endpoint(url=f"unix://{fake.path}"), read_only=True)
    with pytest.raises(Unreadable) as late:
        await client.open(timeout_seconds=0.2)
    assert late.value.failure.code == "timeout"
    await client.close()


async def test_what_ended_before_the_look_back_is_not_listed(fake):
    long_ago = inspect()["Created"].replace("20", "19", 1)
    fake.container = inspect(State={"Status": "exited", "Pid": 0, "FinishedAt": long_ago})
    async with watched(spec(fake), Options(lookback=timedelta(minutes=15))) as seen:
        assert (await seen.until(lambda s: s.complete)).deployments == {}


async def test_a_log_driver_without_a_log_is_unread_and_says_why(fake):
    fake.container = inspect(HostConfig={"LogConfig": {"Type": "none"}})
    async with watched(spec(fake)) as seen:
        state = await seen.until(lambda s: s.complete)
        (deployment,) = state.deployments.values()
        assert deployment.logs.state == "unread"
        assert "none" in (deployment.logs.why or "")


async def test_a_log_that_the_engine_failed_to_give_is_read_once_it_can(fake):
    fake.status_for = lambda path: 500 if path.endswith("/logs") else 200
    async with watched(spec(fake)) as seen:

        def state_of(state: TargetState) -> str | None:
            return next((one.logs.state for one in state.deployments.values()), None)

        failed = await seen.until(lambda s: s.complete and state_of(s) == "unread")
        (deployment,) = failed.deployments.values()
        assert "500" in (deployment.logs.why or "")
        fake.status_for = lambda _path: 200
        again = await seen.until(lambda s: state_of(s) == "followed")
        (deployment,) = again.deployments.values()
        assert deployment.logs.why is None


@pytest.mark.parametrize("skew_seconds", [-60, 60])
async def test_a_quiet_log_is_followed_without_a_gap_whatever_the_engines_clock_says(fake, skew_seconds):
    fake.skew = timedelta(seconds=skew_seconds)

    def log_for(query: dict[str, list[str]]) -> bytes:
        """Nothing in the past; one line at the moment from which on it is followed."""
        if query.get("follow") != ["1"]:
            return b""
        now = fake.now()
        asked = float(query["since"][0]) <= now.timestamp()
        return frame(1, f"{now:%Y-%m-%dT%H:%M:%S.%f}000Z first words\n".encode()) if asked else b""

    fake.log_for = log_for
    async with watched(spec(fake)) as seen:
        await seen.until(
            lambda s: any("first words" in one.text for key in s.deployments for one in seen.target.lines(key))
        )


async def test_a_log_that_cannot_be_read_for_a_defect_does_not_count_as_followed(fake, monkeypatch):
    def broken(self: LogStream, chunk: bytes) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(LogStream, "feed", broken)
    async with watched(spec(fake)) as seen:
        state = await seen.until(lambda s: any("KeyError" in (d.logs.why or "") for d in s.deployments.values()))
        (deployment,) = state.deployments.values()
        assert deployment.logs.state == "unread"


async def test_a_sweep_that_hangs_is_the_only_one_and_the_state_says_what_is_missing(fake, monkeypatch):
    gate, begun = threading.Event(), []

    def hanging(self: LocalMeter, subjects: list[Subject]) -> dict[ReplicaId, None]:
        begun.append(1)
        gate.wait(60)
        return {one.replica: None for one in subjects}

    tried = asyncio.Queue[int]()
    once = sampler.Sampler._sweep_once

    async def counted(self: sampler.Sampler, jobs: list[Job]) -> None:
        await once(self, jobs)
        tried.put_nowait(1)

    monkeypatch.setattr(sampler.Sampler, "_sweep_once", counted)
    monkeypatch.setattr(LocalMeter, "belongs", lambda *_: True)
    monkeypatch.setattr(LocalMeter, "sweep", hanging)
    monkeypatch.setattr(sampler, "_SWEEP_SECONDS", 0.2)

    def told(state: TargetState) -> bool:
        return any("/proc" in f.why for d in state.deployments.values() for r in d.replicas for f in r.unreadable)

    try:
        async with watched(spec(fake), Options(interval_seconds=0.2)) as seen:
            await seen.until(told)
            async with asyncio.timeout(60):
                for _ in range(3):
                    await tried.get()
            assert len(begun) == 1
            gate.set()
            await seen.until(lambda s: bool(s.deployments) and not told(s))
    finally:
        gate.set()
