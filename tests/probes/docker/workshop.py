"""What the tests of changing Docker share: containers of their own, and deployments as the reading side lists them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import docker.errors
import pytest

from probes.base import DeploymentId, ReplicaId, TargetId
from probes.model import Deployment, Listener, Replica, Setting
from probes.targets.docker.client import EngineClient
from probes.targets.docker.draft import DockerDrafter
from probes.targets.docker.write import DockerWriter
from probes.transport import Endpoint

T = TypeVar("T")
PACKAGES = {"gunicorn": "23.0.0", "uvicorn": "0.30", "uvicorn-worker": "0.3", "fastapi": "0.115"}
GUNICORN = ["gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "1", "-b", "0.0.0.0:8000", "healthy:app"]
_numbers = itertools.count()


class Workshop:
    """Containers that end with the test, and calls of the code under test on a loop of their own."""

    def __init__(self, sdk: Any, address: str, image: str) -> None:
        self.sdk = sdk
        self.address = address
        self.image = image
        self.said: list[str] = []
        self._mine: list[str] = []

    def name(self, kind: str) -> str:
        """A name that nobody else uses; all that is called so, or begins so, is removed in the end."""
        made = f"fastops-dw-{os.getpid()}-{next(_numbers)}-{kind}"
        self._mine.append(made)
        return made

    def run(self, kind: str, command: list[str] | None = None, **options: Any) -> str:
        """Starts a container (keyword arguments in the API's words); its name."""
        name = self.name(kind)
        start = options.pop("start", True)
        body = {
            "Image": self.image,
            "Cmd": GUNICORN if command is None else command,
            "ExposedPorts": {"8000/tcp": {}},
            "StopTimeout": 1,
            **options,
        }
        answer = self.sdk._post_json(self.sdk._url("/containers/create"), data=body, params={"name": name})
        assert answer.status_code == 201, answer.text
        if start:
            self.sdk.start(name)
        return name

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sdk.inspect_container(name)
        return found

    def named(self, beginning: str) -> dict[str, str]:
        """Names and states of the containers whose name begins so."""
        listed = self.sdk.containers(all=True)
        found = {one["Names"][0].lstrip("/"): one["State"] for one in listed if one["Names"]}
        return {name: state for name, state in found.items() if name.startswith(beginning)}

    def deployment(self, *names: str, ports: tuple[int, ...] = (8000,)) -> Deployment:
        replicas = tuple(
            Replica(
                id=ReplicaId(self.inspect(name)["Id"]),
                name=name,
                state="running",
                listeners=tuple(Listener("0.0.0.0", port) for port in ports),
            )
            for name in names
        )
        return Deployment(
            id=DeploymentId(f"docker/{names[0]}"),
            target=TargetId("docker"),
            name=names[0],
            kind="container",
            framework="fastapi",
            recognised_by="test",
            replicas=replicas,
            settings={"port": Setting(8000, "command line")},
            packages=PACKAGES,
        )

    def draft(self, deployment: Deployment, want: Any) -> Any:
        return self.call(lambda client: DockerDrafter(client).draft(deployment, want))

    def write(self, work: Callable[[DockerWriter], Coroutine[Any, Any, T]], ready_seconds: float = 60.0) -> T:
        return self.call(lambda client: work(DockerWriter(client, ready_seconds, settle_seconds=1.5)))

    def call(self, work: Callable[[EngineClient], Coroutine[Any, Any, T]]) -> T:
        async def whole() -> T:
            client = EngineClient(Endpoint(self.address), read_only=False)
            try:
                await client.open()
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(whole())

    def close(self) -> None:
        """Removes the containers and their volumes: those that were carried over no longer count as anonymous."""
        volumes: set[str] = set()
        for one in self.sdk.containers(all=True):
            names = [name.lstrip("/") for name in one["Names"]]
            if any(name == mine or name.startswith(f"{mine}.fastops-") for name in names for mine in self._mine):
                volumes |= {mount["Name"] for mount in one["Mounts"] if mount["Type"] == "volume"}
                self.sdk.remove_container(one["Id"], force=True, v=True)
        for volume in volumes:
            with contextlib.suppress(docker.errors.NotFound):
                self.sdk.remove_volume(volume)


def free_port() -> int:
    """A port of this machine that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def published(port: int) -> dict[str, Any]:
    """A ``HostConfig`` that publishes the service's port."""
    return {"PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}


def answers(port: int, within_seconds: float = 30.0) -> bool:
    """Whether the service answers on this machine's port, waiting until it does."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    return False


@pytest.fixture
def workshop(docker_client: Any, engine: str, lab_image: str) -> Iterator[Workshop]:
    """Containers of this test, removed when it ends; test files import it by name."""
    made = Workshop(docker_client.api, engine, lab_image)
    yield made
    made.close()
