"""Finds the message in log lines that are JSON objects, so that patterns see what was logged and not how it was packed.

A record becomes the lines that a plain formatter would have written: what stood before the object, its other plain
fields, the message, and below it the traceback. Understood are the standard library's JSON formatters, structlog,
loguru, python-json-logger, the Elastic Common Schema, the shapes of Google Cloud and Datadog, the engine's own
``json-file`` and the journal's JSON. An object without a message stays as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from probes import text

LEAD_BYTES = 512
"""What may stand before the object: a time, a level, the prefix of an engine."""
FIELDS = 48
"""Of one record looked at; a record with more is data, not a log line."""
_VALUE_CHARACTERS = 200
_SEPARATOR = "\x1e "
"""Between a record's other fields and its message; a control character, so that nobody sees it."""
_DEPTH = 3
_FRAMES = 64

_SEPARATOR_BYTES = _SEPARATOR.encode()
# By preference. ``log`` is the engine's own file, ``MESSAGE`` the journal's, ``textPayload`` Google's.
_MESSAGES = {
    name: rank
    for rank, name in enumerate(
        (
            "message",
            "msg",
            "event",
            "log",
            "MESSAGE",
            "textPayload",
            "@message",
            "short_message",
            "text",
            "body",
            "Body",
        )
    )
}
_WRAPPERS = frozenset({"record", "jsonPayload", "fields"})
_ERRORS = frozenset({"error", "err", "exception", "exc", "exc_info", "exc_text", "exception_info"})
_STACKS = frozenset(
    {"stack_trace", "stacktrace", "stackTrace", "stack", "stack_info", "traceback", "tb", "full_message"}
)
_TIMES = frozenset(
    {"timestamp", "@timestamp", "time", "ts", "t", "created", "asctime", "__REALTIME_TIMESTAMP", "timestampSeconds"}
)
_SKIPPED = frozenset({"color_message", "full_message_format"})


def lead(line: bytes) -> int:
    """How many bytes of an unfolded line stand in front of its message."""
    at = line.find(_SEPARATOR_BYTES)
    return at + len(_SEPARATOR_BYTES) if at >= 0 else 0


class Fold(NamedTuple):
    """A record of which more than one line was made; offsets in the unfolded bytes."""

    head: int
    below: int
    """Where its second line begins."""
    end: int
    extra: int
    """Lines below the heads of this record and of all before it."""


class Unfolded(NamedTuple):
    """Lines as patterns see them, and how to find the line that each was made of."""

    data: bytes
    folds: tuple[Fold, ...] = ()

    def origin(self, offset: int) -> tuple[int, int]:
        """For a line's offset: that of the line with its time, and how many lines up to here were made by unfolding."""
        index = bisect_right(self.folds, offset, key=lambda fold: fold.head) - 1 if self.folds else -1
        if index < 0:
            return offset, 0
        fold = self.folds[index]
        before = self.folds[index - 1].extra if index else 0
        if offset >= fold.end:
            return offset, fold.extra
        if offset < fold.below:
            return offset, before
        return fold.head, before + self.data.count(b"\n", fold.head, offset)

    @property
    def extra(self) -> int:
        """How many lines more there are than were given."""
        return self.folds[-1].extra if self.folds else 0


def unfold(data: bytes) -> Unfolded:
    """Whole lines, each ended, with the records among them as the lines that they hold.

    Lines without a brace cost one search of the whole.
    """
    at = data.find(b"{")  # one byte is searched many times faster than two
    at = data.find(b'{"', at) if at >= 0 else -1
    if at < 0:
        return Unfolded(data)
    pieces: list[bytes] = []
    folds: list[Fold] = []
    copied = size = extra = 0
    while at >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        end = data.find(b"\n", at)
        if end < 0:
            break
        lines = _lines(data[at:end]) if at - start <= LEAD_BYTES else None
        if lines is not None:
            before = data[copied:at]
            pieces += (before, lines)
            head, size = size + start - copied, size + len(before) + len(lines)
            more = lines.count(b"\n")
            if more:
                extra += more
                folds.append(Fold(head, size - len(lines) + lines.find(b"\n") + 1, size + 1, extra))
            copied = end
        at = data.find(b'{"', end)
    return Unfolded(b"".join((*pieces, data[copied:])), tuple(folds)) if pieces else Unfolded(data)


def _lines(body: bytes) -> bytes | None:
    """What an object says, without a newline at its end; ``None`` when it is no record."""
    body = body.rstrip()
    if not body.endswith(b"}"):
        return None
    found = _decoded(body)
    if not isinstance(found, dict):
        return None
    said = _Record().read(found)
    if said is None:
        return None
    return text.strip_escapes(said.encode("utf-8", "replace"))  # those that JSON had written as escapes of its own


def _decoded(body: bytes | str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):  # msgspec's own error is a ValueError
        return None


