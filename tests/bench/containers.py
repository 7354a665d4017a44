"""Idle FastAPI containers on the Docker Engine, for measuring consoles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.lab import images

LABEL = "fastops.bench"


@contextmanager
def idle(client: Any, count: int) -> Iterator[None]:
    """Runs ``count`` containers of 64 MB, each one lone uvicorn; removes exactly those."""
    image = images.ensure(client, "app")
    mine = str(os.getpid())
    try:
        for number in range(count):
            client.containers.run(
                image,
                ["python3", "-m", "uvicorn", "healthy:app", "--host", "0.0.0.0", "--port", "8000"],
                name=f"bench-{number:02}",
                labels={LABEL: mine},
                mem_limit="64m",
                detach=True,
            )
        yield
    finally:
        every = client.containers.list(all=True, filters={"label": f"{LABEL}={mine}"}, ignore_removed=True)
        for container in every:
            container.remove(force=True)
