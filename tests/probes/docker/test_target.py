"""The Docker target on a real engine."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from probes.base import PatternKey
from probes.loghits import Pattern
from probes.model import Deployment, Interest
from probes.target import Options, Unreadable
from tests.probes.docker.conftest import GUNICORN, UVICORN
from tests.probes.docker.watching import watched

BOOTING = Pattern(PatternKey("test/booting"), r"Booting worker with pid: (?P<pid>\d+)")
OPTIONS = Options(patterns=(BOOTING,))


def measured(deployment: Deployment) -> bool:
    return bool(deployment.workers) and all(w.cpu_percent is not None for w in deployment.workers)


async def test_a_gunicorn_container_is_listed_with_all_that_can_be_known_of_it(start):
    container = start(
        *GUNICORN,
        mem_limit="256m",
        nano_cpus=500_000_000,
        environment={"DATABASE_URL": "postgresql://app:hunter2@db/app", "API_TOKEN": "hunter2"},
        ports={"8000/tcp": ("127.0.0.1", None)},
        ulimits=[{"Name": "nofile", "Soft": 1000, "Hard": 2000}],
    )
    async with watched("docker", OPTIONS) as seen:
        found = await seen.deployment(
            f"docker/{container.name}",
            lambda d: (
                measured(d)
                and len(d.workers) == 2
                and len(d.hits) == 2
                and any(one.status == 404 for one in d.replicas[0].loop_probes)
            ),
        )
        (replica,) = found.replicas
        assert (found.framework, found.server, found.kind) == ("fastapi", "gunicorn", "container")
        assert found.packages["fastapi"]
        assert found.setting("workers") == 2
        assert (replica.state, replica.ready, replica.restarts, replica.oom_killed) == ("running", True, 0, False)
        assert replica.memory.limit.value == 256 << 20
        assert 0 < replica.memory.used_bytes < 256 << 20
        assert replica.memory.oom_kills == 0
        assert replica.cpu.limit.value == 0.5
        assert replica.ulimits["nofile"] == (1000, 2000)
        assert {w.open_files_limit for w in replica.workers} == {1000}
        assert [w.role for w in replica.workers] == ["master", "worker", "worker"]
        assert replica.workers[0].inner_pid == 1
        assert {h.fields["pid"] for h in found.hits} == {str(w.inner_pid) for w in replica.workers[1:]}
        assert [(x.address, x.port) for x in replica.listeners] == [("0.0.0.0", 8000)]
        assert [p.container_port for p in replica.ports] == [8000]
        assert replica.addresses["bridge"]
        assert replica.loop_probes[-1].status == 404
        assert found.logs.state == "followed"
        assert found.capabilities["memory-limit"] is None
        assert "hunter2" not in str(seen.states)
        state = seen.states[-1]
        assert state.version
        assert found.node in state.nodes
        if os.geteuid() == 0:  # the sockets of another user's processes cannot be seen
            seen.target.focus(Interest(focused=found.id))
            state = await seen.until(lambda s: len(s.deployments[found.id].replicas[0].heartbeats) == 2, 120.0)
            (replica,) = state.deployments[found.id].replicas
            assert {one.pid for one in replica.heartbeats} == {w.pid for w in replica.workers[1:]}
            assert {one.every_seconds for one in replica.heartbeats} == {15.0}


async def test_replicas_of_a_compose_service_are_one_deployment_and_one_off_runs_are_none(start):
    project = f"shop{os.getpid()}"

    def labels(number: int, oneoff: str = "False") -> dict[str, str]:
        return {
            "com.docker.compose.project": project,
            "com.docker.compose.service": "web",
            "com.docker.compose.container-number": str(number),
            "com.docker.compose.oneoff": oneoff,
            "com.docker.compose.project.config_files": __file__,
        }

    for number in (2, 1):
        start(*UVICORN, labels=labels(number))
    start(*UVICORN, labels=labels(3, "True"))
    async with watched("docker", OPTIONS) as seen:
        found = await seen.deployment(f"docker/{project}/web", lambda d: len(d.replicas) == 2)
        assert (found.kind, found.name, found.origin, found.desired) == ("compose-service", "web", project, 2)
        assert found.files == (__file__,)
        await seen.until(lambda s: s.complete)
        assert len([d for d in seen.states[-1].deployments if project in d]) == 1


async def test_what_is_no_fastapi_is_not_listed_and_the_label_wins(start):
    quiet = start("sleep", "600")
    refused = start(*UVICORN, labels={"fastops.enable": "false"})
    wanted = start("sleep", "600", labels={"fastops.enable": "true"})
    async with watched("docker", OPTIONS) as seen:
        state = await seen.until(lambda s: s.complete)
        assert f"docker/{wanted.name}" in state.deployments
        assert f"docker/{quiet.name}" not in state.deployments
        assert f"docker/{refused.name}" not in state.deployments


async def test_a_kill_is_told_by_events_and_others_keep_their_identity(start):
    steady, victim = start(*UVICORN), start(*UVICORN)
    async with watched("docker", OPTIONS) as seen:
        await seen.until(lambda s: s.complete)
        await asyncio.to_thread(victim.kill)
        found = await seen.deployment(
            f"docker/{victim.name}", lambda d: d.replicas[0].state == "exited" and d.logs.until
        )
        assert found.replicas[0].exit_code == 137
        kinds = [(e.kind, e.signal, e.exit_code) for e in found.replicas[0].events]
        assert kinds == [("start", None, None), ("kill", 9, None), ("die", None, 137)]
        for before, after in zip(seen.states, seen.states[1:], strict=False):
            for key, deployment in after.deployments.items():
                same = before.deployments.get(key) is deployment
                assert same == (key not in after.changed)
        await asyncio.to_thread(victim.remove)
        gone = await seen.until(lambda s: f"docker/{victim.name}" not in s.deployments)
        assert f"docker/{steady.name}" in gone.deployments


async def test_a_restarted_container_is_measured_anew_and_its_log_goes_on_without_a_line_twice(start):
    container = start(*GUNICORN)
    async with watched("docker", OPTIONS) as seen:
        name = f"docker/{container.name}"
        first = await seen.deployment(name, lambda d: measured(d) and len(d.hits) >= 2)
        await asyncio.to_thread(container.restart, timeout=5)
        again = await seen.deployment(
            name,
            lambda d: measured(d) and {w.pid for w in d.workers}.isdisjoint({w.pid for w in first.workers}),
        )
        assert again.replicas[0].started_at > first.replicas[0].started_at

        def booted() -> list[str]:
            return [one.text for one in seen.target.lines(name) if "Booting worker" in one.text]

        async with asyncio.timeout(20):
            while len(booted()) < 4:
                await asyncio.sleep(0.05)
        assert len(booted()) == 4
        texts = [(one.at, one.text) for one in seen.target.lines(name)]
        assert len(texts) == len(set(texts))


async def test_a_service_that_never_came_up_is_listed_with_its_log(start):
    container = start("uvicorn", "nothing_here:app")
    async with watched("docker", OPTIONS) as seen:
        found = await seen.deployment(
            f"docker/{container.name}", lambda d: d.replicas[0].state == "exited" and d.logs.until
        )
        assert found.replicas[0].exit_code
        assert found.logs.state == "followed"
        async with asyncio.timeout(20):
            while not any("nothing_here" in one.text for one in seen.target.lines(found.id)):
                await asyncio.sleep(0.05)


async def test_a_replica_is_read_by_its_own_address_its_files_and_its_stack(start):
    container = start(*UVICORN)
    async with watched("docker", OPTIONS) as seen:
        name = f"docker/{container.name}"
        found = await seen.deployment(name, lambda d: measured(d) and bool(d.replicas[0].listeners))
        (replica,) = found.replicas
        access = seen.target.access
        answer = await access.get(replica.id, 8000, "/health")
        assert (answer.status, answer.error) == (200, None)
        assert (await access.get(replica.id, 9, "/")).error == "refused"
        content = await access.read(replica.id, "/app/healthy.py")
        assert b"FastAPI" in content
        assert await access.files.read(replica.id, None, "/app/healthy.py") == content
        assert await access.read(replica.id, "/app/healthy.py", limit=10) == content[:10]
        for missing in ("/nowhere", "relative", "/app"):
            with pytest.raises(Unreadable):
                await access.read(replica.id, missing)
        assert (await access.stacks(replica.id, found.workers[0].pid)).frames
        with pytest.raises(Unreadable):
            await access.stacks(replica.id, os.getpid())
        async with access.dial(replica.id, "localhost", 8000) as address:
            assert address == (replica.addresses["bridge"], 8000)
        lines = access.logs(replica.id, datetime.now(UTC) - timedelta(minutes=5))
        assert b"Started server process" in await anext(lines)
        await lines.aclose()


async def test_files_read_through_the_archive_tell_the_same_as_proc(start):
    container = start(*UVICORN)
    container.stop(timeout=5)
    async with watched("docker", Options(patterns=(BOOTING,))) as seen:
        found = await seen.deployment(f"docker/{container.name}")
        assert found.framework == "fastapi"
        assert found.packages["fastapi"]
        assert found.replicas[0].state == "exited"


async def test_a_server_on_loopback_is_seen_by_its_sockets(start):
    container = start("uvicorn", "--port", "8000", "healthy:app")
    async with watched("docker", OPTIONS) as seen:
        found = await seen.deployment(
            f"docker/{container.name}", lambda d: bool(d.replicas[0].listeners) and bool(d.replicas[0].loop_probes)
        )
        assert [x.address for x in found.replicas[0].listeners] == ["127.0.0.1"]
        assert found.replicas[0].loop_probes[-1].error == "refused"


async def test_what_guards_forbid_is_said_beforehand(start):
    owner = start(*UVICORN)
    joined = start(*UVICORN[:-2], "8001", "healthy:app", network_mode=f"container:{owner.id}")
    fleeting = start(*UVICORN, auto_remove=True)
    async with watched("docker", OPTIONS) as seen:
        state = await seen.until(lambda s: s.complete)
        of_owner = state.deployments[f"docker/{owner.name}"].capabilities
        assert joined.name in of_owner["bind"]
        assert of_owner["memory-limit"] is None
        assert "--rm" in state.deployments[f"docker/{fleeting.name}"].capabilities["nofile"]
        neighbour = await seen.deployment(f"docker/{joined.name}", lambda d: bool(d.replicas[0].listeners))
        assert [x.port for x in neighbour.replicas[0].listeners] == [8001]
        answer = await seen.target.access.get(neighbour.replicas[0].id, 8001, "/health")
        assert answer.status == 200


async def test_a_blocked_loop_is_caught_in_the_act(start):
    container = start("uvicorn", "--host", "0.0.0.0", "--port", "8000", "blocking:app")
    async with watched("docker", Options(interval_seconds=1.0)) as seen:
        name = f"docker/{container.name}"
        seen.target.focus(Interest(focused=name))
        found = await seen.deployment(name, lambda d: bool(d.replicas[0].listeners) and measured(d))
        replica = found.replicas[0].id
        blocking = asyncio.create_task(seen.target.access.get(replica, 8000, "/block?seconds=15", 30.0))
        caught = await seen.deployment(name, lambda d: any(not s.idle for s in d.replicas[0].stacks))
        frames = next(s for s in caught.replicas[0].stacks if not s.idle).frames
        assert any("blocking.py" in frame.file for frame in frames)
        blocking.cancel()
        await asyncio.gather(blocking, return_exceptions=True)


async def test_evidence_is_saved_before_a_fix_destroys_it(start):
    container = start(*GUNICORN, environment={"SECRET_KEY": "hunter2"})
    async with watched("docker", OPTIONS) as seen:
        found = await seen.deployment(f"docker/{container.name}", lambda d: measured(d) and len(d.workers) == 2)
        saved = await seen.target.preserve(found.id)
        name = container.name
        assert {"diff.json", "inspect.json", "log", "proc.json", "replica.json", "stacks.json"} == {
            key.removeprefix(f"{name}.") for key in saved
        }
        assert b"hunter2" not in b"".join(saved.values())
        assert b"Booting worker" in saved[f"{name}.log"]
        assert len(json.loads(saved[f"{name}.stacks.json"])) == 4
        processes = json.loads(saved[f"{name}.proc.json"])["processes"]
        assert all(one["descriptors"]["socket"] > 0 for one in processes.values())
