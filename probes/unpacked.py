"""Reads a text that may be packed with gzip, as rotated logs are: in pieces, in constant memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

MAGIC = b"\x1f\x8b"
"""RFC 1952, 2.3.1: how each member of a gzip file begins."""
PIECE_BYTES = 1 << 18
_GZIP = 31
"""zlib's ``wbits`` for the gzip format alone."""


class Damaged(Exception):
    """A packed text ends too early or is not what it claims; what came before was given out."""


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes as they are, or what is packed in them; raises :class:`Damaged` in the midst of it.

    What follows the last member and is none ends it: gzip, too, ignores padding.
    """
    rest = iter(chunks)
    first = b""
    while len(first) < len(MAGIC) and (chunk := next(rest, None)) is not None:
        first += chunk
    if not first.startswith(MAGIC):
        if first:
            yield first
        yield from rest
        return
    yield from _members(first, rest)


def _members(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    data, member = first, zlib.decompressobj(_GZIP)
    while True:
        try:
            piece = member.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            raise Damaged("its gzip data is damaged") from error
        if piece:
            yield piece
        data = member.unused_data if member.eof else member.unconsumed_tail
        if not data and (member.eof or not piece):
            more = next(rest, None)
            if more is None:
                break
            data = more
        if member.eof:
            while len(data) < len(MAGIC) and (more := next(rest, None)) is not None:
                data += more
            if not data.startswith(MAGIC):
                return
            member = zlib.decompressobj(_GZIP)
    if not member.eof:
        raise Damaged("its gzip data ends too early")
