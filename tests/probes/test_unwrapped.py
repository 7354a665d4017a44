"""Logs that rich wrapped at the width of a console, made by rich itself, say what was logged."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.logging import RichHandler

from fixes.diagnose import diagnose, matcher
from probes.pasted import BLOCK_BYTES, Paste
from probes.unwrapped import unwrap, whole

MATCHER = matcher()
POOL = (
    "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00 (https://sqlalche.me/e/20/3o7r)"
)
WIDTHS = pytest.mark.parametrize("width", [80, 100, 120, 160])


def logger(handler: logging.Handler) -> logging.Logger:
    log = logging.getLogger("fastops-test-unwrapped")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.handlers = [handler]
    return log


def written(width: int, *, boxes: bool = False, path: bool = True, about: str = POOL) -> str:
    """A record of information, one of an error, and a traceback."""
    out = io.StringIO()
    handler = RichHandler(console=Console(file=out, width=width), rich_tracebacks=boxes, show_path=path)
    log = logger(handler)
    log.info("served at port 8000")
    log.error("sqlalchemy.exc.TimeoutError: %s", about)
    try:
        raise ConnectionRefusedError(111, f"Connect call failed to the server of {about}")
    except ConnectionRefusedError:
        log.exception("the orders of a customer could not be read, and that is all that is known about it for now")
    log.info("after")
    return out.getvalue()


def found(said: str) -> set[str]:
    paste = Paste(MATCHER)
    paste.feed(said.encode())
    return {one.finding.signature for one in diagnose(paste.end()).found}


@WIDTHS
@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("path", [False, True])
def test_a_message_is_whole_again(width: int, boxes: bool, path: bool) -> None:
    lines = unwrap(written(width, boxes=boxes, path=path).encode()).decode().split("\n")
    assert any("ERROR" in line and f"sqlalchemy.exc.TimeoutError: {POOL}" in line for line in lines)
    assert any(
        line.endswith("and that is all that is known about it for now") or "for now test_unw" in line for line in lines
    )
    assert any(line.startswith("ConnectionRefusedError: [Errno 111] Connect call failed") for line in lines)
    assert "Traceback (most recent call last):" in lines


@WIDTHS
@pytest.mark.parametrize("boxes", [False, True])
def test_what_was_said_is_found_at_any_width(width: int, boxes: bool) -> None:
    assert "pool-exhausted" in found(written(width, boxes=boxes))


@WIDTHS
def test_a_frame_in_a_box_reads_as_pythons(width: int) -> None:
    plain = unwrap(written(width, boxes=True).encode()).decode()
    assert 'test_unwrapped.py", line ' in plain
    assert ", in written\n" in plain


@WIDTHS
def test_a_message_of_information_in_several_lines_is_no_error(width: int) -> None:
    out = io.StringIO()
    log = logger(RichHandler(console=Console(file=out, width=width)))
    log.info("the last error was:\nOSError: [Errno 24] Too many open files")
    assert found(out.getvalue()) == set()


@WIDTHS
@pytest.mark.parametrize("boxes", [False, True])
def test_an_engines_time_before_each_line_is_no_part_of_it(width: int, boxes: bool) -> None:
    lines = written(width, boxes=boxes).splitlines()
    stamped = [f"2026-11-22T09:21:{at % 60:02}.{'1' * (1 + at % 9)}Z {line}" for at, line in enumerate(lines)]
    assert "pool-exhausted" in found("\n".join(stamped) + "\n")


def test_a_line_keeps_its_number() -> None:
    before = 'INFO:     10.0.0.1:5 - "GET / HTTP/1.1" 200 OK\n' * 7
    paste = Paste(MATCHER)
    paste.feed((before + written(80)).encode())
    lines = {one.finding.signature: one.lines for one in diagnose(paste.end()).found}
    assert lines["pool-exhausted"] == (9,)


@WIDTHS
@pytest.mark.parametrize("boxes", [False, True])
def test_what_a_traceback_ends_with_keeps_its_number(width: int, boxes: bool) -> None:
    said = written(width, boxes=boxes).encode()
    (before,) = [at for at, line in enumerate(said.split(b"\n")) if b" ConnectionRefusedError: [Errno" in line]
    (after,) = [at for at, line in enumerate(unwrap(said).split(b"\n")) if line.startswith(b"ConnectionRefusedError:")]
    assert after == before


def test_a_record_at_the_edge_of_a_block_is_whole() -> None:
    one = written(80)
    line = 'INFO:     10.0.0.1:5 - "GET / HTTP/1.1" 200 OK\n'
    for back in (150, 250, 350):
        filler = line * ((BLOCK_BYTES - back) // len(line))
        assert "pool-exhausted" in found(filler + one)


PIECES = st.sampled_from(
    ["[04:51:47] INFO     ", "           ERROR    ", "                    ", "said ", "a.py:7", "\n", "╭─ Traceback ─╮",
     "│ ", " │", "╰─╯", "❱ 7 │ x", "/a/b.py:7 in f", "ValueError: x", " "]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(said=st.one_of(st.lists(PIECES, max_size=50).map("".join).map(str.encode), st.binary(max_size=300)))
def test_no_bytes_change_the_number_of_lines(said: bytes) -> None:
    data = said + b"\n"
    assert unwrap(data).count(b"\n") == data.count(b"\n")
    assert 0 < whole(data, 0, len(data)) <= len(data)


@pytest.mark.parametrize("filler", [b" ", b" a.py", b".py", b"a "])
def test_a_hostile_line_is_read_in_time_that_grows_with_its_length(filler: bytes) -> None:
    line = b"[04:51:47] INFO     x" + filler * (64_000 // len(filler)) + b"!"
    assert unwrap(line + b"\n" + b" " * 20 + b"more\n").startswith(line)


@pytest.mark.parametrize(
    "said",
    [
        b'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    f()\nValueError: no\n',
        b"Events:\n  Type     Reason     Message\n  ----     ------     -------\n  Warning  Unhealthy  probe failed\n",
        b"INFO:     Started server process [7]\nINFO:     Waiting for application startup.\n",
        b'{"a": 1}\n    indented\n        more\n',
    ],
)
def test_what_is_not_richs_is_left_as_it_is(said: bytes) -> None:
    assert unwrap(said) == said
