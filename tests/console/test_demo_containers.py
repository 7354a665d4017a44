"""The demo in containers: started on a real engine, and removed whatever ends it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from console.demo import DemoError
from console.demo.containers import LABEL, ContainerDemo, identity
from console.demo.layout import PREFIX, SERVICES

PROGRAM = """
import sys, time
from console.demo.containers import ContainerDemo
with ContainerDemo(sys.argv[1]) as demo:
    print(demo._directory, flush=True)
    time.sleep(600)
"""


def owned(client: Any, owner: str | None = None) -> list[Any]:
    label = LABEL if owner is None else f"{LABEL}={owner}"
    return list(client.containers.list(all=True, filters={"label": label}, ignore_removed=True))


@pytest.fixture
def alone(docker_client: Any) -> None:
    """One demo at a time uses the names."""
    if owned(docker_client):
        pytest.skip("another demo runs on this engine")


@pytest.mark.usefixtures("alone")
def test_the_containers_run_and_are_removed(docker_client: Any, lab_image: str) -> None:
    with ContainerDemo(lab_image) as demo:
        found = owned(docker_client)
        assert sorted(one.name for one in found) == sorted(f"fastops-demo-{one.name}" for one in SERVICES)
        assert {one.status for one in found} == {"running"}
        with pytest.raises(DemoError, match="another demo"):
            ContainerDemo(lab_image).start()
        directory = demo._directory
    assert owned(docker_client) == []
    assert directory is not None
    assert not directory.exists()


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
