"""Read-only is held below every client: whatever is run and pressed, an engine sees nothing but GET and HEAD."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.app import FastopsApp
from console.config import Config, TargetConfig
from console.session import Session
from fixes.model import Plan, RemedyId, SignatureId
from probes.base import DeploymentId
from probes.target import ReadOnly
from screens import messages
from tests.console._fastops import Fastops, until
from tests.console._places import lasting
from tests.console._pressing import WAYS, only_reads, press_everything, refused, waiting
from tests.lab.cases import CASES
from tests.lab.runner import Lab, Running
from tests.proxy import Proxy

pytestmark = pytest.mark.flaky(reruns=0)  # one write is one too many


@pytest.fixture(scope="module")
def sick(docker_client: Any, lab_image: str) -> Iterator[Running]:
    with Lab(docker_client) as lab:
        yield lab.start(CASES["loopback"], mem_limit="256m").ready()


@pytest.fixture
def proxy(engine: str, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(engine, tmp_path / "engine.sock") as running:
        yield running


@pytest.fixture
def fastops(tmp_path: Path, proxy: Proxy) -> Fastops:
    return Fastops(tmp_path / "home", proxy.url)


# Commands.


def test_the_proxy_sees_what_a_fix_writes(fastops: Fastops, proxy: Proxy, lab: Lab) -> None:
    """Without this the rest would prove nothing."""
    running = lab.start(CASES["limit-256m"]).ready()
    done = fastops("fix", running.deployment, "memory-limit-low", "--yes")
    assert done.status == 0, done.said
    assert [one.method for one in proxy.writes] == ["POST"]
    proxy.forget()
    refused(fastops("undo", "--yes", "--read-only"))
    only_reads(proxy)
    assert running.inspect()["HostConfig"]["Memory"] == 1 << 30


@pytest.mark.parametrize("how", ["option", "before", "environment", "configuration", "target"])
def test_every_command_only_reads(fastops: Fastops, proxy: Proxy, sick: Running, how: str) -> None:
    before = lasting(sick.inspect())
    option = ("--read-only",) if how == "option" else ()
    before_it = ("--read-only",) if how == "before" else ()
    env = {"FASTOPS_READ_ONLY": "1"} if how == "environment" else {}
    fastops.config.write_text(
        {"configuration": "read_only = true", "target": "[targets.docker]\nread_only = true"}.get(how, "")
    )
    for arguments in (
        ("scan", "docker"),
        ("scan", "docker", "--format", "json", "--unknown"),
        ("doctor", "docker"),
        ("history",),
        ("signatures",),
        ("fix", sick.deployment, "bind-loopback", "--dry-run"),
        ("fix", sick.deployment, "single-process", "--dry-run", "--format", "json", "--observe", "10s"),
    ):
        done = fastops(*before_it, *arguments, *option, env=env)
        assert done.status in (0, 1), (arguments, done.said)
    for arguments in (
        ("fix", sick.deployment, "bind-loopback", "--yes"),
        ("fix", sick.deployment, "memory-limit-low", "--yes", "--confirm", sick.names[0]),
    ):
        refused(fastops(*before_it, *arguments, *option, env=env))
    with fastops.begin(*before_it, "watch", "docker", *option, env=env) as watch:
        until("a finding", lambda: sick.deployment in watch.out)
        watch.interrupt()
        watch.wait(20)
    only_reads(proxy)
    assert lasting(sick.inspect()) == before
    assert fastops("history", "--format", "json").json["changes"] == []


def test_an_interrupted_fix_is_named_and_not_touched(fastops: Fastops, proxy: Proxy, lab: Lab) -> None:
    running = lab.start(CASES["loopback"]).ready()
    with fastops.begin("fix", running.deployment, "bind-loopback", "--yes") as fix:
        proxy.at(2, "done", lambda _request: fix.kill())
        fix.wait()
    assert proxy.writes, "it was killed in the middle"
    proxy.forget()
    told = fastops("scan", "docker", "--read-only")
    assert "fastops resume" in told.err, told.said
    refused(fastops("resume", "--yes", "--read-only"))
    refused(fastops("resume", "--yes", "--take-back", "--read-only"))
    only_reads(proxy)
    done = fastops("resume", "--yes", "--take-back")
    assert done.status == 0, done.said


# The console.


@pytest.fixture
def session(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Session]]:
    """A session that is read-only as a whole, or of which the target is."""
    monkeypatch.setenv("DOCKER_HOST", proxy.url)
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path / "state"))
    made: list[Session] = []

    def make(how: str) -> Session:
        config = Config(targets={"docker": TargetConfig(read_only=how == "target")})
        made.append(Session(("docker",), config, read_only=how == "session"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("how", "place"), [*(("session", place) for place in WAYS), ("target", "deployment")])
async def test_no_key_of_any_screen_writes(
    session: Callable[[str], Session], proxy: Proxy, sick: Running, how: str, place: str
) -> None:
    before = lasting(sick.inspect())
    running = session(how)
    app = FastopsApp(running)
    mine = sick.names[0].removeprefix("fastops-lab-").removesuffix("-loopback")  # enough to filter by, and less to type
    async with app.run_test(size=(120, 40)) as pilot:
        await waiting(pilot, "the finding", 60, lambda: bool(running.report.of(DeploymentId(sick.deployment))))

        await press_everything(pilot, mine, WAYS[place])
        assert app.is_running
    only_reads(proxy)
    assert lasting(sick.inspect()) == before


@pytest.mark.slow
@pytest.mark.parametrize("how", ["session", "target"])
async def test_nor_does_a_wish_that_no_key_makes(
    session: Callable[[str], Session], proxy: Proxy, sick: Running, how: str
) -> None:
    """Should a screen ask for a change after all, the application, the session and the transport each say no."""
    before = lasting(sick.inspect())
    running = session(how)
    app = FastopsApp(running)
    answers: list[object] = []
    identity = DeploymentId(sick.deployment)
    async with app.run_test() as pilot:
        await waiting(
            pilot, "the finding", 60, lambda: "bind-loopback" in {f.signature for f in running.report.of(identity)}
        )
        wish = running.plan(identity, SignatureId("bind-loopback"), RemedyId("bind-all-interfaces"))
        plan: Plan = await asyncio.wrap_future(wish)
        app.post_message(messages.ApplyWanted(plan, None, answers.append, answers.append))
        app.post_message(messages.UndoWanted(None, answers.append, answers.append))
        await pilot.pause(0.5)
        with pytest.raises(ReadOnly):
            await asyncio.wrap_future(running.apply(plan))
    only_reads(proxy)
    assert lasting(sick.inspect()) == before
