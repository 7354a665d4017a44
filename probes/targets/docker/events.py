"""The engine's event stream: what happened to containers, and which of them to look at again."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec

from probes import text
from probes.base import Frozen
from probes.model import Event
from probes.targets.docker.client import EngineClient

ACTIONS = (
    "create", "start", "die", "oom", "kill", "stop", "restart", "pause", "unpause", "rename", "update", "destroy",
    "health_status",
)  # fmt: skip
_FILTER = msgspec.json.encode({"type": ["container"], "event": list(ACTIONS)}).decode()
_LINE_LIMIT = 1 << 20


class _Actor(Frozen, frozen=True):
    id: str = msgspec.field(default="", name="ID")
    attributes: dict[str, str] | None = msgspec.field(default=None, name="Attributes")


class EngineEvent(Frozen, frozen=True):
    """One line of ``/events``."""

    action: str = msgspec.field(default="", name="Action")
    actor: _Actor = msgspec.field(default=_Actor(), name="Actor")
    nanoseconds: int = msgspec.field(default=0, name="timeNano")

    @property
    def container(self) -> str:
        """The container's id."""
        return self.actor.id

    @property
    def at(self) -> datetime:
        """When it happened, by the engine's clock."""
        return datetime.fromtimestamp(self.nanoseconds / 1e9, UTC)


async def follow(client: EngineClient, since_nanoseconds: int) -> AsyncIterator[EngineEvent]:
    """Events from a time of the engine's clock on, without an end. Raises ``Unreadable`` when the stream breaks."""
    seconds, rest = divmod(since_nanoseconds, 10**9)
    params = {"since": f"{seconds}.{rest:09d}", "filters": _FILTER}
    pending = bytearray()
    async with client.stream("/events", params=params) as chunks:
        async for chunk in chunks:
            pending += chunk
            *lines, rest_of_line = pending.split(b"\n")
            pending = rest_of_line if len(rest_of_line) < _LINE_LIMIT else bytearray()
            for line in lines:
                event = decode(bytes(line))
                if event is not None:
                    yield event


def decode(line: bytes) -> EngineEvent | None:
    """One event; ``None`` for what is none."""
    try:
        found = msgspec.json.decode(line, type=EngineEvent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.container and 0 < found.nanoseconds < 1 << 62 else None


def to_event(found: EngineEvent) -> Event | None:
    """What of it belongs into a replica's story."""
    attributes = found.actor.attributes or {}
    action, _, said = found.action.partition(": ")
    if action == "die":
        return Event(at=found.at, kind="die", exit_code=_number(attributes.get("exitCode")))
    if action == "kill":
        return Event(at=found.at, kind="kill", signal=_signal(attributes.get("signal", "")))
    if action == "health_status":
        return Event(at=found.at, kind="health", text=text.clean(said, 40) or None)
    if action == "start":
        return Event(at=found.at, kind="start")
    if action == "oom":
        return Event(at=found.at, kind="oom")
    if action == "stop":
        return Event(at=found.at, kind="stop")
    if action == "restart":
        return Event(at=found.at, kind="restart")
    return None


def _number(word: str | None) -> int | None:
    return int(word) if word is not None and word.removeprefix("-").isdecimal() and len(word) < 8 else None


def _signal(word: str) -> int | None:
    """The engine says the number; some versions say the name."""
    number = _number(word)
    if number is not None:
        return number
    name = word.upper() if word.upper().startswith("SIG") else f"SIG{word.upper()}"
    return int(signal.Signals[name]) if name in signal.Signals.__members__ else None
