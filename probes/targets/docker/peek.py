"""Whether a path is in a container, by ``HEAD`` on its archive: nothing is sent, and it works when nothing runs."""

from __future__ import annotations

import asyncio
import posixpath
import re

from probes import text
from probes.target import Unreadable
from probes.targets.docker import archive
from probes.targets.docker.client import EngineClient

SECONDS = 2.0
"""All that one container may cost, its own files included."""
LIST_SECONDS = 1.2
"""What of it may go to the search for packages: the application's own files tell more."""
_PYTHONS = tuple(f"python3.{minor}" for minor in (12, 11, 13, 10, 14, 9, 8))
_DEBIAN = "python3"
_PACKAGES = ("fastapi", "uvicorn", "gunicorn")
_VERSION = re.compile(rb"^__version__\s*=\s*[\"']([0-9][^\"'\s-]{0,32})[\"']", re.MULTILINE)
_TUPLE = re.compile(rb"^version_info\s*=\s*\((\d+), *(\d+), *(\d+)\)", re.MULTILINE)
_SOURCE_BYTES = 16 << 10


async def exists(client: EngineClient, container: str, path: str) -> bool:
    """Whether something is at ``path``. Raises :class:`Unreadable` when that cannot be told."""
    try:
        await client.request("HEAD", f"/containers/{container}/archive", params={"path": path}, timeout_seconds=SECONDS)
    except Unreadable as unreadable:
        if unreadable.failure.code == "not-found":
            return False
        raise
    return True


async def pythons(client: EngineClient, container: str, library: str, version: str) -> list[str]:
    """The ``python3.X`` in a directory of libraries; ``version`` is what the image says of its own (``3.12.4``)."""
    if not await exists(client, container, library):
        return []
    own = "python" + ".".join(version.split(".")[:2])
    names = list(dict.fromkeys([*([own] if own in _PYTHONS else []), *_PYTHONS]))
    if own in _PYTHONS and await exists(client, container, posixpath.join(library, own)):
        return [own]
    names.append(_DEBIAN)
    there = await asyncio.gather(*(exists(client, container, posixpath.join(library, one)) for one in names))
    return [name for name, found in zip(names, there, strict=True) if found]


async def packages(client: EngineClient, container: str, directory: str) -> list[str] | None:
    """The packages that matter in a directory of packages, named as a listing would name them; ``None``: absent.

    Versions come from the packages' own source, for the names of ``*.dist-info`` hold them and cannot be guessed.
    """
    if not await exists(client, container, directory):
        return None
    names: list[str] = []
    for package in _PACKAGES:
        try:
            path = posixpath.join(directory, package, "__init__.py")
            source = await archive.read(client, container, path, _SOURCE_BYTES)
        except Unreadable as unreadable:
            if unreadable.failure.code not in {"not-found", "not-a-file"}:
                raise
            continue
        names.append(package)
        version = _version(source)
        if version:
            names.append(f"{package}-{version}.dist-info")
    return names


def _version(source: bytes) -> str:
    found = _VERSION.search(source)
    if found:
        return text.clean(found[1].decode("ascii", "replace"), 40)
    parts = _TUPLE.search(source)
    return ".".join(one.decode() for one in parts.groups()) if parts else ""
