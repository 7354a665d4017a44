"""What all JSON shares: the base of its types, the schema's number, and how it is written."""

from __future__ import annotations

import msgspec

SCHEMA = 1


class Out(msgspec.Struct, frozen=True):
    """The base of all that is printed as JSON."""


def encode(value: Out) -> str:
    """JSON, indented, as one text."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def encode_line(value: Out) -> str:
    """JSON on one line."""
    return msgspec.json.encode(value).decode()
