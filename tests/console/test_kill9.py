"""kill -9 at every request by which a container is made again: nothing is ever lost, and the next command says so."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.console._fastops import until
from tests.console._killed import Ending, Place, Scene
from tests.console._places import lasting, named, serves
from tests.lab.runner import Lab
from tests.proxy import Moment

# What is lost once is lost: no rerun may hide it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.flaky(reruns=0)]
WRITES: dict[Place, int] = {"networks": 8, "compose": 7}
"""That a recreate of a container with a restart policy takes there: one more for the second network."""
RENAMES = 2
"""In the folder of the Compose file: of its copy, and of itself."""
AT_ONCE = 4
"""Kills at a time: what takes long is waiting, for a container that stops and one that gets ready."""


@pytest.fixture(scope="module")
def network(docker_client: Any) -> Iterator[str]:
    """A second one to be in."""
    made = docker_client.networks.create(f"fastops-kill9-{os.getpid()}")
    yield made.name
    made.remove()


@pytest.fixture
def scene(docker_client: Any, network: str, lab: Lab, engine: str, tmp_path: Path) -> Callable[[str, Place], Scene]:
    return lambda name, place: Scene(docker_client, lab, engine, tmp_path / name, place, network)


@pytest.mark.parametrize("moment", get_args(Moment))
@pytest.mark.parametrize("place", get_args(Place))
def test_a_kill_at_any_write_loses_nothing(scene: Callable[[str, Place], Scene], place: Place, moment: Moment) -> None:
    """Each is taken back, which leaves all as it was, and then done again and finished."""

    def survives(number: int) -> bool:
        one = scene(str(number), place)
        with one.proxy:
            for ending in get_args(Ending):
                if not one.killed_at(number, moment):
                    return False
                one.ends_well(ending, f"killed at write {number} ({moment}): {one.proxy.writes[-1]}")
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        kills = list(pool.map(survives, range(1, WRITES[place] + 2)))
    assert kills == [True] * WRITES[place] + [False], "as many writes were tried as a recreate takes"


def test_a_kill_while_the_compose_file_is_written_leaves_it_whole(scene: Callable[[str, Place], Scene]) -> None:
    def survives(at: tuple[int, Moment]) -> bool:
        number, moment = at
        one = scene(f"{number}-{moment}", "compose")
        with one.proxy:
            for ending in get_args(Ending):
                if not one.killed_writing(number, moment):
                    return False
                assert not one.proxy.writes, "the file is written before the container is touched"
                one.ends_well(ending, f"killed at rename {number} ({moment})")
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        moments = [(number, moment) for number in range(1, RENAMES + 2) for moment in get_args(Moment)]
        kills = list(pool.map(survives, moments))
    assert kills == [number <= RENAMES for number, _ in moments], "as many renames were tried as there are"


def test_an_interrupted_fix_is_named_by_every_command_and_blocks_the_next_one(
    scene: Callable[[str, Place], Scene],
) -> None:
    one = scene("named", "networks")
    with one.proxy:
        assert one.killed_at(2, "done")
        change = one.fastops("history", "--format", "json").json["changes"][0]["id"]
        for arguments in (
            ("history",),
            ("scan", "docker", "--fail-on", "never"),
            ("doctor", "docker"),
            ("signatures",),
            ("fix", one.deployment, "single-process", "--dry-run"),
        ):
            told = one.fastops(*arguments)
            assert f"fastops resume {change}" in told.err, (arguments, told.said)
        again = one.fastops(*one.fix)
        assert again.status in (2, 4), again.said
        assert named(one.client, one.name) is not None
        assert one.fastops("resume", change, "--take-back", "--yes").status == 0


def test_a_cut_connection_is_taken_back_at_once(scene: Callable[[str, Place], Scene]) -> None:
    """The engine drops a request in the middle of a recreate: the program lives, so it puts everything back itself."""
    one = scene("cut", "networks")
    with one.proxy:
        one.proxy.at(3, "asked", lambda _request: None)
        done = one.fastops(*one.fix)
        assert done.status == 4, done.said
        assert one.containers == {one.name: one.old}, done.said
        until("the service", lambda: serves(named(one.client, one.name)))
        assert lasting(named(one.client, one.name).attrs) == one.before
        assert "fastops resume" not in one.fastops("scan", "docker", "--fail-on", "never").err
