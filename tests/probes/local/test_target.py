"""Real servers on this machine: found, measured, followed across restarts."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path

import pytest

from probes.base import PatternKey
from probes.loghits import Pattern
from probes.model import TargetState
from probes.procfs import ProcFs, Tree
from probes.target import Options, Unreadable
from probes.targets.local import target as target_module
from probes.targets.local.target import LocalTarget
from tests.probes.local.servers import answers, free_port, gunicorn, running, unique, uvicorn, watched

CHECKOUT, FRONTDESK, ORDERS, TWIN = (unique(name) for name in ("checkout", "frontdesk", "orders", "twin"))
CHATTY, PLAIN, BARE, REAL = (unique(name) for name in ("chatty", "plain", "bare", "real"))


async def test_a_master_and_its_workers_are_one_deployment_with_its_settings(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / CHECKOUT
    folder.mkdir()
    (folder / "gunicorn.conf.py").write_text("timeout = 77\n")
    with running(
        gunicorn(port, "-w", "2", "--keep-alive", "9"), folder, port, API_TOKEN="hush", MODE="test"
    ) as process:
        async with watched() as watch:
            found = (await watch.until(lambda all_: CHECKOUT in all_ and len(all_[CHECKOUT].workers) == 2))[CHECKOUT]
    assert (found.id, found.framework, found.server, found.kind) == (
        f"local/{CHECKOUT}",
        "fastapi",
        "gunicorn",
        "process",
    )
    assert found.settings["timeout"].value == 77
    assert found.settings["timeout"].source.endswith("gunicorn.conf.py")
    assert found.settings["keepalive"].source == "command line"
    assert found.server_version
    assert found.packages["fastapi"]
    (replica,) = found.replicas
    assert replica.id.startswith(f"{process.pid}:")
    assert [one.role for one in replica.workers] == ["master", "worker", "worker"]
    assert replica.workers[0].pid == process.pid
    assert all(one.rss_bytes and one.pss_bytes and one.open_files and one.open_files_limit for one in replica.workers)
    assert replica.memory.used_bytes
    assert replica.memory.limit.limited is False
    assert {(one.address, one.port) for one in replica.listeners or ()} == {("127.0.0.1", port)}
    assert replica.working_dir == str(folder)
    assert replica.environment["MODE"] == "test"
    assert "hush" not in str(found)
    assert found.logs.state == "followed"
    assert found.node is not None
    assert watch.state is not None
    assert watch.state.nodes[found.node].memory_total_bytes


async def test_the_id_stays_when_the_master_is_started_anew_and_an_ended_one_stays_listed(tmp_path: Path) -> None:
    port = free_port()
    async with watched() as watch:
        with running(uvicorn(port), tmp_path / FRONTDESK, port) as process:
            first = (await watch.until(lambda all_: FRONTDESK in all_))[FRONTDESK]
            assert first.replicas[0].state == "running"
            process.kill()
            process.wait()
            ended = (await watch.until(lambda all_: all_[FRONTDESK].replicas[0].state == "exited"))[FRONTDESK]
            assert ended.replicas[0].exit_code is None
            assert ended.replicas[0].finished_at is not None
            assert not ended.workers
        with running(uvicorn(port), tmp_path / FRONTDESK, port):
            again = (await watch.until(lambda all_: all_[FRONTDESK].replicas[0].state == "running"))[FRONTDESK]
    assert again.id == first.id
    assert again.replicas[0].id != first.replicas[0].id
    assert again.restarts == 1
    assert [event.kind for event in again.replicas[0].events] == ["die", "start"]


async def test_the_id_and_replica_stay_when_workers_are_replaced(tmp_path: Path) -> None:
    port = free_port()
    async with watched() as watch:
        with running(gunicorn(port, "-w", "1"), tmp_path / ORDERS, port) as process:
            first = (await watch.until(lambda all_: ORDERS in all_ and len(all_[ORDERS].workers) == 1))[ORDERS]
            worker = first.workers[0].pid
            os.kill(process.pid, signal.SIGHUP)
            watch.target._done.clear()
            after = (
                await watch.until(
                    lambda all_: (
                        {one.pid for one in all_[ORDERS].workers}.isdisjoint({worker, process.pid})
                        and bool(all_[ORDERS].workers)
                    ),
                    90,
                )
            )[ORDERS]
    assert after.id == first.id
    assert after.replicas[0].id == first.replicas[0].id
    assert after.restarts == 0


async def test_two_of_one_directory_are_told_apart_by_their_ports(tmp_path: Path) -> None:
    one, two = free_port(), free_port()
    with running(uvicorn(one), tmp_path / TWIN, one), running(uvicorn(two), tmp_path / TWIN, two):
        async with watched() as watch:
            await watch.until(lambda all_: {f"{TWIN}-{one}", f"{TWIN}-{two}"} <= set(all_))


async def test_log_lines_are_matched_and_kept(tmp_path: Path) -> None:
    port = free_port()
    pattern = Pattern(key=PatternKey("test/health"), regex=r'"GET (?P<path>/health)')
    async with watched(LocalTarget(Options(patterns=(pattern,)))) as watch:
        with running(uvicorn(port), tmp_path / CHATTY, port):
            await watch.until(lambda all_: CHATTY in all_)
            for _ in range(3):
                answers(port)
            found = (await watch.until(lambda all_: bool(all_[CHATTY].hits) and all_[CHATTY].hits[0].count >= 4))[
                CHATTY
            ]
            (hit,) = found.hits
            assert hit.fields == {"path": "/health"}
            assert hit.marks[-1].at is not None
            assert hit.source == str(tmp_path / CHATTY / "service.log")
            lines = watch.target.lines(found.id)
            assert any('"GET /health' in line.text for line in lines)
            evidence = await watch.target.preserve(found.id)
    assert {"log.txt", "workers.json", "descriptors.txt"} <= set(evidence)
    assert b'"GET /health' in evidence["log.txt"]


async def test_the_access_reads_files_and_asks_over_http(tmp_path: Path) -> None:
    port = free_port()
    with running(uvicorn(port), tmp_path / PLAIN, port):
        async with watched() as watch:
            found = (await watch.until(lambda all_: PLAIN in all_ and bool(all_[PLAIN].replicas[0].listeners)))[PLAIN]
            access, replica = watch.target.access, found.replicas[0]
            answer = await access.get(replica.id, port, "/health")
            assert (answer.status, answer.body) == (200, b'"ok"')
            assert (await access.get(replica.id, free_port(), "/")).error == "refused"
            assert b"FastAPI" in await access.read(replica.id, str(tmp_path / PLAIN / "main.py"))
            with pytest.raises(Unreadable) as caught:
                await access.read(replica.id, "/no/such/file")
            assert caught.value.failure.code == "not-found"
            async with access.dial(replica.id, "127.0.0.1", port) as address:
                assert address == ("127.0.0.1", port)


async def test_what_is_not_fastapi_is_not_listed(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / BARE
    folder.mkdir()
    (folder / "main.py").write_text("from starlette.applications import Starlette\napp = Starlette()\n")
    other = free_port()
    with running(uvicorn(port, "--lifespan", "off"), folder, port), running(uvicorn(other), tmp_path / REAL, other):
        async with watched() as watch:
            found = await watch.until(lambda all_: REAL in all_)
    assert BARE not in found


async def test_a_read_of_proc_that_hangs_is_told_and_ends_with_the_read(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, begun = threading.Event(), []
    real = ProcFs.tree

    def hanging(self: ProcFs) -> Tree:
        begun.append(1)
        gate.wait(60)
        return real(self)

    monkeypatch.setattr(target_module, "_PROC_SECONDS", 0.2)
    monkeypatch.setattr(ProcFs, "tree", hanging)
    target, states = LocalTarget(Options(interval_seconds=0.1)), asyncio.Queue[TargetState]()
    task = asyncio.create_task(target.run(states.put_nowait))
    try:
        async with asyncio.timeout(60):
            while not (state := await states.get()).failures:
                pass
            assert state.failures[0].code == "timeout"
            assert len(begun) == 1
            monkeypatch.undo()
            gate.set()
            while (await states.get()).failures:
                pass
    finally:
        gate.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await target.close()
