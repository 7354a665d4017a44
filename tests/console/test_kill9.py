"""kill -9 at every request by which a container is made again: nothing is ever lost, and the next command says so."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, get_args

import pytest

from tests.console._fastops import Begun, Fastops, until
from tests.console._places import lasting, named, of_lab, serves
from tests.lab.cases import CASES
from tests.lab.runner import Lab, Running
from tests.proxy import Moment, Proxy, Request

Ending = Literal["finish", "take back"]
"""What is done about an interrupted fix."""
CASE = CASES["loopback"]
SIGNATURE = "bind-loopback"
MOST_WRITES = 8
"""One more than a recreate of a container in one network with a restart policy takes; the first test holds it."""
AT_ONCE = 3
"""Kills at a time: what takes long is waiting, for a container that stops and one that gets ready."""
COMMAND_SECONDS = 400
"""The deadline of each command: several run at once, beside whatever else the machine does."""


class Scene:
    """A sick container, a fastops with a journal of its own, and the proxy between it and the engine."""

    def __init__(self, client: Any, lab: Lab, engine: str, folder: Path) -> None:
        folder.mkdir()
        self.client = client
        self.proxy = Proxy(engine, folder / "engine.sock")
        self.fastops = Fastops(folder, self.proxy.url)
        self.running: Running = lab.start(CASE, restart_policy={"Name": "unless-stopped"}).ready()
        self.name = self.running.names[0]
        self.before = lasting(self.running.inspect())
        self.old = str(self.running.container.id)

    @property
    def fix(self) -> tuple[str, ...]:
        return ("fix", self.running.deployment, SIGNATURE, "--remedy", "bind-all-interfaces", "--yes")

    @property
    def containers(self) -> dict[str, str]:
        """Name → id of all there is of this service."""
        return {str(one.name): str(one.id) for one in of_lab(self.client, self.running)}

    def is_bound_to_all(self) -> bool:
        return "0.0.0.0" in named(self.client, self.name).attrs["Config"]["Cmd"]


@pytest.fixture
def scene(docker_client: Any, lab: Lab, engine: str, tmp_path: Path) -> Callable[[str], Scene]:
    return lambda name: Scene(docker_client, lab, engine, tmp_path / name)


def killed_at(scene: Scene, number: int, moment: Moment) -> bool:
    """Whether the fix was killed at its N-th write; false when it ended before that."""
    begun: list[Begun] = []

    def kill(_request: Request) -> None:
        begun[0].kill()
        begun[0].process.wait()

    scene.proxy.forget()
    scene.proxy.at(number, moment, kill)
    with scene.fastops.begin(*scene.fix) as fix:
        begun.append(fix)
        done = fix.wait(COMMAND_SECONDS)
    if done.status == -signal.SIGKILL:
        return True
    assert done.status in (0, 5), done.said
    return False


def survives(scene: Scene, number: int, moment: Moment, ending: Ending) -> bool:
    """One kill and what comes after it; true when there was a kill."""
    with scene.proxy:
        if not killed_at(scene, number, moment):
            return False
        at = f"killed at write {number} ({moment}): {scene.proxy.writes[-1]}; there are {scene.containers}"
        assert scene.old in scene.containers.values(), f"the former container is lost; {at}"
        next_command = ("scan", "docker", "--fail-on", "never") if ending == "finish" else ("history",)
        told = scene.fastops(*next_command, timeout=COMMAND_SECONDS)
        assert "fastops resume" in told.err, f"the interrupted fix is not named; {at}\n{told.said}"
        assert scene.running.deployment in told.err + told.out, told.said
        how = ("--take-back",) if ending == "take back" else ()
        resumed = scene.fastops("resume", "--yes", *how, timeout=COMMAND_SECONDS)
        ends_well(scene, ending, f"{at}\nthen {scene.containers}\n{resumed.said}", resumed.status)
    return True


def ends_well(scene: Scene, ending: Ending, after: str, status: int) -> None:
    """The service is there, as it should be or as it was, with nothing beside it that is not wanted."""
    assert status == 0, after
    until(f"the service; {after}", lambda: serves(named(scene.client, scene.name)))
    now = named(scene.client, scene.name)
    assert now.attrs["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped", after
    if ending == "finish":
        assert scene.is_bound_to_all(), after
        assert len(scene.containers) == 2, after  # the former one is kept for an undo
    else:
        assert scene.containers == {scene.name: scene.old}, after
        assert lasting(now.attrs) == scene.before, after
    quiet = scene.fastops("history", "--format", "json")
    assert "fastops resume" not in quiet.err, quiet.said
    states = [change["state"] for change in quiet.json["changes"]]
    assert states == ["applied" if ending == "finish" else "failed"], quiet.said


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("ending", get_args(Ending))
@pytest.mark.parametrize("moment", get_args(Moment))
def test_a_kill_at_any_write_loses_nothing(scene: Callable[[str], Scene], moment: Moment, ending: Ending) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        numbers = range(1, MOST_WRITES + 1)
        kills = list(pool.map(lambda n: survives(scene(f"{n}"), n, moment, ending), numbers))
    assert kills == [True] * (MOST_WRITES - 1) + [False], "as many writes were tried as a recreate takes"


@pytest.mark.slow
def test_an_interrupted_fix_is_named_by_every_command_and_blocks_the_next_one(scene: Callable[[str], Scene]) -> None:
    one = scene("named")
    with one.proxy:
        assert killed_at(one, 2, "done")
        change = one.fastops("history", "--format", "json").json["changes"][0]["id"]
        for arguments in (
            ("history",),
            ("scan", "docker", "--fail-on", "never"),
            ("doctor", "docker"),
            ("signatures",),
            ("fix", one.running.deployment, "single-process", "--dry-run"),
        ):
            told = one.fastops(*arguments)
            assert f"fastops resume {change}" in told.err, (arguments, told.said)
        again = one.fastops(*one.fix)
        assert again.status in (2, 4), again.said
        assert named(one.client, one.name) is not None
        assert one.fastops("resume", change, "--take-back", "--yes").status == 0


@pytest.mark.slow
def test_a_cut_connection_is_taken_back_at_once(scene: Callable[[str], Scene]) -> None:
    """The engine drops a request in the middle of a recreate: the program lives, so it puts everything back itself."""
    one = scene("cut")
    with one.proxy:
        one.proxy.at(3, "asked", lambda _request: None)
        done = one.fastops(*one.fix)
        assert done.status == 4, done.said
        assert one.containers == {one.name: one.old}, done.said
        until("the service", lambda: serves(named(one.client, one.name)))
        assert lasting(named(one.client, one.name).attrs) == one.before
        assert "fastops resume" not in one.fastops("scan", "docker", "--fail-on", "never").err
