"""What only its files can tell: looked into once, and kept off the list for a moment while somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from probes.base import Failure
from probes.model import Memory
from probes.target import Unreadable
from probes.targets.kubernetes import contents as contents_module
from probes.targets.kubernetes.contents import Contents
from probes.targets.kubernetes.headroom import WAIT_SECONDS, Headroom
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.undecided import LOOK_SECONDS, STARTING_SECONDS, Undecided
from tests.probes.kubernetes._cluster import TARGET, Given, container, pod, running, workload
from tests.probes.kubernetes._inside import Inside

SITE = "/usr/lib/python3.12/site-packages"
PACKAGES = {f"{SITE}/{one}.dist-info/METADATA": "" for one in ("fastapi-0.115.2", "uvicorn-0.34.0", "starlette-0.41.0")}
FASTAPI = {"/app/main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}
STARLETTE = {"/app/main.py": "from starlette.applications import Starlette\napp = Starlette()\n"}
SERVE = {"/app/serve.py": "import uvicorn, fastapi\napp = fastapi.FastAPI()\nuvicorn.run(app, host='127.0.0.1')\n"}
PRODUCT = [container(command=["python", "-m", "serve"], args=None)]
CREATING = running(ready=False, containerID=None, state={"waiting": {"reason": "ContainerCreating"}})
WEB = "shop/Deployment/web"


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def waiting() -> tuple[Given, Clock]:
    given, clock = Given(), Clock()
    given.fleet.undecided = Undecided(clock)
    given.fleet.undecided.looking = True
    return given, clock


def later(given: Given, clock: Clock, seconds: float) -> set[str]:
    """What is listed after so long."""
    clock.now += seconds
    given.fleet.again(given.fleet.undecided.spent())
    given.fleet.refresh()
    return given.ids()


def test_what_only_its_command_speaks_for_waits_for_a_look() -> None:
    given, clock = waiting()
    given.put("pods", pod())
    assert given.ids() == set()
    assert [one.deployment for one in given.fleet.undecided.unseen()] == [f"{TARGET}/{WEB}"]
    assert later(given, clock, LOOK_SECONDS / 2) == set()
    assert later(given, clock, LOOK_SECONDS) == {WEB}
    assert not given.fleet.undecided.waiting


def test_what_does_not_run_yet_waits_longer_and_not_for_ever() -> None:
    given, clock = waiting()
    given.put("deployments", workload()).put("pods", pod(status=CREATING))
    assert later(given, clock, LOOK_SECONDS * 2) == set()
    assert later(given, clock, STARTING_SECONDS) == {WEB}


@pytest.mark.parametrize(
    "status",
    [
        running(restartCount=1),
        running(state={"waiting": {"reason": "ImagePullBackOff"}}),
        running(state={"terminated": {"exitCode": 3, "reason": "Error"}}),
        {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
    ],
)
def test_what_is_in_trouble_is_shown_at_once(status: dict[str, Any]) -> None:
    given, _ = waiting()
    assert given.put("pods", pod(status=status)).ids() == {WEB}


def test_what_is_listed_already_stays_so_while_it_is_looked_into() -> None:
    given, _ = waiting()
    given.fleet.undecided.looking = False
    given.put("pods", pod())
    given.fleet.undecided.looking = True
    changed = container(image="shop:2")
    given.put("pods", pod("web-abc-2", spec={"containers": [changed]}))
    assert given.ids() == {WEB}


def test_what_is_annotated_or_scaled_to_nothing_does_not_wait() -> None:
    given, _ = waiting()
    assert given.put("pods", pod(metadata={"annotations": {"fastops.io/enable": "true"}})).ids() == {WEB}
    given, _ = waiting()
    assert given.put("deployments", workload(spec={"replicas": 0})).ids() == {WEB}


def test_when_nobody_looks_any_more_nothing_waits() -> None:
    given, clock = waiting()
    given.put("pods", pod())
    given.fleet.undecided.looking = False
    assert later(given, clock, 0) == {WEB}


@asynccontextmanager
async def watched(given: Given, inside: Inside, asked: Callable[[], bool] = lambda: True) -> AsyncIterator[Contents]:
    """A target that lists nothing yet, with somebody who looks."""
    contents = Contents(given.fleet, asked)
    task = asyncio.create_task(contents.run(inside))
    await asyncio.sleep(0)
    yield contents
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until_settled(given: Given, contents: Contents) -> set[str]:
    """What is listed then, and all that was listed before."""
    listed: set[str] = set()
    async with asyncio.timeout(30):
        while True:
            given.fleet.refresh()
            listed |= given.ids()
            if contents.settled:
                return listed
            await asyncio.sleep(0.02)


async def test_another_framework_is_never_listed(tmp_path: Path) -> None:
    inside = Inside(tmp_path)
    inside.write({**PACKAGES, **STARLETTE})
    given = Given()
    async with watched(given, inside) as contents:
        given.put("pods", pod(status=CREATING))
        assert not contents.settled
        given.put("pods", pod())
        assert await until_settled(given, contents) == set()


async def test_a_service_that_is_looked_into_is_listed(tmp_path: Path) -> None:
    inside = Inside(tmp_path)
    inside.write({**PACKAGES, **FASTAPI})
    given = Given()
    async with watched(given, inside) as contents:
        given.put("pods", pod())
        assert await until_settled(given, contents) == {WEB}
        assert "is made by fastapi 0.115.2" in given["shop/Deployment/web"].recognised_by


async def test_a_server_in_code_is_listed_with_what_it_binds_and_stays_so(tmp_path: Path) -> None:
    inside = Inside(tmp_path)
    inside.write({**PACKAGES, **SERVE})
    given = Given()
    async with watched(given, inside) as contents:
        given.put("pods", pod(spec={"containers": PRODUCT}))
        assert await until_settled(given, contents) == {WEB}
        found = given["shop/Deployment/web"]
        assert (found.server, found.setting("host"), found.setting("port")) == ("uvicorn", "127.0.0.1", 8000)
        assert len(inside.asked) <= 3
        image = [{**PRODUCT[0], "image": "shop:2"}]
        given.put("deployments", workload(spec={"template": {"spec": {"containers": image}}}))
        assert given.ids() == {WEB}, "the next image of what is known to serve FastAPI does not take it off the list"
        assert "before" in given["shop/Deployment/web"].recognised_by


async def test_each_container_that_may_serve_is_looked_into_once(tmp_path: Path) -> None:
    inside = Inside(tmp_path)
    inside.write({**PACKAGES, **SERVE, "/app/helper.py": "import time\ntime.sleep(9)\n"})
    helper = container(name="helper", command=["python", "helper.py"], args=None)
    both = running() | {
        "containerStatuses": [running()["containerStatuses"][0], running("helper")["containerStatuses"][0]]
    }
    given = Given()
    async with watched(given, inside) as contents:
        given.put("pods", pod(spec={"containers": [helper, *PRODUCT]}, status=both))
        assert await until_settled(given, contents) == {WEB}
        assert {one for _, _, one in inside.asked} == {"helper", "app"}
        asked = len(inside.asked)
        given.fleet.again([one.id for one in given.fleet.deployments.values()])
        await until_settled(given, contents)
        assert len(inside.asked) == asked


async def test_an_image_without_python_is_tried_once_and_its_command_counts(tmp_path: Path) -> None:
    absent = Unreadable(Failure("no-command", "a command", "there is no python3", ""))
    inside, given = Inside(tmp_path, absent), Given()
    async with watched(given, inside) as contents:
        given.put("pods", pod(), pod("own", of=[], spec={"containers": PRODUCT}))
        assert await until_settled(given, contents) == {WEB}
        assert len(inside.asked) == 4, "two names of the interpreter for each"
        assert list(given.fleet.undecided.unseen()) == []


async def test_nothing_is_run_where_memory_is_short(tmp_path: Path) -> None:
    inside = Inside(tmp_path)
    inside.write({**PACKAGES, **STARLETTE})
    given = Given().put("pods", limited("64Mi"))
    replica = given[WEB].replicas[0].id
    given.fleet.measured[replica] = Measured(memory=Memory(used_bytes=60 << 20))
    async with watched(given, inside) as contents:
        assert await until_settled(given, contents) == {WEB}
        assert inside.asked == []
        given.fleet.measured[replica] = Measured(memory=Memory(used_bytes=20 << 20))
        assert not contents.settled
        await until_settled(given, contents)
        assert given.ids() == set()


def limited(memory: str) -> dict[str, Any]:
    return pod(spec={"containers": [container(resources={"limits": {"memory": memory}})]})


@pytest.mark.parametrize(("memory", "runs"), [("64Mi", False), ("127Mi", False), ("128Mi", True), ("1Gi", True)])
async def test_without_figures_nothing_is_run_below_a_small_limit(tmp_path: Path, memory: str, runs: bool) -> None:
    inside, asked = Inside(tmp_path), [False]
    inside.write({**PACKAGES, **FASTAPI})
    given = Given().put("pods", limited(memory))
    assert given.ids() == {WEB}
    async with watched(given, inside, lambda: asked[0]) as contents:
        assert not contents.settled
        await asyncio.sleep(0.1)
        assert inside.asked == [], "its figures may come"
        asked[0] = True
        assert await until_settled(given, contents) == {WEB}
        assert bool(inside.asked) == runs


async def test_figures_that_come_decide(tmp_path: Path) -> None:
    for used, runs in ((20 << 20, True), (60 << 20, False)):
        inside = Inside(tmp_path)
        inside.write({**PACKAGES, **FASTAPI})
        given = Given().put("pods", limited("64Mi"))
        replica = given[WEB].replicas[0].id
        async with watched(given, inside, lambda: False) as contents:
            assert not contents.settled
            given.fleet.measured[replica] = Measured(memory=Memory(used_bytes=used))
            assert await until_settled(given, contents) == {WEB}
            assert bool(inside.asked) == runs


def test_figures_are_waited_for_as_long_as_they_may_come_and_not_for_ever() -> None:
    given, clock = Given().put("pods", limited("1Gi")), Clock()
    assert given.ids() == {WEB}
    for asked in (False, True):
        headroom = Headroom(lambda asked=asked: asked, clock)
        (one,) = given.fleet.unseen(given.fleet.deployments)
        assert headroom.of(one, given.fleet.deployments, {}) == "awaited"
        assert headroom.of(one, {}, {}) == "enough", "of what is not listed nothing is measured"
        clock.now += WAIT_SECONDS
        assert headroom.of(one, given.fleet.deployments, {}) == "enough"


async def test_what_is_not_listed_yet_waits_for_no_figures_and_is_listed_where_its_limit_is_small(
    tmp_path: Path,
) -> None:
    inside, given = Inside(tmp_path), Given()
    inside.write({**PACKAGES, **STARLETTE})
    async with watched(given, inside) as contents:
        given.put("pods", limited("1Gi"))
        assert await until_settled(given, contents) == set()
        assert len(inside.asked) == 1
    inside, given = Inside(tmp_path), Given()
    async with watched(given, inside, lambda: False) as contents:
        given.put("pods", limited("64Mi"))
        assert given.ids() == set()
        async with asyncio.timeout(10):
            while not given.ids():
                await asyncio.sleep(0.02)
                given.fleet.refresh()
        assert (given.ids(), inside.asked) == ({WEB}, [])


async def test_containers_that_end_meanwhile_do_not_make_their_node_silent(tmp_path: Path) -> None:
    why = 'Internal error occurred: unable to upgrade connection: container not found ("app")'
    inside = Inside(tmp_path, Unreadable(Failure("server-error", "a command", why, "")))
    inside.write({**PACKAGES, **FASTAPI})
    given = Given().put("pods", *(pod(f"web-{index}", of=[]) for index in range(4)))
    async with watched(given, inside) as contents:
        await until_settled(given, contents)
        assert len(inside.asked) == 4
        inside.refusal = None
        given.put("pods", pod("fresh", of=[]))
        await until_settled(given, contents)
        assert "is made by" in given["shop/Pod/fresh"].recognised_by


async def test_nothing_waits_for_a_look_at_a_node_that_does_not_answer(tmp_path: Path) -> None:
    inside, given = Inside(tmp_path, Unreadable(Failure("timeout", "a command", "no answer", ""))), Given()
    async with watched(given, inside) as contents:
        given.put("pods", *(pod(f"web-{index}", of=[]) for index in range(2)))
        await until_settled(given, contents)
        asked = len(inside.asked)
        given.put("pods", pod("fresh", of=[]))
        assert "shop/Pod/fresh" in await until_settled(given, contents)
        assert len(inside.asked) == asked == 2


async def test_one_container_that_answers_nothing_does_not_keep_its_neighbours_from_being_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents_module, "_AGAIN_SECONDS", (0.0, 0.0))
    inside, given = Inside(tmp_path, Unreadable(Failure("timeout", "a command", "no answer", ""))), Given()
    inside.write({**PACKAGES, **FASTAPI})
    async with watched(given, inside) as contents:
        given.put("pods", pod("stuck", of=[]))
        async with asyncio.timeout(20):
            while len(inside.asked) < 2:
                await asyncio.sleep(0.02)
        inside.refusal = None
        given.put("pods", pod("fresh", of=[]))
        await until_settled(given, contents)
        assert "is made by" in given["shop/Pod/fresh"].recognised_by


async def test_a_refusal_leaves_what_the_command_says(tmp_path: Path) -> None:
    inside = Inside(tmp_path, Unreadable(Failure("forbidden", "a command", "the API server says 403", "")))
    given = Given()
    async with watched(given, inside) as contents:
        given.put("pods", pod())
        assert await until_settled(given, contents) == {WEB}
        assert len(inside.asked) == 1


async def test_in_a_large_fleet_nothing_is_looked_into_that_nobody_looks_at(tmp_path: Path) -> None:
    inside, given = Inside(tmp_path), Given()
    given.put("pods", *(pod(f"own-{index}", of=[], spec={"containers": PRODUCT}) for index in range(70)))
    async with watched(given, inside) as contents:
        given.put("pods", pod())
        assert given.ids() == {WEB}, "nothing waits there"
        given.drop("pods", "shop/web-abc-1")
        assert contents.settled
        await asyncio.sleep(0.1)
        assert inside.asked == []
