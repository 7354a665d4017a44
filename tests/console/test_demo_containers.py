"""The demo in containers: started on a real engine, and removed whatever ends it."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.demo import DemoError
from console.demo.containers import LABEL, ContainerDemo, create, identity
from console.demo.layout import PREFIX, SERVICES
from probes.base import DeploymentId
from tests.conftest import PROMISE
from tests.console._fastops import Fastops, until
from tests.console._mended import watch
from tests.console._remedies import Remedied
from tests.console._terminal import Terminal
from tests.console._watching import Watch
from tests.parts import missing

__all__ = ["watch"]

OTHERS_SECONDS = 120
FOUND_SECONDS = 480
"""A leak is told after a worker's first minute and another one, on a busy machine later."""
FIXED_SECONDS = 180
END_SECONDS = 60
PROGRAM = """
import sys, time
from console.demo.containers import ContainerDemo
with ContainerDemo(sys.argv[1]) as demo:
    print(demo.directory, flush=True)
    time.sleep(600)
"""


def owned(client: Any, owner: str | None = None) -> list[Any]:
    label = LABEL if owner is None else f"{LABEL}={owner}"
    return list(client.containers.list(all=True, filters={"label": label}, ignore_removed=True))


@pytest.fixture
def alone(docker_client: Any) -> None:
    """One demo at a time uses the names: another one is waited for."""
    try:
        until("the end of another demo", lambda: not owned(docker_client), OTHERS_SECONDS)
    except AssertionError:
        missing("another demo runs on this engine all the time", PROMISE)


@pytest.mark.usefixtures("alone")
def test_the_containers_run_and_are_removed(docker_client: Any, lab_image: str) -> None:
    with ContainerDemo(lab_image) as demo:
        found = owned(docker_client)
        assert sorted(one.name for one in found) == sorted(f"fastops-demo-{one.name}" for one in SERVICES)
        assert {one.status for one in found} == {"running"}
        with pytest.raises(DemoError, match="another demo"):
            ContainerDemo(lab_image).start()
        directory = demo.directory
    assert owned(docker_client) == []
    assert directory is not None
    assert not directory.exists()


@pytest.fixture
def place() -> Iterator[Path]:
    """Where the demo makes its directory."""
    made = Path(tempfile.mkdtemp(prefix="demo-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def of_demo(client: Any) -> dict[str, set[str]]:
    """Ids of all that an engine may keep for a demo."""
    return {
        "images": {one.id for one in client.images.list() if any("fastops-demo" in tag for tag in one.tags)},
        "networks": {one.id for one in client.networks.list() if "fastops-demo" in one.name},
        "containers": {one.id for one in owned(client)},
        "volumes": {one.id for one in client.volumes.list() if LABEL in (one.attrs.get("Labels") or {})},
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("alone")
def test_each_illness_is_found_in_its_container_and_one_ends_by_a_key(
    docker_client: Any, engine: str, lab_image: str, watch: Watch, place: Path, tmp_path: Path
) -> None:
    """A session beside the console looks at the same containers: what it finds, the console shows."""
    before = of_demo(docker_client)
    fastops = Fastops(tmp_path, engine)
    command = fastops.command("demo", "--docker", "--image", lab_image)
    ill = {one.name: Remedied(watch, f"docker/fastops-demo-{one.name}", one.signature or "") for one in SERVICES}
    with Terminal(command, fastops.env | {"TMPDIR": str(place)}) as terminal:
        for service in SERVICES:
            if service.signature is not None:
                ill[service.name].await_found(FOUND_SECONDS)
        worst = watch.session.report.of(ill["frontdesk"].deployment)[0].signature
        until("the fleet on the screen", lambda: "fastops-demo-frontdesk" in terminal.shown, END_SECONDS)
        terminal.answer("/", " of ")
        terminal.press("fastops-demo-frontdes")
        terminal.answer("k", "1 of ")
        terminal.answer("\r", "f fix")
        terminal.answer("f", "it asks first")
        terminal.answer("\r", "Apply this on docker/fastops-demo-frontdesk?")
        terminal.answer("y", "takes it back", FIXED_SECONDS)
        assert changes(fastops, place) == [(worst, "applied", "gone")]
        assert fastops("history", "--format", "json").json["changes"] == [], "a demo's changes are nobody's own"
        Remedied(watch, ill["frontdesk"].deployment, worst).await_gone()
        assert not watch.now(DeploymentId("docker/fastops-demo-accounts")) & {one.signature for one in SERVICES}
        terminal.press("q")
        terminal.process.wait(END_SECONDS)
        assert terminal.process.returncode == 0, terminal.shown[-2000:]
    assert of_demo(docker_client) == before
    assert list(place.iterdir()) == []


def changes(fastops: Fastops, place: Path) -> list[tuple[str, str, str | None]]:
    """What the demo's journal says: the latest change first."""
    (directory,) = place.iterdir()
    env = {"FASTOPS_STATE": str(directory / "state")}
    listed = fastops("history", "--format", "json", env=env).json["changes"]
    return [(one["signature"], one["state"], one["verified"]) for one in listed]


@pytest.mark.usefixtures("alone")
def test_nothing_outlives_a_kill(docker_client: Any, lab_image: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, lab_image], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        directory = Path(process.stdout.readline().decode().strip())
        assert directory.name.startswith(PREFIX)
        owner = identity(process.pid)
        assert len(owned(docker_client, owner)) == len(SERVICES)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    deadline = time.monotonic() + 60
    while owned(docker_client, owner) or directory.exists():
        assert time.monotonic() < deadline, "containers or files were left behind"
        time.sleep(0.2)


@pytest.mark.usefixtures("alone")
def test_what_was_left_by_a_dead_demo_is_swept(docker_client: Any, lab_image: str) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = identity(ended.pid)
    ended.communicate()
    name = "fastops-demo-stale"
    with contextlib.suppress(Exception):
        docker_client.containers.get(name).remove(force=True)
    docker_client.containers.create(lab_image, ["true"], name=name, labels={LABEL: owner})
    with ContainerDemo(lab_image):
        assert owned(docker_client, owner) == []


class Recorder:
    """An engine's client that keeps what it is asked to create."""

    def __init__(self) -> None:
        self.containers = self
        self.made: list[dict[str, Any]] = []

    def create(self, _image: str, _command: list[str], **options: Any) -> Any:
        self.made.append(options)
        return SimpleNamespace(start=lambda: None)


def test_no_container_is_ill_by_what_nobody_meant(place: Path) -> None:
    client = Recorder()
    assert [name for name, _ in create(client, "any", place, "me")] == [one.name for one in SERVICES]
    ports = {made["ports"]["8000/tcp"] for made in client.made}
    assert len(ports) == len(SERVICES), "each keeps a port of its own when it is made anew"
    assert all(port for _, port in ports)
    assert all(made["mem_limit"] for made in client.made), "a missing limit would outrank the illness"
    (files,) = next(made["ulimits"] for made in client.made if made["name"] == "fastops-demo-gateway")
    assert files.soft == 64
    assert files.hard >= 2 * files.soft, "there is room for the fix below what an engine may refuse"


def test_an_image_that_is_not_here_is_said(engine: str) -> None:
    before = set(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
    with pytest.raises(DemoError, match="--image"):
        ContainerDemo("fastops-test/no-such-image:1").start()
    assert set(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")) <= before


def test_without_an_engine_the_demo_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(DemoError, match="Docker Engine"):
        ContainerDemo(None).start()
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(DemoError, match="on this machine"):
        ContainerDemo(None).start()
