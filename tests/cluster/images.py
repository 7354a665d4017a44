"""The lab's images in the cluster: built in the Docker Engine, handed to containerd."""

from __future__ import annotations

import fcntl

from tests.lab import images as lab

from . import lifecycle
from .place import CACHE, Place

REGISTRY = "docker.io"  # what containerd puts before a name that has no registry


def ensure(place: Place, names: tuple[str, ...] = tuple(lab.WHEELS)) -> tuple[str, ...]:
    """Have the cluster hold these images of the lab (keys of ``WHEELS``); their tags.

    Raises ``LabError`` when one cannot be built, ``ClusterError`` when it cannot be handed over.
    """
    import docker

    tags = []
    client = docker.from_env(timeout=120)
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
