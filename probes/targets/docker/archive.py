"""Files out of a container without running anything in it: the engine's ``archive`` call, read as it comes."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator
from typing import NamedTuple

from probes import text
from probes.base import Failure
from probes.target import Unreadable
from probes.targets.docker.client import EngineClient

DEADLINE_SECONDS = 10.0
DIRECTORY_BYTES = 512 << 20
"""The engine sends a directory with all that is in it: site-packages are hundreds of MB. Read once per image."""
REMOTE_DIRECTORY_BYTES = 48 << 20
"""The same where the engine is not on this machine."""
_BLOCK = 512
_LINKS = 8
_PAX_LIMIT = 1 << 16


class Entry(NamedTuple):
    """One member of a tar stream."""

    name: str
    kind: str
    """``file``, ``directory``, ``link`` or ``other``."""
    link: str
    data: bytes
    """The beginning of a file's content."""
    mode: int = 0
    uid: int = 0
    gid: int = 0


async def entries(chunks: AsyncIterator[bytes], keep: int = 0) -> AsyncIterator[Entry]:
    """The members of a tar stream (ustar with pax and GNU extensions) with up to ``keep`` bytes of each file.

    Raises ``ValueError`` when it is no tar stream. Sizes come from the headers; content is skipped, never gathered.
    """
    source = _Source(chunks)
    renamed: str | None = None
    while (header := await source.take(_BLOCK)) and header.strip(b"\0"):
        if len(header) < _BLOCK or not _checked(header):
            raise ValueError("no tar stream")
        size, kind = _number(header[124:136]), header[156:157]
        wanted = size if kind in b"xL" else keep if kind in b"0\0" else 0
        data = await source.take(min(size, wanted if kind in b"0\0" else min(wanted, _PAX_LIMIT)))
        await source.skip(size - len(data) + -size % _BLOCK)
        if kind in b"xL":
            renamed = _pax_path(data) if kind == b"x" else _string(data)
            continue
        name = renamed or posixpath.join(
            _string(header[345:500]) if header[257:262] == b"ustar" else "", _string(header[:100])
        )
        renamed = None
        kinds = {b"0": "file", b"\0": "file", b"5": "directory", b"2": "link", b"1": "link"}
        mode, uid, gid = (_number(header[at:end]) for at, end in ((100, 108), (108, 116), (116, 124)))
        yield Entry(name, kinds.get(kind, "other"), _string(header[157:257]), data, mode, uid, gid)


class _Source:
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()

    async def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            chunk = await anext(self._chunks, b"")
            if not chunk:
                break
            self._buffer += chunk
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def skip(self, count: int) -> None:
        while count > len(self._buffer):
            count -= len(self._buffer)
            self._buffer.clear()
            self._buffer += await anext(self._chunks, b"")
            if not self._buffer:
                return
        del self._buffer[:count]


def _checked(header: bytes) -> bool:
    """Whether the header's checksum is right: POSIX.1-1988, the sum of its bytes with the field itself as spaces."""
    said = _number(header[148:156])
    return said == sum(header[:148]) + sum(header[156:]) + 8 * 32


def _number(field: bytes) -> int:
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and all(48 <= one <= 55 for one in digits) else 0


def _string(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _pax_path(data: bytes) -> str | None:
    for record in data.split(b"\n"):
        _, _, pair = record.partition(b" ")
        if pair.startswith(b"path="):
            return pair[5:].decode("utf-8", "surrogateescape")
    return None


async def read(client: EngineClient, container: str, path: str, limit: int) -> bytes:
    """A file's first ``limit`` bytes; links are followed inside the container. Raises :class:`Unreadable`."""
    return (await file(client, container, path, limit)).data


async def file(client: EngineClient, container: str, path: str, limit: int) -> Entry:
    """Likewise a file with its owner and mode."""
    what = f"{text.clean(path, 300)} in {container[:12]}"
    for _ in range(_LINKS):
        found: Entry | None = None
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                params = {"path": path}
                async with client.stream(f"/containers/{container}/archive", params=params) as chunks:
                    found = await anext(entries(chunks, limit), None)
        except TimeoutError:
            raise Unreadable(Failure("timeout", what, "the engine did not send it in time", "")) from None
        except ValueError:
            raise Unreadable(Failure("unexpected-answer", what, "the engine's answer is no archive", "")) from None
        if found is None or found.kind not in {"file", "link"}:
            raise Unreadable(Failure("not-a-file", what, "it is no regular file", ""))
        if found.kind == "file":
            return found
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), found.link))
    raise Unreadable(Failure("not-found", what, "too many symbolic links", ""))


async def names(client: EngineClient, container: str, path: str, limit: int = DIRECTORY_BYTES) -> list[str]:
    """The names in a directory. Raises :class:`Unreadable`, also when it holds more than ``limit`` bytes."""
    what = f"{text.clean(path, 300)} in {container[:12]}"
    found: dict[str, None] = {}
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            params = {"path": path.rstrip("/") + "/."}
            async with client.stream(f"/containers/{container}/archive", params=params) as chunks:
                async for entry in entries(_bounded(chunks, limit)):
                    parts = [one for one in entry.name.split("/") if one not in {"", "."}]
                    if parts:
                        found[parts[0]] = None
    except TimeoutError:
        raise Unreadable(Failure("timeout", what, "the engine did not send it in time", "")) from None
    except ValueError:
        raise Unreadable(Failure("too-large", what, "the directory is too large to be sent", "")) from None
    return sorted(found)


async def _bounded(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        limit -= len(chunk)
        if limit < 0:
            raise ValueError("too large")
        yield chunk
