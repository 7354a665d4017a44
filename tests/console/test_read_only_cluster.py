"""Read-only on Kubernetes: an account that may do everything, and an API server that sees nothing but GET and HEAD."""

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
from tests.cluster import accounts
from tests.cluster.api import Api
from tests.cluster.cases import CASES
from tests.cluster.runner import KubeLab, RunningPods
from tests.console._between import between
from tests.console._fastops import Fastops, until
from tests.console._pressing import WAYS, only_reads, press_everything, refused, waiting
from tests.proxy import Proxy

pytestmark = pytest.mark.flaky(reruns=0)  # one write is one too many

EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
"""Within its namespace: what is not refused by fastops is refused by nobody."""


@pytest.fixture(scope="module")
def sick(kube_api: Api, make_namespace: Any) -> Iterator[RunningPods]:
    with KubeLab(kube_api, make_namespace()) as lab:
        yield lab.start(CASES["loopback"]).ready()


@pytest.fixture(scope="module")
def mighty(kube_api: Api, sick: RunningPods, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of an account that may do everything in the namespace; its context is ``mighty``."""
    return accounts.make(kube_api, sick.namespace, "mighty", EVERYTHING, tmp_path_factory.mktemp("mighty"))


@pytest.fixture
def way(mighty: Path, tmp_path: Path) -> Iterator[tuple[Proxy, Path]]:
    with between(mighty, tmp_path) as made:
        yield made


def lasting(running: RunningPods) -> Any:
    """What a write would change: what is wanted, and who is there."""
    found = running.workload()
    names = sorted(pod["metadata"]["name"] for pod in running.pods())
    return found["spec"], found["metadata"]["generation"], found["metadata"].get("annotations"), names


def test_the_proxy_sees_what_a_fix_writes(way: tuple[Proxy, Path], sick: RunningPods, tmp_path: Path) -> None:
    """Without this the rest would prove nothing: the same commands without read-only do send what is no read."""
    proxy, kubeconfig = way
    fastops = Fastops(tmp_path / "home", kubeconfig=kubeconfig)
    done = fastops("scan", "k8s", "-n", sick.namespace, "--exec")
    assert done.status in (0, 1), done.said
    assert any(one.upgrade for one in proxy.requests), "an exec takes the connection over"
    proxy.forget()
    fastops("doctor", "k8s", "-n", sick.namespace)
    assert {one.method for one in proxy.writes} == {"POST"}
    proxy.forget()
    fastops("fix", sick.deployment("mighty"), "bind-loopback", "--dry-run")
    assert any("dryRun=All" in one.path for one in proxy.writes), "the server's own dry run is a PATCH"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["option", "environment", "configuration", "target", "production"])
def test_every_command_only_reads(way: tuple[Proxy, Path], sick: RunningPods, tmp_path: Path, how: str) -> None:
    proxy, kubeconfig = way
    before = lasting(sick)
    fastops = Fastops(tmp_path / "home", kubeconfig=kubeconfig)
    option = ("--read-only",) if how == "option" else ()
    env = {"FASTOPS_READ_ONLY": "1"} if how == "environment" else {}
    fastops.config.write_text(
        {
            "configuration": "read_only = true",
            "target": '[targets."k8s:mighty"]\nread_only = true',
            "production": '[targets."k8s:migh*"]\nproduction = true',
        }.get(how, "")
    )
    identity, namespace = sick.deployment("mighty"), sick.namespace
    for arguments in (
        ("scan", "k8s", "-n", namespace),
        ("scan", "k8s", "-n", namespace, "--format", "json", "--unknown", "--exec"),
        ("doctor", "k8s", "-n", namespace),
        ("history",),
        ("rbac",),
        ("fix", identity, "bind-loopback", "--dry-run"),
        ("fix", identity, "bind-loopback", "--dry-run", "--format", "json", "--observe", "5s"),
    ):
        done = fastops(*arguments, *option, env=env)
        assert done.status in (0, 1), (arguments, done.said)
    done = fastops("fix", identity, "bind-loopback", "--yes", "--confirm", sick.case.name, *option, env=env)
    refused(done)
    assert ("--no-read-only" in done.err) is (how == "production"), done.said
    with fastops.begin("watch", "k8s", "-n", namespace, *option, env=env) as watch:
        until("a finding", lambda: identity in watch.out)
        watch.interrupt()
        watch.wait(20)
    only_reads(proxy)
    assert lasting(sick) == before
    assert fastops("history", "--format", "json").json["changes"] == []


@pytest.fixture
def session(way: tuple[Proxy, Path], sick: RunningPods, tmp_path: Path, monkeypatch: Any) -> Iterator[Any]:
    """A session that is read-only as a whole, or of which the target is."""
    monkeypatch.setenv("KUBECONFIG", str(way[1]))
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path / "state"))
    made: list[Session] = []

    def make(how: str) -> Session:
        config = Config(targets={"k8s:mighty": TargetConfig(production=how == "production")})
        read_only = True if how == "session" else None
        made.append(Session(("k8s",), config, read_only=read_only, execute=True, namespace=sick.namespace))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("how", "place"), [*(("session", place) for place in WAYS), ("production", "deployment")])
async def test_no_key_of_any_screen_writes(
    session: Callable[[str], Session], way: tuple[Proxy, Path], sick: RunningPods, how: str, place: str
) -> None:
    before = lasting(sick)
    running = session(how)
    app = FastopsApp(running)
    identity = DeploymentId(sick.deployment("mighty"))
    async with app.run_test(size=(120, 40)) as pilot:
        await waiting(pilot, "the finding", 60, lambda: bool(running.report.of(identity)))
        await press_everything(pilot, sick.case.name, WAYS[place])
        assert app.is_running
    only_reads(way[0])
    assert lasting(sick) == before


@pytest.mark.slow
@pytest.mark.parametrize("how", ["session", "production"])
async def test_nor_does_a_wish_that_no_key_makes(
    session: Callable[[str], Session], way: tuple[Proxy, Path], sick: RunningPods, how: str
) -> None:
    before = lasting(sick)
    running = session(how)
    app = FastopsApp(running)
    answers: list[object] = []
    identity = DeploymentId(sick.deployment("mighty"))
    async with app.run_test() as pilot:
        await waiting(
            pilot, "the finding", 60, lambda: "bind-loopback" in {f.signature for f in running.report.of(identity)}
        )
        wish = running.plan(identity, SignatureId("bind-loopback"), RemedyId("bind-all-interfaces"))
        plan: Plan = await asyncio.wrap_future(wish)
        app.post_message(messages.ApplyWanted(plan, sick.case.name, answers.append, answers.append))
        app.post_message(messages.UndoWanted(None, answers.append, answers.append))
        await pilot.pause(0.5)
        with pytest.raises(ReadOnly):
            await asyncio.wrap_future(running.apply(plan, sick.case.name))
    only_reads(way[0])
    assert lasting(sick) == before
