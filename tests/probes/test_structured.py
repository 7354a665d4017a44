"""Records in JSON: what they say is matched as if a plain formatter had written it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.base import PatternKey, ReplicaId
from probes.loghits import LogHit, Pattern
from probes.logs import LogStream, Matcher
from probes.structured import unfold

TRACE = 'Traceback (most recent call last):\n  File "/srv/app.py", line 7, in read\n    x()\nValueError: not "it"'
MATCHER = Matcher(
    (
        Pattern(PatternKey("said"), r"(?:^|\s)order (?P<order>\d+) failed$"),
        Pattern(PatternKey("raised"), r"(?:^|\s)ValueError: (?P<what>not \"it\")$", 20),
    )
)
SHAPES: dict[str, dict[str, Any]] = {
    "the standard library": {"level": "ERROR", "message": "order 7 failed", "exc_info": TRACE},
    "all in the message": {"levelname": "ERROR", "message": f"order 7 failed\n{TRACE}"},
    "python-json-logger": {"asctime": "2026-11-22 09:21:54,001", "message": "order 7 failed", "exc_info": TRACE},
    "structlog": {"event": "order 7 failed", "level": "error", "exception": TRACE, "timestamp": 1795339314.5},
    "structlog's dictionaries": {
        "event": "order 7 failed",
        "exception": [
            {
                "exc_type": "ValueError",
                "exc_value": 'not "it"',
                "frames": [{"filename": "/srv/app.py", "lineno": 7, "name": "read"}],
            }
        ],
    },
    "loguru": {
        "text": f"2026-11-22 09:21:54.001 | ERROR    | app:read:7 - order 7 failed\n{TRACE}\n",
        "record": {
            "message": "order 7 failed",
            "level": {"name": "ERROR", "no": 40},
            "exception": {"type": "ValueError", "value": 'not "it"', "traceback": True},
            "time": {"repr": "2026-11-22 09:21:54.001+00:00", "timestamp": 1795339314.001},
        },
    },
    "the Elastic Common Schema": {
        "@timestamp": "2026-11-22T09:21:54.001Z",
        "message": "order 7 failed",
        "error": {"type": "ValueError", "message": 'not "it"', "stack_trace": TRACE},
        "log": {"level": "error", "logger": "app"},
    },
    "the same, flat": {"message": "order 7 failed", "error.stack_trace": TRACE, "log.level": "error"},
    "Google": {"severity": "ERROR", "message": f"order 7 failed\n{TRACE}", "timestamp": {"seconds": 1795339314}},
    "Google's export": {"jsonPayload": {"message": "order 7 failed", "exception": TRACE}, "logName": "x"},
    "Datadog": {"message": "order 7 failed", "error": {"kind": "ValueError", "stack": TRACE}, "dd": {"trace_id": "1"}},
    "the engine's own file": {"log": f"order 7 failed\n{TRACE}\n", "stream": "stderr", "time": "2026-11-22T09:21:54Z"},
    "JSON in the engine's own file": {
        "log": json.dumps({"message": "order 7 failed", "exc_info": TRACE}) + "\n",
        "stream": "stderr",
    },
    "the journal": {"MESSAGE": f"order 7 failed\n{TRACE}", "__REALTIME_TIMESTAMP": "1795339314001000"},
    "a list of lines": {"msg": "order 7 failed", "traceback": TRACE.splitlines(keepends=True)},
}


def hits(*lines: str) -> dict[str, LogHit]:
    stream = LogStream(MATCHER, ReplicaId("r"))
    stream.feed("".join(f"{line}\n" for line in lines).encode())
    return {hit.key: hit for hit in stream.hits()}


@pytest.mark.parametrize("lead", ["", "2026-11-22T09:21:54.001Z ", "INFO app "])
@pytest.mark.parametrize("shape", SHAPES)
def test_message_and_traceback_are_found_once_each(shape: str, lead: str) -> None:
    found = hits("before", lead + json.dumps(SHAPES[shape]), "after")
    assert {key: hit.count for key, hit in found.items()} == {"said": 1, "raised": 1}
    assert found["said"].fields == {"order": "7"}
    assert any('"/srv/app.py", line 7, in read' in line for line in found["raised"].before)


@pytest.mark.parametrize(
    "shape", [name for name, record in SHAPES.items() if any("time" in key.lower() for key in record)]
)
def test_the_time_of_a_record_is_the_time_of_its_traceback(shape: str) -> None:
    at = hits(json.dumps(SHAPES[shape]))["raised"].marks[-1].at
    if shape != "Google":  # seconds in an object are not a time that a line shows
        assert at is not None
        assert at.replace(microsecond=0) in {
            datetime(2026, 11, 22, 9, 21, 54, tzinfo=UTC),
            datetime.fromtimestamp(1795339314, UTC),
        }


def test_lines_of_the_log_keep_their_numbers_and_their_text() -> None:
    record = json.dumps(SHAPES["the standard library"])
    stream = LogStream(MATCHER, ReplicaId("r"))
    stream.feed(f"one\n{record}\nthree\n{record}\n".encode())
    lines = stream.lines()
    assert [(line.number, bool(line.keys)) for line in lines] == [(1, False), (2, True), (3, False), (4, True)]
    assert lines[1].text.startswith('{"level": "ERROR"')
    assert [line for line, _ in stream.marked(0)] == [2, 2, 4, 4]
    marks = [mark.line for hit in stream.hits() for mark in hit.marks]
    assert len(set(marks)) == 4


@pytest.mark.parametrize(
    "line",
    ['{"a": 1}', '{"message": ""}', '{"message": "x"', "{'message': 'x'}", 'GET /x?q={"a"}', '{"message": 1e999}'],
)
def test_what_is_no_record_stays_as_it_is(line: str) -> None:
    data = f"before\n{line}\nafter\n".encode()
    assert unfold(data).data == data


def test_escapes_within_a_message_do_not_hide_it() -> None:
    assert hits(json.dumps({"message": "\x1b[31morder\x1b[0m 7 failed"}))["said"].count == 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([json.dumps(r).encode() for r in SHAPES.values()]))))
def test_lines_before_and_after_are_counted_right_whatever_stands_there(parts: list[bytes]) -> None:
    data = b"".join(part.replace(b"\n", b" ") + b"\n" for part in parts)
    found = unfold(data)
    assert found.data.count(b"\n") == data.count(b"\n") + found.extra
    offset, made = 0, set()
    for index, line in enumerate(found.data.split(b"\n")[:-1]):
        head, extra = found.origin(offset)
        made.add(index - extra)
        assert head <= offset
        offset += len(line) + 1
    assert made == set(range(len(parts)))


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "message",
                        "event",
                        "exc_info",
                        "error",
                        "record",
                        "text",
                        "time",
                        "frames",
                        "exception",
                        "x.error",
                    ]
                ),
                inner,
            )
        ),
    )
)
def test_any_record_is_taken(value: object) -> None:
    line = json.dumps(value).encode()
    found = unfold(line + b"\nnext\n")
    assert found.data.endswith(b"\nnext\n")
    assert len(found.data) <= 8 * len(line) + 100
