"""Which containers are FastAPI services: read once per image and command, whatever the number of replicas."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

import msgspec

from probes import command_locks, framework, servers
from probes.base import Frozen
from probes.framework import Recognition
from probes.model import Capability
from probes.servers import ServerCommand
from probes.targets.docker.answers import Inspect
from probes.targets.docker.files import Files, Reader

ENABLE = "fastops.enable"
_REMEMBERED = 512
_AT_ONCE = 4
_DEADLINE_SECONDS = 10.0
"""Readers end sooner by themselves; this is for one that hangs in the system (a dead network mount)."""
UNREAD = "its files could not all be read"
_IMAGES = 64

_Lists = dict[tuple[str, bool], list[str] | None]
"""Directory, and whether every name in it was listed → its names."""


class Known(Frozen, frozen=True):
    """What a container was recognised as."""

    command: ServerCommand | None
    recognition: Recognition
    locks: Mapping[Capability, str] = {}
    """What its command does not let be changed, and why; only where all was read that tells."""
    partial: bool = False
    """Its files could not all be read: another try may tell more."""


class Recogniser:
    """Recognises containers; what was learned of an image and a command holds for all that run them."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, asyncio.Task[Known]] = OrderedDict()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._lists: OrderedDict[str, _Lists] = OrderedDict()

    async def recognise(self, found: Inspect, files: Files, pid: int | None, openapi: bytes | None = None) -> Known:
        """Never raises; ``openapi`` is the service's own document where it was asked for."""
        key = _key(found, openapi)
        task = self._known.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._known[key] = asyncio.create_task(self._read(found, files, pid, openapi))
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        known = await asyncio.shield(task)
        if known.partial and self._known.get(key) is task:
            del self._known[key]
        return known

    async def _read(self, found: Inspect, files: Files, pid: int | None, openapi: bytes | None) -> Known:
        async with self._turns:
            running = found.state.status == "running"
            reader = files.reader(found.id, pid, found.environment.get("PYTHON_VERSION", ""), running=running)
            try:
                async with asyncio.timeout(_DEADLINE_SECONDS):
                    return await asyncio.to_thread(_recognise, found, reader, self._of_image(found), openapi)
            except TimeoutError:
                return _unread(found, _command(found, None), Reader(0), openapi)

    def _of_image(self, found: Inspect) -> _Lists:
        """Directories of packages that a container of the same image was seen to have."""
        lists = self._lists.setdefault(found.image, {})
        self._lists.move_to_end(found.image)
        while len(self._lists) > _IMAGES:
            self._lists.popitem(last=False)
        return lists

    async def stop(self) -> None:
        """Ends what is being read: the connection is gone. What is known stays."""
        reading = [one for one in self._known.values() if not one.done()]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


def _recognise(found: Inspect, reader: Reader, lists: _Lists, openapi: bytes | None) -> Known:
    mounts = tuple(one.destination.rstrip("/") for one in found.mounts or () if one.destination)

    def list_dir(path: str) -> list[str] | None:
        if any(f"{path}/".startswith(f"{one}/") or one.startswith(f"{path}/") for one in mounts):
            return reader.list_dir(path)
        for whole in (True, False):
            if not reader.whole and (path, whole) in lists:
                return lists[path, whole]
        before, reader.partial = reader.partial, False
        names = reader.list_dir(path)
        # What is certain is kept although the rest was not read in time: the next try goes on from there.
        if not reader.partial and (names is not None or not reader.enough):
            lists[path, reader.whole] = names
        reader.partial = reader.partial or before
        return names

    def recognise(command: ServerCommand | None) -> Recognition:
        return framework.recognise(
            command,
            found.argv,
            found.environment,
            found.config.working_dir or "/",
            list_dir,
            reader.read_file,
            openapi=openapi,
            label=label(found.labels),
        )

    place = found.config.working_dir or "/"
    commands = servers.parse_all(found.argv, found.environment, reader.read_file, place)
    command = commands[0] if commands else None
    recognition = recognise(command)
    for other in commands[1:] if recognition.framework != "fastapi" else ():
        # A script starts several servers: the one of interest is the FastAPI application, wherever it stands.
        of_other = recognise(other)
        if of_other.framework == "fastapi":
            command, recognition = other, of_other
            break
    if not reader.partial:
        return Known(command, recognition, _locks(found, recognition, reader) if command is not None else {})
    if recognition.framework == "fastapi":
        return Known(command, msgspec.structs.replace(recognition, why=f"{recognition.why}; {UNREAD}"), partial=True)
    return _unread(found, command, reader, openapi)


def _command(found: Inspect, reader: Reader | None) -> ServerCommand | None:
    read_file = reader.read_file if reader is not None else lambda _: None
    return servers.parse(found.argv, found.environment, read_file, found.config.working_dir or "/")


def _locks(found: Inspect, recognition: Recognition, reader: Reader) -> Mapping[Capability, str]:
    directory = found.config.working_dir or "/"
    return command_locks.locks(found.argv, found.environment, recognition.packages, reader.again, directory)


def _unread(found: Inspect, command: ServerCommand | None, reader: Reader, openapi: bytes | None) -> Known:
    """What the command and the files that were read tell: that something was not seen proves nothing."""
    recognition = framework.recognise(
        command,
        found.argv,
        found.environment,
        found.config.working_dir or "/",
        lambda _: None,
        reader.again,
        openapi=openapi,
        label=label(found.labels),
    )
    if command is None and recognition.framework == "other" and label(found.labels) is None:
        recognition = msgspec.structs.replace(recognition, framework="unknown")
    return Known(command, msgspec.structs.replace(recognition, why=f"{recognition.why}; {UNREAD}"), partial=True)


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
