"""Data as compressed bytes, and back through the door for foreign text: nobody knows who wrote a file."""

from __future__ import annotations

import math
import zlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from console.recording.form import MOST_PART_BYTES, Damaged
from probes import text

T = TypeVar("T")

_LEVEL = 6
_MOST_NUMBER = 10**18
"""As in :mod:`probes.history`: no honest number is beyond it."""
_DEEPEST = 40
_SHORT = 512
"""Characters of a text that is remembered with its clean form: most stand in every moment again."""


def encoded(value: Any) -> bytes:
    """A value as MessagePack."""
    return msgspec.msgpack.encode(value)


def deflated(raw: bytes, base: bytes = b"") -> bytes:
    """Compressed bytes; against ``base`` (of which the last 32 KiB count) what is alike costs next to nothing."""
    packer = zlib.compressobj(_LEVEL, zdict=base) if base else zlib.compressobj(_LEVEL)
    return packer.compress(raw) + packer.flush()


def inflated(data: bytes, base: bytes = b"", most: int = MOST_PART_BYTES) -> bytes:
    """The bytes again, ``most`` at most; raises :class:`Damaged`."""
    unpacker = zlib.decompressobj(zdict=base) if base else zlib.decompressobj()
    try:
        raw = unpacker.decompress(data, most + 1)
    except zlib.error:
        raise Damaged("its bytes are not what was written") from None
    if len(raw) > most:
        raise Damaged(f"it is larger than {most >> 20} MiB")
    if not unpacker.eof:
        raise Damaged("its bytes end too early")
    return raw


def decoded(raw: bytes, kind: type[T]) -> T:
    """MessagePack as a value whose texts were not cleaned: for numbers alone. Raises :class:`Damaged`."""
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        raise Damaged("it holds something else than it should") from None


def cleaned(raw: bytes, kind: type[T]) -> T:
    """MessagePack as a value all of whose texts have passed the door again; raises :class:`Damaged`."""
    value = decoded(raw, kind)  # what is none of ours never becomes objects: eight bytes of it could be a thousand
    try:
        return msgspec.convert(_passed(msgspec.to_builtins(value, builtin_types=(datetime,)), _DEEPEST), kind)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        raise Damaged("it holds something else than it should") from None


def _passed(value: Any, deeper: int) -> Any:
    """Plain data with clean texts; a number that is none, or an absurd one, is unknown."""
    if isinstance(value, str):
        return door(value)
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, dict):
        if not deeper:
            raise ValueError("too deep")
        return {_passed(key, 0): _entry(key, one, deeper - 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        if not deeper:
            raise ValueError("too deep")
        return [_passed(one, deeper - 1) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int | float) and abs(value) > _MOST_NUMBER:
        return None
    return value


def _entry(key: Any, value: Any, deeper: int) -> Any:
    """A variable's name tells that its value is a secret."""
    if key == "environment" and isinstance(value, dict):
        return text.environment({str(name): str(one) for name, one in value.items()})
    return _passed(value, deeper)


def utc(at: datetime) -> datetime:
    """A time as all of fastops has it; raises ``ValueError`` or ``OverflowError`` where its zone is not said."""
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    return at.astimezone(UTC)


def door(one: str) -> str:
    """A text of a recording, safe to show: each of its lines clean and redacted."""
    return _seen(one) if len(one) <= _SHORT else _through(one)


def _through(one: str) -> str:
    return text.block(one) if "\n" in one else text.line(one)


_seen = lru_cache(maxsize=8192)(_through)
