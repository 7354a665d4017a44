"""Packed texts are read as if they were not packed."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from probes.unpacked import MAGIC, PIECE_BYTES, Damaged, unpacked


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _read(pieces: Iterator[bytes]) -> tuple[bytes, str | None]:
    got = bytearray()
    try:
        for piece in unpacked(pieces):
            got += piece
    except Damaged as error:
        return bytes(got), str(error)
    return bytes(got), None


@given(
    st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 700), st.sampled_from([b"", b"\0" * 9])
)
def test_all_members_come_out_however_they_are_cut(texts: list[bytes], size: int, padding: bytes) -> None:
    packed = b"".join(gzip.compress(one) for one in texts) + padding
    assert b"".join(unpacked(_cut(packed, size))) == b"".join(texts)


@given(st.binary(max_size=500).filter(lambda data: not data.startswith(MAGIC)), st.integers(1, 50))
def test_what_is_not_packed_passes(data: bytes, size: int) -> None:
    assert b"".join(unpacked(_cut(data, size))) == data


@given(st.binary(max_size=500), st.integers(1, 50))
def test_any_bytes_end_or_are_damaged(data: bytes, size: int) -> None:
    got, damage = _read(_cut(MAGIC + data, size))
    assert damage is None or "gzip" in damage
    assert damage is not None or got.startswith(zlib.decompressobj(31).decompress(MAGIC + data))


def test_what_came_before_the_damage_is_given_out() -> None:
    whole = b"".join(b"line %d\n" % number for number in range(200_000))
    packed = gzip.compress(whole)
    got, damage = _read(_cut(packed[: len(packed) // 2], 4096))
    assert damage == "its gzip data ends too early"
    assert len(got) > len(whole) // 4
    assert whole.startswith(got)


def test_little_that_unpacks_to_much_takes_little_memory() -> None:
    packed = gzip.compress(b"\0" * (1 << 28), 9)
    tracemalloc.start()
    size = sum(len(piece) for piece in unpacked([packed]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 1 << 28
    assert peak < 16 * PIECE_BYTES