class _Record:
    """Gathers the parts of one record."""

    def __init__(self) -> None:
        self.rank = len(_MESSAGES)
        self.message = ""
        self.plain: dict[str, Any] = {}
        self.below: list[str] = []
        self.left = FIELDS

    def read(self, found: Mapping[str, Any], inner: int = 1) -> str | None:
        """The record's lines; ``None`` when it has neither a message nor a traceback."""
        self._walk(found, 0, wrapped=True)
        message = self.message.strip("\r\n")
        if inner and message.startswith('{"'):
            within = _decoded(message)
            record = _Record()
            said = record.read(within, inner - 1) if isinstance(within, dict) else None
            if said is not None:
                message = said
                self.plain |= record.plain
        below = [one for one in dict.fromkeys(self.below) if one not in message]
        if not message and not below:
            return None
        head = msgspec.json.encode(self.plain).decode() + _SEPARATOR if self.plain and inner else ""
        said = "\n".join((head + message, *below)) if below else head + message
        return said.replace("\r\n", "\n").replace("\r", "\n") if "\r" in said else said

    def _walk(self, found: Mapping[str, Any], depth: int, *, wrapped: bool) -> None:
        for name, value in found.items():
            self.left -= 1
            if self.left < 0:
                return
            if isinstance(value, str) and _is_plain(name):  # most are
                self._keep(name, value)
                continue
            parent, _, leaf = name.rpartition(".")
            if leaf in _SKIPPED or value is None:
                continue
            if leaf in _STACKS or name in _ERRORS or parent in _ERRORS:
                self._error(leaf, value)
            elif isinstance(value, str):
                self._text(name, value, wrapped=wrapped)
            elif isinstance(value, dict):
                if depth < _DEPTH:
                    self._walk(value, depth + 1, wrapped=wrapped and name in _WRAPPERS)
            elif leaf in _TIMES:
                self.plain[name] = _moment(value)
            elif not isinstance(value, list):
                self.plain.setdefault(name, value)

    def _text(self, name: str, value: str, *, wrapped: bool) -> None:
        rank = _MESSAGES.get(name) if wrapped else None
        if rank is not None and rank < self.rank:
            former, self.rank = self.message, rank
            self.message = former if value in former else value  # loguru's text holds the message and the traceback
            if former and former not in value and value not in former:
                self._keep("text", former)
        elif rank is not None and value in self.message:
            return
        elif name == "text" and self.message and self.message in value:
            self.message = value
        elif name in _TIMES and value.isdecimal():
            self.plain[name] = _moment(int(value[:20]))
        else:
            self._keep(name, value)

    def _keep(self, name: str, value: str) -> None:
        if "\n" in value:
            self.below.append(value.strip("\r\n"))
        else:
            self.plain.setdefault(name, value[:_VALUE_CHARACTERS])

    def _error(self, name: str, value: Any) -> None:
        if isinstance(value, str):
            if value.strip():
                self.below.append(value.strip("\r\n"))
        elif isinstance(value, dict):
            self.below += _of_error(value)
        elif isinstance(value, list):
            if all(isinstance(one, str) for one in value):
                self.below.append("\n".join(one.rstrip("\r\n") for one in value[: _FRAMES * 2]))
            else:
                self.below += [line for one in value[:8] if isinstance(one, dict) for line in _of_error(one)]
        elif not isinstance(value, bool):
            self.plain.setdefault(name, value)


@lru_cache(maxsize=4096)
def _is_plain(name: str) -> bool:
    """Whether a field of this name has no meaning of its own."""
    parent, _, leaf = name.rpartition(".")
    special = _SKIPPED | _STACKS | _TIMES
    return not (leaf in special or name in _MESSAGES or name in _ERRORS or parent in _ERRORS)


def _of_error(found: Mapping[str, Any]) -> list[str]:
    """An error as an object: the stack that it has, its frames, or its type and message."""
    for name in _STACKS:
        stack = found.get(name)
        if isinstance(stack, str) and stack.strip():
            return [stack.strip("\r\n")]
    lines: list[str] = []
    frames = found.get("frames")
    if isinstance(frames, list):  # structlog's dict_tracebacks
        lines.append("Traceback (most recent call last):")
        for frame in frames[-_FRAMES:]:
            if isinstance(frame, dict):
                lines.append(f'  File "{frame.get("filename")}", line {frame.get("lineno")}, in {frame.get("name")}')
                if isinstance(frame.get("line"), str) and frame["line"].strip():
                    lines.append(f"    {frame['line'].strip()}")
    kind = _first(found, "exc_type", "type", "kind", "class", "name", "code")
    said = _first(found, "exc_value", "value", "message", "msg")
    if kind or said:
        lines.append(f"{kind}: {said}" if kind and said else kind or said)
    return ["\n".join(lines)] if lines else []


def _first(found: Mapping[str, Any], *names: str) -> str:
    return next((found[name] for name in names if isinstance(found.get(name), str) and found[name]), "")


def _moment(value: Any) -> Any:
    """A count of seconds, milliseconds, microseconds or nanoseconds since 1970 as RFC 3339; anything else unchanged."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if not 1e8 < value < 1e20:
        return value
    seconds = float(value)
    while seconds > 1e11:  # the year 5138
        seconds /= 1000
    return datetime.fromtimestamp(seconds, UTC).isoformat()
