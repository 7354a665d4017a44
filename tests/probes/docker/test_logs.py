"""The engine's framing of logs, taken apart."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from probes.targets.docker import logs
from probes.targets.docker.logs import Demultiplexer
from tests.probes.docker.fake_engine import frame

STAMP = b"2026-01-02T03:04:05.123456789Z "
LINES = st.lists(
    st.tuples(st.sampled_from([1, 2]), st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"") + b"\n")), max_size=20
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(LINES, st.lists(st.integers(0, 5000), max_size=12))
def test_whole_lines_come_back_in_order_however_the_stream_is_cut(lines, places):
    data = b"".join(frame(stream, line) for stream, line in lines)
    frames = Demultiplexer()
    found = b"".join(frames.feed(piece) for piece in cut(data, places)) + frames.end()
    assert found == b"".join(line for _, line in lines)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_what_is_no_framed_stream_never_raises_and_is_bounded(data, places):
    frames = Demultiplexer()
    found = b"".join(frames.feed(piece) for piece in cut(data, places)) + frames.end()
    assert len(found) <= len(data) + 8


def test_a_long_line_in_several_frames_is_one_line_with_one_stamp():
    frames = Demultiplexer()
    assert frames.feed(frame(1, STAMP + b"a" * 10)) == b""
    assert frames.feed(frame(2, STAMP + b"other\n")) == STAMP + b"other\n"
    assert frames.feed(frame(1, STAMP + b"b\n")) == STAMP + b"a" * 10 + b"b\n"


def test_a_line_without_an_end_is_cut_at_the_bound():
    frames = Demultiplexer()
    found = b"".join(frames.feed(frame(1, b"x" * 16384)) for _ in range(9))
    assert found.count(b"\n") == 1
    assert len(found) > 65536
    assert frames.end().endswith(b"x\n")


def test_a_terminal_is_passed_as_it_is():
    assert Demultiplexer().feed(b"hello from a tty\n") == b"hello from a tty\n"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(0, 999))
def test_following_goes_on_one_nanosecond_after_a_stamp(moment, nanoseconds):
    stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}{nanoseconds:03d}Z"
    seconds, _, rest = logs.after(stamp).partition(".")
    expected = int(moment.replace(tzinfo=UTC, microsecond=0).timestamp()) * 10**9
    expected += moment.microsecond * 1000 + nanoseconds + 1
    assert int(seconds) * 10**9 + int(rest) == expected
