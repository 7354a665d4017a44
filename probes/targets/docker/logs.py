"""A container's log as bytes: the engine's framing removed, the past read once and bounded, then followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime

from probes.base import Failure
from probes.slices import joined
from probes.targets.docker.client import EngineClient, Params

PAST_LINES = 10_000
"""Lines of the past that are read: the engine finds them from the end, so a log of gigabytes costs no more."""
SEAM_LINES = 5_000
"""Lines that may have come between reading the past and following, or while a connection was broken."""
PAST_SECONDS = 20.0
_HEADER = 8
_FRAME_LIMIT = 1 << 20
_LINE_LIMIT = 64 * 1024
_UNREADABLE = {
    "none": "the container's log driver is none: nothing keeps its output",
}


class Demultiplexer:
    """Takes the engine's 8-byte frames apart and gives back whole lines, standard output and error each in order.

    A long line comes in several frames, each with its own time stamp when stamps are asked for: those within a line are
    removed. A line beyond 64 KiB is ended early. What is no frame at all (a TTY, a broken stream) passes as it is.
    Source: Docker Engine API, "Attach to a container", stream format.
    """

    def __init__(self, *, stamped: bool = True) -> None:
        self._stamped = stamped
        self._buffer = bytearray()
        self._open: dict[int, bytearray] = {}
        self._raw = False

    def feed(self, chunk: bytes) -> bytes:
        """The whole lines that this chunk completes."""
        if self._raw:
            return chunk
        self._buffer += chunk
        lines: list[bytes] = []
        at = 0
        while len(self._buffer) - at >= _HEADER:
            size = int.from_bytes(self._buffer[at + 4 : at + 8], "big")
            if self._buffer[at] > 3 or any(self._buffer[at + 1 : at + 4]) or size > _FRAME_LIMIT:
                self._raw = True
                lines += [*self._rest(), bytes(self._buffer[at:])]
                self._buffer.clear()
                return b"".join(lines)
            if len(self._buffer) - at - _HEADER < size:
                break
            payload = bytes(self._buffer[at + _HEADER : at + _HEADER + size])
            lines += self._take(self._buffer[at], payload)
            at += _HEADER + size
        del self._buffer[:at]
        return b"".join(lines)

    def end(self) -> bytes:
        """What is left when the stream ends; a last line without a newline gets one."""
        return b"".join(self._rest())

    def _take(self, stream: int, payload: bytes) -> Iterator[bytes]:
        held = self._open.setdefault(stream, bytearray())
        if held and self._stamped:
            payload = payload[_stamp(payload) :]
        held += payload
        if payload.endswith(b"\n"):
            yield bytes(held)
            held.clear()
        elif len(held) > _LINE_LIMIT:
            yield bytes(held) + b"\n"
            held.clear()

    def _rest(self) -> Iterator[bytes]:
        for held in self._open.values():
            if held:
                yield bytes(held) + b"\n"
                held.clear()


def _stamp(payload: bytes) -> int:
    """How many bytes of a leading RFC 3339 stamp and its space there are: ``2026-01-02T03:04:05.123456789Z ``."""
    space = payload.find(b" ", 0, 40)
    found = space >= 20 and payload[10:11] == b"T" and payload[4:5] == b"-" and payload[:4].isdigit()
    return space + 1 if found else 0


def unreadable(driver: str | None) -> str | None:
    """Why a log driver gives nothing back, where that is known beforehand."""
    return _UNREADABLE.get(driver or "")


def failure(name: str, why: str) -> Failure:
    """A log that cannot be read, as data."""
    return Failure("unread", f"the log of {name}", why, "use a log driver that can be read: local or json-file")


async def past(
    client: EngineClient, container: str, since: datetime, *, tty: bool, lines: int = PAST_LINES
) -> AsyncIterator[bytes]:
    """The latest lines from ``since`` on, ``lines`` at most; ends by itself. Raises ``Unreadable``."""
    async for chunk in _lines(client, container, stamp(since), lines, follow=False, tty=tty):
        yield chunk


async def follow(client: EngineClient, container: str, since: str, *, tty: bool) -> AsyncIterator[bytes]:
    """Lines from ``since`` (seconds since the epoch, nanoseconds behind the point) on, until the container stops."""
    async for chunk in _lines(client, container, since, SEAM_LINES, follow=True, tty=tty):
        yield chunk


async def _lines(
    client: EngineClient, container: str, since: str, tail: int, *, follow: bool, tty: bool
) -> AsyncIterator[bytes]:
    params: Params = {"stdout": 1, "stderr": 1, "timestamps": 1, "since": since, "tail": tail, "follow": int(follow)}
    frames = Demultiplexer()
    async with client.stream(f"/containers/{container}/logs", params=params) as chunks:
        async for chunk in chunks if follow else joined(chunks):  # the engine sends each line as a chunk of its own
            lines = chunk if tty else frames.feed(chunk)
            if lines:
                yield lines
    rest = frames.end()
    if rest:
        yield rest


def stamp(moment: datetime) -> str:
    """A time as the engine's ``since`` takes it."""
    return f"{moment.timestamp():.6f}"


def after(line_stamp: str) -> str:
    """``since`` for what follows the line with this stamp (RFC 3339 with nanoseconds): one nanosecond later."""
    head, _, tail = line_stamp.rstrip("Z").partition(".")
    digits = "".join(one for one in tail if one.isdigit())[:9]
    seconds = int(datetime.fromisoformat(f"{head}+00:00").timestamp())
    nanoseconds = seconds * 10**9 + int(f"{digits:0<9}") + 1
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"
