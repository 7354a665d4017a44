"""Which containers are FastAPI services: read once per image and command, whatever the number of replicas."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Literal

from probes import framework, servers
from probes.framework import ListDir, Recognition
from probes.model import Frozen
from probes.servers import ReadFile, ServerCommand
from probes.targets.docker.files import Files
from probes.targets.docker.parse import Inspect

ENABLE = "fastops.enable"
_REMEMBERED = 512
_AT_ONCE = 4
_DEADLINE_SECONDS = 30.0


class Known(Frozen, frozen=True):
    """What a container was recognised as."""

    command: ServerCommand | None
    recognition: Recognition


class Recogniser:
    """Recognises containers; what was learned of an image and a command holds for all that run them."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, asyncio.Task[Known]] = OrderedDict()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def recognise(self, found: Inspect, files: Files, pid: int | None, openapi: bytes | None = None) -> Known:
        """Never raises; ``openapi`` is the service's own document where it was asked for."""
        key = _key(found, openapi)
        task = self._known.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._known[key] = asyncio.create_task(self._read(found, files, pid, openapi))
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return await asyncio.shield(task)

    async def _read(self, found: Inspect, files: Files, pid: int | None, openapi: bytes | None) -> Known:
        async with self._turns:
            list_dir, read_file = files.readers(found.id, pid)
            try:
                async with asyncio.timeout(_DEADLINE_SECONDS):
                    return await asyncio.to_thread(_recognise, found, list_dir, read_file, openapi)
            except TimeoutError:
                return Known(None, Recognition(framework="unknown", why="its files could not be read in time"))

    async def stop(self) -> None:
        """Ends what is being read: the connection is gone. What is known stays."""
        reading = [one for one in self._known.values() if not one.done()]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


def _recognise(found: Inspect, list_dir: ListDir, read_file: ReadFile, openapi: bytes | None) -> Known:
    environment, directory = found.environment, found.config.working_dir or "/"
    command = servers.parse(found.argv, environment, read_file, directory)
    recognition = framework.recognise(
        command,
        found.argv,
        environment,
        directory,
        list_dir,
        read_file,
        openapi=openapi,
        label=label(found.labels),
    )
    return Known(command, recognition)


def label(labels: dict[str, str]) -> bool | None:
    """What ``fastops.enable`` says; anything but yes and no says nothing."""
    words: dict[str, Literal[True, False]] = {
        "true": True,
        "1": True,
        "yes": True,
        "false": False,
        "0": False,
        "no": False,
    }
    return words.get(labels.get(ENABLE, "").strip().lower())


def _key(found: Inspect, openapi: bytes | None) -> str:
    """Image, command, environment, directory, label and mounts; hashed, for the environment holds secrets."""
    mounts = sorted((one.source, one.destination) for one in found.mounts or ())
    parts = (
        found.image,
        found.argv,
        found.config.env,
        found.config.working_dir,
        found.labels.get(ENABLE),
        mounts,
        openapi,
    )
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()
