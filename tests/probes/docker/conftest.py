"""Containers of one test, removed when it ends."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

GUNICORN = ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "-b", "0.0.0.0:8000", "healthy:app")
UVICORN = ("uvicorn", "--host", "0.0.0.0", "--port", "8000", "healthy:app")


@pytest.fixture
def start(docker_client: Any, lab_image: str) -> Iterator[Callable[..., Any]]:
    """Starts a container of the lab's image; what it is given goes to ``containers.run``."""
    made: list[Any] = []

    def run(*command: str, name: str = "", **options: Any) -> Any:
        unique = f"fastops-read-{os.getpid()}-{uuid.uuid4().hex[:8]}{name}"
        container = docker_client.containers.create(lab_image, list(command), name=unique, detach=True, **options)
        made.append(container)
        container.start()
        container.reload()
        return container

    yield run
    for container in made:
        with contextlib.suppress(Exception):
            container.remove(force=True, v=True)
