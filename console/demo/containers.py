"""The demo's services in containers: ``fastops demo --docker``."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from console.demo.layout import LOOPBACK, MEMORY_BYTES, OPEN_FILES_HARD, PREFIX, SERVICES, DemoError
from console.demo.owned import Owned
from console.demo.supervisor import free_ports
from probes.target import Options, Target
from probes.text import line

LABEL = "fastops.demo"
"""On every container of a demo: ``HOST PID START`` of the process that it belongs to."""
NAME = "fastops-demo-{service}"
PORT = 8000
BASE = "python:3.12-slim"
TAG = "fastops-demo:1"
_PACKAGES = "fastapi gunicorn uvicorn uvicorn-worker sqlalchemy"
START_SECONDS = 300.0
"""The image may have to be built first."""


class ContainerDemo:
    """The demo's containers, from :meth:`start` to :meth:`stop`; a context manager like :class:`console.demo.Demo`."""

    def __init__(self, image: str | None) -> None:
        self._image = image
        self._keeper: Owned | None = None
        self.directory: Path | None = None

    def start(self) -> Self:
        """Starts the containers and returns when all are started (not: ready). Raises :class:`DemoError`."""
        owner = identity(os.getpid())
        with engine() as client:
            _sweep(client)
            image = self._image or _built(client)
            _require(client, image)
        # The services' files are mounted from here: a container that is made anew by a fix keeps them.
        directory = self.directory = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        directory.chmod(0o755)
        arguments = [str(directory), image, owner]
        self._keeper = Owned(
            "console.demo.keeper", arguments, directory / "keeper.log", lambda: clear(owner, directory)
        )
        try:
            self._keeper.start(START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Removes every container and the files. Idempotent."""
        keeper, directory = self._keeper, self.directory
        self._keeper = self.directory = None
        if keeper is not None:
            keeper.stop()
        if directory is not None:
            clear(identity(os.getpid()), directory)

    def target(self, options: Options) -> Target:
        """The engine on which the containers run, with everything else that runs there."""
        from probes.targets import open_target

        return open_target("docker", options)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextlib.contextmanager
def engine() -> Iterator[Any]:
    """The SDK's client of the engine in force; raises :class:`DemoError` where none on this machine answers."""
    import docker
    from docker.errors import DockerException

    from probes.target import Unreadable
    from probes.targets.docker import contexts

    try:
        url = contexts.resolve().url
        if not url.startswith("unix://"):
            raise DemoError(f"the demo's containers need an engine on this machine, not {line(url, 200)}")
        with socket.socket(socket.AF_UNIX) as trial:
            trial.connect(url.removeprefix("unix://"))
        client = docker.DockerClient(base_url=url, timeout=60)
    except (DockerException, Unreadable, OSError) as error:
        raise DemoError(f"no Docker Engine answers: {line(str(error), 300)}") from None
    try:
        client.ping()
        yield client
    except (DockerException, OSError) as error:
        raise DemoError(f"Docker Engine refused: {line(str(error), 300)}") from None
    finally:
        client.close()


def create(client: Any, image: str, directory: Path, owner: str) -> Iterator[tuple[str, Any]]:
    """Lays out, creates and starts the container of each service; yields its name and the container."""
    import docker

    # The ports are chosen here: a container that a fix makes anew keeps its own, and with it its load.
    for service, port in zip(SERVICES, free_ports(len(SERVICES)), strict=True):
        folder = directory / service.name
        service.lay_out(folder, PORT, "0.0.0.0")
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)
        ulimits = []
        if service.open_files is not None:
            ulimits = [docker.types.Ulimit(name="nofile", soft=service.open_files, hard=OPEN_FILES_HARD)]
        container = client.containers.create(
            image,
            list(service.command(PORT, "0.0.0.0", "python3")),
            name=NAME.format(service=service.name),
            labels={LABEL: owner},
            working_dir=f"/srv/{service.name}",
            volumes={str(folder): {"bind": f"/srv/{service.name}", "mode": "rw"}},
            environment={"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            ports={f"{PORT}/tcp": (LOOPBACK, port)},
            mem_limit=MEMORY_BYTES,
            ulimits=ulimits,
        )
        container.start()
        yield service.name, container


def clear(owner: str, directory: Path) -> None:
    """Removes the containers of one demo, also those that a fix made anew or kept, and its files."""
    with contextlib.suppress(DemoError), engine() as client:
        _remove(client, f"{LABEL}={owner}")
    shutil.rmtree(directory, ignore_errors=True)


def identity(pid: int) -> str:
    """``HOST PID START``: a process that no other one will be."""
    import psutil

    return json.dumps([socket.gethostname(), pid, round(psutil.Process(pid).create_time(), 1)])


def _remove(client: Any, label: str) -> None:
    from docker.errors import NotFound

    for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
        with contextlib.suppress(NotFound):
            container.remove(force=True, v=True)


def _sweep(client: Any) -> None:
    """Removes what demos of this machine left that were killed together with their keepers."""
    import psutil

    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        owner = container.labels.get(LABEL, "")
        try:
            host, pid, _ = json.loads(owner)
            living = host != socket.gethostname() or owner == identity(int(pid))
        except psutil.Error:
            living = False
        except (ValueError, TypeError):
            continue
        if not living:
            _remove(client, f"{LABEL}={owner}")
        elif host == socket.gethostname():
            raise DemoError(f"another demo with containers runs already (process {pid})")


def _require(client: Any, image: str) -> None:
    from docker.errors import ImageNotFound

    try:
        client.images.get(image)
    except ImageNotFound:
        raise DemoError(
            f"the image {line(image, 200)} is not here: docker pull it, or name another with --image"
        ) from None


def _built(client: Any) -> str:
    """The demo's own image, built when the engine does not have it. It is kept: building takes a minute."""
    import io

    from docker.errors import DockerException, ImageNotFound

    try:
        client.images.get(TAG)
    except ImageNotFound:
        text = f"FROM {BASE}\nRUN pip install --no-cache-dir {_PACKAGES}\n"
        try:
            client.images.build(fileobj=io.BytesIO(text.encode()), tag=TAG, rm=True, forcerm=True)
        except DockerException as error:
            why = line(str(error), 200)
            raise DemoError(f"the demo's image could not be built from {BASE} ({why}): name one with --image") from None
    return TAG
