"""Pools whose size stands in a service's own files are known without a database that is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from console import pool_settings
from console.config import BadConfig
from console.judging import Judging
from console.pool_settings import PoolSettings
from console.wanted_databases import wanted
from fixes.signatures import _cases
from probes.base import DeploymentId, Failure, ReplicaId, TargetId
from probes.model import Deployment, Link, Setting, TargetState
from probes.orchestrator import Orchestrated, Rollout
from probes.target import Unreadable
from tests.console.test_pooled import NOW

DOCKER = TargetId("docker")
ENGINE = "from sqlalchemy import create_engine\nengine = create_engine(URL, pool_size={})\n"


class Access:
    """Files by their path; what else is asked for is remembered as missing."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.asked: list[str] = []
        self.breaks = False

    async def read(self, replica: ReplicaId, path: str, limit: int) -> bytes:
        self.asked.append(path)
        if self.breaks:
            raise KeyError(path)
        if path not in self.files:
            raise Unreadable(Failure("not-found", path, "there is none", ""))
        return self.files[path].encode()


class Fleet:
    """One target whose services' files are looked at."""

    def __init__(self, sources: tuple[str, ...] = ()) -> None:
        self.changes = 0
        self.judging = Judging(self._changed)
        self.access = Access()
        targets: Any = {DOCKER: SimpleNamespace(access=self.access)}
        self.settings = PoolSettings(targets, self.judging, sources)

    def _changed(self) -> None:
        self.changes += 1

    def publish(self, *deployments: Deployment) -> None:
        known = {one.id: one for one in deployments}
        state = TargetState(target=DOCKER, link=Link("live", NOW), as_of=NOW, deployments=known, complete=True)
        self.judging.board.publish(msgspec.structs.replace(state, changed=frozenset(known)))

    async def look(self, until: Callable[[], bool] = lambda: False) -> None:
        """Runs until the services were looked at and something holds."""
        running = asyncio.create_task(self.settings.run())
        try:
            async with asyncio.timeout(60):
                while not (self.settings.read or until()):
                    await asyncio.sleep(0.01)
        finally:
            running.cancel()

    def pool(self) -> Any:
        return self.judging.board.snapshot().deployments()[0].pool


def _deployment(container: str = "c0ffee", environment: Mapping[str, str] = {}, **more: Any) -> Deployment:
    replica = _cases.replica(id=container, working_dir="/app", environment=environment, command=("uvicorn", "main:app"))
    settings = {"app": Setting("main:app", "command line"), "workers": Setting(2, "command line")}
    made = msgspec.structs.replace(_cases.container(), id=DeploymentId("docker/api"), target=DOCKER)
    return msgspec.structs.replace(made, replicas=(replica,), settings=settings, **more)


async def test_the_source_of_a_container_says_its_pool() -> None:
    fleet = Fleet()
    fleet.access.files["/app/main.py"] = ENGINE.format(4)
    fleet.publish(_deployment(environment={"DB_POOL_SIZE": "50"}))
    await fleet.look()
    pool = fleet.pool()
    assert (pool.size, pool.overflow, pool.in_use) == (4, 10, None)
    assert pool.source == "pool by source /app/main.py:2"
    assert fleet.changes >= 2


async def test_a_service_is_looked_at_once_and_again_when_it_was_started_anew() -> None:
    fleet = Fleet()
    fleet.access.files["/app/main.py"] = ENGINE.format(4)
    fleet.publish(_deployment())
    await fleet.look()
    asked = len(fleet.access.asked)
    fleet.settings.read = False
    await fleet.look()
    assert len(fleet.access.asked) == asked
    fleet.access.files["/app/main.py"] = ENGINE.format(8)
    fleet.publish(_deployment(container="deadbeef"))
    fleet.settings.read = False
    await fleet.look()
    assert fleet.pool().size == 8


async def test_those_that_are_too_many_for_one_look_have_their_turn_at_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_settings, "MOST_DEPLOYMENTS", 2)
    fleet = Fleet()
    fleet.access.files["/app/main.py"] = ENGINE.format(4)
    few = [msgspec.structs.replace(_deployment(container=f"c{n}"), id=DeploymentId(f"docker/{n}")) for n in range(5)]
    fleet.publish(*few)
    known = []
    for _ in range(3):
        fleet.settings.read = False
        await fleet.look()
        known.append(sum(one.pool is not None for one in fleet.judging.board.snapshot().deployments()))
    assert known == [2, 4, 5]


async def test_files_of_pods_are_not_read_and_a_copy_of_their_source_is(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("import os\n" + ENGINE.format("int(os.getenv('SIZE', 1))"))
    pod = _deployment(environment={"SIZE": "6"}, orchestrated=Orchestrated(rollout=Rollout(complete=True, max_surge=1)))
    fleet = Fleet()
    fleet.publish(pod)
    await fleet.look()
    assert fleet.access.asked == []
    assert fleet.pool() is None
    fleet = Fleet((str(tmp_path),))
    fleet.publish(pod)
    await fleet.look()
    pool = fleet.pool()
    assert (pool.size, pool.surge) == (6, 1)
    assert pool.product == f"{pool.workers} × ({pool.replicas}+1) × (6+10)"
    assert f"{tmp_path}/src/main.py:3, SIZE" in pool.source


async def test_a_directory_without_the_service_says_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("pool_size = 99\n")
    fleet = Fleet((str(tmp_path),))
    fleet.publish(_deployment())
    await fleet.look()
    assert fleet.pool() is None


async def test_a_defect_costs_no_other_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path))
    fleet = Fleet()
    fleet.access.breaks = True
    fleet.publish(_deployment())
    await fleet.look()
    assert fleet.settings.read
    assert fleet.pool() is None


def test_a_source_has_to_be_a_directory(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="--source: there is no directory"):
        wanted([], [str(tmp_path / "nowhere")])
    assert wanted([], [str(tmp_path)]).sources == (str(tmp_path.resolve()),)
    assert not wanted([], [str(tmp_path)]), "no server is asked for it"
