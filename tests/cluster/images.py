"""The lab's images in the cluster: built in the Docker Engine, handed to containerd."""

from __future__ import annotations

import fcntl
from typing import Any

from tests.lab import images as lab

from . import lifecycle
from .place import CACHE, ClusterError, Place

REGISTRY = "docker.io"  # what containerd puts before a name that has no registry


def ensure(place: Place, names: tuple[str, ...] = tuple(lab.WHEELS)) -> tuple[str, ...]:
    """Have the cluster hold these images of the lab (keys of ``WHEELS``); their tags.

    Raises ``LabError`` when one cannot be built, ``ClusterError`` when it cannot be handed over.
    """
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=120)
        return _ensure(client, place, names)
    except DockerException as error:
        raise ClusterError(f"the lab's images come from a Docker Engine, and none gives them: {error}") from error


def _ensure(client: Any, place: Place, names: tuple[str, ...]) -> tuple[str, ...]:
    tags = []
    try:
        for name in names:
            tag = lab.ensure(client, name)
            tags.append(tag)
            with (CACHE / f"cluster-{place.number}-images.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if f"{REGISTRY}/{tag}" not in lifecycle.images(place):
                    lifecycle.import_image(place, client.images.get(tag).save(named=tag))
    finally:
        client.close()
    return tuple(tags)
