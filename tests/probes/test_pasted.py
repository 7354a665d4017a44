"""Pasted text of every shape: the same lines say the same, however they were wrapped, cut or encoded."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixes.diagnose import Diagnosis, diagnose, matcher
from probes.pasted import BLOCK_BYTES, Paste
from tests.corpus.score import findings, samples

NOW = datetime(2026, 11, 23, tzinfo=UTC)
MATCHER = matcher()
LINES = [line for sample in samples()[::3] for line in sample.text.splitlines()]
TIMEOUT = "[2026-11-22 09:21:54 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:17)"


def read(*chunks: bytes) -> Diagnosis:
    paste = Paste(MATCHER, NOW)
    for chunk in chunks:
        paste.feed(chunk)
    return diagnose(paste.end())


def told(*chunks: bytes) -> set[tuple[str, tuple[int, ...]]]:
    return {(one.finding.signature, one.lines) for one in read(*chunks).found}


def _each(wrap: Callable[[str], str]) -> Callable[[str], bytes]:
    return lambda text: "".join(wrap(line) + "\n" for line in text.splitlines()).encode()


WRAPPED = {
    "compose": _each(lambda line: f"web-1  | {line}"),
    "compose with times": _each(lambda line: f"web-1  | 2026-11-22T09:21:54.123456789Z {line}"),
    "kubectl with prefix": _each(lambda line: f"[pod/api-7d9f/app] {line}"),
    "kubectl with times": _each(lambda line: f"2026-11-22T09:21:54.123456789Z {line}"),
    "a node's file": _each(lambda line: f"2026-11-22T09:21:54.123456789Z stderr F {line}"),
    "coloured": _each(lambda line: f"\x1b[31m{line}\x1b[0m"),
    "windows": lambda text: text.replace("\n", "\r\n").encode(),
    "utf-16": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "json": _each(lambda line: json.dumps({"level": "ERROR", "logger": "x", "message": line})),
    "the engine's file": _each(lambda line: json.dumps({"log": line + "\n", "stream": "stderr"})),
    "syslog": _each(lambda line: f"Nov 22 09:21:54 vm api[7]: {line}"),
    "journal in iso": _each(lambda line: f"2026-11-22T09:21:54+0000 vm api[7]: {line}"),
}


@pytest.fixture(scope="module")
def plain() -> dict[str, set[str]]:
    """What is found in each sample as it is."""
    return findings(samples())


@pytest.mark.parametrize("shape", WRAPPED)
def test_what_real_servers_print_is_understood_in_every_wrapping(shape: str, plain: dict[str, set[str]]) -> None:
    wrong: list[tuple[str, set[str], set[str]]] = []
    for sample in samples():
        # In the journal a process is taken to stand behind a proxy of the same machine.
        wanted = plain[sample.id] & sample.signatures - {"bind-loopback"}
        if sample.text.count("\n") < 1 and shape in ("json", "the engine's file"):
            continue  # a sentence that proves something because nothing stands beside it; a record's fields do
        if sample.group.startswith("cited-") and shape == "json":
            continue  # that record calls an error what was logged as information
        wrapped = {name for name, _ in told(WRAPPED[shape](sample.text))}
        false = wrapped - sample.signatures - sample.also_ok - plain[sample.id]
        if wanted - wrapped or false:
            wrong.append((sample.id, wanted - wrapped, false))
    assert wrong == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=60), st.sampled_from(sorted(WRAPPED)), st.data())
def test_cutting_the_input_anywhere_changes_nothing(lines: list[str], shape: str, data: st.DataObject) -> None:
    whole = WRAPPED[shape]("\n".join(lines))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(*pieces) == read(whole)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.sampled_from([b"\n", b"\x1b]0;x\x07", b"\xff\xfe", b'{"message": "', b"[{", b"web-1 | ", b"\x00" * 40]),
            st.sampled_from(LINES).map(str.encode),
        ),
        max_size=30,
    )
)
def test_any_bytes_are_taken_and_no_control_character_comes_out(parts: list[bytes]) -> None:
    for one in read(b"".join(parts)).found:
        said = [one.finding.title, *(evidence.text for evidence in one.finding.evidence)]
        assert all(character.isprintable() or character == "\t" for text in said for character in text)


def test_streams_of_one_paste_are_replicas_and_lines_are_numbered_in_the_text() -> None:
    text = f"web-1  | fine\nweb-2  | {TIMEOUT}\nweb-1  | fine\nweb-1  | {TIMEOUT.replace('17', '18')}\n"
    (found,) = read(text.encode()).found
    assert found.lines == (2, 4)
    assert {(one.replica, one.line) for one in found.finding.evidence} == {("web-2", 2), ("web-1", 4)}


def test_lines_are_numbered_right_far_into_a_long_text() -> None:
    filler = b"INFO:     127.0.0.1:1 - GET / 200\n"
    before = 3 * BLOCK_BYTES // len(filler)
    assert told(filler * before, TIMEOUT.encode(), b"\n", filler) == {("worker-timeout", (before + 1,))}


def test_a_record_of_several_lines_counts_as_the_line_that_it_is() -> None:
    said = {"level": "error", "message": "boot\nApplication startup failed. Exiting.", "exc_info": "Traceback\nE: x\ny"}
    failed = json.dumps(said)
    text = f"one\n{failed}\n{failed}\nfour\n{json.dumps({'event': TIMEOUT})}\n"
    assert told(text.encode()) == {("worker-boot-failed", (2, 3)), ("worker-timeout", (5,))}


def test_memory_is_bounded_whatever_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.pasted.HEAD_BYTES", BLOCK_BYTES)
    line = b"web-1  | INFO:     10.0.0.1:5 - GET /items/7 HTTP/1.1 200\n"
    chunk = line * (BLOCK_BYTES // len(line)) + f"web-1  | {TIMEOUT}\n".encode() * 20
    read(chunk)
    peaks = []
    for size in (4, 12):
        paste = Paste(MATCHER, NOW)
        tracemalloc.start()
        for _ in range(size):
            paste.feed(chunk)
        paste.end()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize("data", [b"x" * (3 * BLOCK_BYTES), b'{"a":' * 60_000, b"[" * 500_000, b"\x1b[" * 100_000])
def test_huge_lines_end(data: bytes) -> None:
    assert told(data + b"\n" + TIMEOUT.encode()) == {("worker-timeout", (2,))}
