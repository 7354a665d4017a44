from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.base import PatternKey
from probes.loghead import Place, fits, is_dictated
from probes.loghits import Pattern
from probes.logs import Matcher, match_text

TIMEOUT = "WORKER TIMEOUT (pid:7)"
PLACES: tuple[Place, ...] = ("message", "complaint", "raised", "unquoted")
MATCHERS = {
    place: Matcher([Pattern(PatternKey("t"), r"WORKER TIMEOUT \(pid:\d+\)(?:$|[\"')]| )", place=place)])
    for place in PLACES
}

OWN = (
    "",
    "[2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "api-1  | [2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "09:46:36 api.1  | [2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "info-service-1  | [2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "[pod/api-5d4f8c7b9-x2x7k/api] [2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "api-5d4f8c7b9-x2x7k api [2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "api-5d4f8c7b9-x2x7k › api [2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "2026-11-22T20:43:18.123456789Z stderr F [2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "Nov 22 20:43:18 host gunicorn[18]: [2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "Nov  2 20:43:18 host gunicorn: [CRITICAL] ",
    "<11>Nov 22 20:43:18 host gunicorn.api.error: [18] [CRITICAL] ",
    "2026-11-22T20:43:18+00:00 app[web.1]: [CRITICAL] ",
    "2026-11-22 20:43:18,123 CRITICAL ",
    "2026-11-22 20:43:18,123 - gunicorn.error - CRITICAL - ",
    "CRITICAL:gunicorn.error:",
    "CRITICAL: ",
    "CRITICAL MainThread ",
    "   server   🚀 ",
    "│ CRITICAL ",
    "2026-11-22 20:43:18.123 | CRITICAL | gunicorn.arbiter:murder_workers:500 - ",
    "2026-11-22T20:43:18Z [critical ] ",
    "time=2026-11-22T20:43:18Z level=critical msg=",
    'time="2026-11-22 20:43:18" level=critical logger=gunicorn.error msg="',
    "ts=2026-11-22T20:43:18Z lvl=crit msg='",
    "2026-11-22 20:43:18,123 CRITICAL MainProcess MainThread gunicorn.error: ",
    "2026-11-22 20:43:18,123 MainProcess MainThread CRITICAL gunicorn.error: ",
    "2026-11-22 20:43:18,123 [MainProcess] ForkPoolWorker-1 asyncio_0 Dummy-1 CRITICAL ",
    "CRITICAL AnyIO worker thread gunicorn.error: ",
    "MainProcess:MainThread:CRITICAL:",
    "Sun Nov 22 20:43:18 2026 CRITICAL ",
    "Sun, 22 Nov 2026 20:43:18 +0000 - root - ERROR - ",
    "CRITICAL Checkout Service: ",
    "CRITICAL:Checkout Service:",
    "Payment Service [CRITICAL] ",
)
QUOTED = (
    'INFO:app:support ticket says "[CRITICAL] ',
    "INFO:app:user said: [2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "INFO:app:[2026-11-22 20:43:18 +0000] [18] [CRITICAL] ",
    "INFO:app:",
    "2026-11-22 20:43:18 INFO chat: ",
    "2026-11-22T20:43:18Z [info     ] ",
    "time=2026-11-22T20:43:18Z level=info msg=",
    'INFO:     10.0.0.1:5 - "GET /?q=',
    '10.0.0.1 - - [22/Nov/2026:20:43:18 +0000] "GET /?q=',
    "they tell me that it says ",
    "WARNING:app:blocked the prompt: ",
    "用户说:[CRITICAL] ",
    "> why does it say [CRITICAL] ",
    "user asked why [CRITICAL] ",
    "User Bob asked why [CRITICAL] ",
    "Support Ticket: [CRITICAL] ",
    "INFO:app:User Said: [CRITICAL] ",
    "WARNING:app:Blocked Prompt: ",
    "CRITICAL Here Is What They Said: ",
    "INFO MainProcess MainThread chat: ",
    "INFO Sun Nov 22 20:43:18 2026 chat said: ",
)
RETRIES = (
    "INFO:backoff:Backing off connect(...) for 1.2s (asyncpg.exceptions.XError: ",
    'INFO:backoff:Backing off connect(...) for 1.2s (a.XError: server at "10.0.0.5" failed: FATAL:  ',
    "2026-11-22 20:43:18 INFO app.db Retrying app.db.connect in 1.0 seconds as it raised XError: ",
)


def found(place: Place, line: str) -> bool:
    return bool(match_text(MATCHERS[place], line.encode() + b"\n"))


@pytest.mark.parametrize("front", OWN)
def test_a_servers_own_words_begin_where_the_head_of_the_line_ends(front: str) -> None:
    assert all(found(place, front + TIMEOUT + (front[-1] if front[-1:] in {'"', "'"} else "")) for place in PLACES)


@pytest.mark.parametrize("front", QUOTED)
def test_words_that_somebody_quotes_are_not_a_servers_own(front: str) -> None:
    assert not found("complaint", front + TIMEOUT)


def test_what_is_said_at_the_level_of_information_may_be_a_message_and_no_complaint() -> None:
    assert found("message", "[2026-11-22 20:43:18 +0000] [18] [INFO] " + TIMEOUT)
    assert not found("complaint", "[2026-11-22 20:43:18 +0000] [18] [INFO] " + TIMEOUT)


def record(**fields: object) -> str:
    return json.dumps(fields)


def test_a_record_says_its_message_and_not_its_other_fields() -> None:
    assert found("complaint", record(level="critical", message=TIMEOUT))
    assert found("complaint", record(message=TIMEOUT))
    assert found("complaint", "api-1  | " + record(level="critical", message=TIMEOUT))
    assert not found("complaint", record(level="critical", message="asked", query=TIMEOUT))
    assert not found("complaint", "INFO:app:the payload was " + record(user="me", message=TIMEOUT))


@pytest.mark.parametrize("level", [{"level": "info"}, {"level": 20}, {"log.level": "INFO"}, {"severity": "INFO"}])
def test_a_record_of_mere_information_complains_of_nothing(level: dict[str, object]) -> None:
    assert not found("complaint", record(**level, message=TIMEOUT))
    assert not found("raised", record(**level, message=f"hello\n{TIMEOUT}"))


def test_what_a_collector_calls_a_stream_does_not_outrank_the_lines_own_level() -> None:
    assert found("complaint", record(severity="INFO", textPayload="[18] [CRITICAL] " + TIMEOUT))


def test_a_message_of_several_lines_has_to_be_called_an_error() -> None:
    assert found("complaint", record(level="error", message=f"boot\n{TIMEOUT}"))
    assert not found("complaint", record(message=f"hello\n{TIMEOUT}"))
    assert not found("message", record(level="error", message=f"hello\n{TIMEOUT}"))


def test_an_exception_says_it_in_a_traceback_or_behind_other_words_of_an_error() -> None:
    for front in ("sqlalchemy.exc.TimeoutError: ", "    | E: ", "ERROR:app:could not load: (a.b.XError) ", "a.b."):
        assert found("raised", front + TIMEOUT), front
    assert found("raised", record(level="error", message="x", error=f"Traceback\n  File\na.TimeoutError: {TIMEOUT}"))
    for front in ("INFO:app:could not load: ", 'ERROR:app:"', "they say a.b.XError: "):
        assert not found("raised", front + TIMEOUT), front


@pytest.mark.parametrize("front", RETRIES)
def test_what_is_tried_again_failed_at_whatever_level_that_is_told(front: str) -> None:
    for place in ("raised", "unquoted"):
        assert found(place, front + TIMEOUT + ")")
        for quoting in ("INFO:app:user said: ", 'INFO:app:"', "INFO:app:they see "):
            assert not found(place, quoting + front + TIMEOUT + ")")


def test_what_is_tried_again_is_found_in_a_record_too() -> None:
    said = f"Backing off connect(...) for 1.2s (a.XError: {TIMEOUT})"
    assert found("raised", record(level="info", logger="backoff", message=said))
    assert not found("raised", record(level="info", logger="chat", message="they see " + said))


def test_elsewhere_only_quotations_and_prose_in_mere_information_are_left_out() -> None:
    for front in ("they say ", "ERROR:app:they say ", 'ERROR:app:"', "INFO:app:", 'level=warning error="'):
        assert found("unquoted", front + TIMEOUT), front
    for front in ('INFO:app:"', "INFO:app:they say ", 'level=info msg="they say '):
        assert not found("unquoted", front + TIMEOUT), front


@given(st.sampled_from(PLACES), st.text(max_size=500), st.text(max_size=100), st.booleans())
def test_any_text_has_an_answer(place: Place, front: str, fields: str, below: bool) -> None:
    assert fits(place, front, fields, below=below) in {True, False}


def test_a_hostile_front_is_judged_in_time_that_grows_with_its_length() -> None:
    for piece in ("a.", "[", "(", "a=", '"', "A.A", "x ", "[a](b)", "AError", "Error: ", "INFO "):
        assert fits("raised", piece * 30_000) in {True, False}
        assert fits("unquoted", piece * 30_000) in {True, False}


INFORMED = [
    ("INFO api.jobs last error was:", "OSError: [Errno 24] Too many open files"),
    ("2026-11-22 09:22:25,407 INFO api.jobs the last answer was {", '  "detail": "sorry, too many clients already"'),
    ("[2026-11-22 10:00:00 +0000] [1] [INFO] effective settings:", "  on_error: WORKER TIMEOUT (pid:7)"),
    (
        "DEBUG:    app.db: SELECT said FROM tickets WHERE said IN (",
        "  'QueuePool limit of size 5 overflow 10 reached')",
    ),
]
OTHERS = [
    ("INFO api.jobs last error was:\nTraceback (most recent call last):", "OSError: [Errno 24] Too many open files"),
    ("ERROR api.jobs last error was:", "OSError: [Errno 24] Too many open files"),
    ("INFO api.jobs last error was:\n", "OSError: [Errno 24] Too many open files"),
    ("INFO api.jobs last error was:", "ERROR api.jobs OSError: [Errno 24] Too many open files"),
    ('INFO:     10.0.0.1:5 - "GET / HTTP/1.1" 200 OK', "OSError: [Errno 24] Too many open files"),
    ("", "OSError: [Errno 24] Too many open files"),
]


@pytest.mark.parametrize(("above", "line"), INFORMED)
def test_a_message_of_information_in_several_lines_dictates_them(above: str, line: str) -> None:
    assert is_dictated(line, above.split("\n")[::-1])


@pytest.mark.parametrize(("above", "line"), OTHERS)
def test_what_another_wrote_below_a_message_of_information_is_its_own(above: str, line: str) -> None:
    assert not is_dictated(line, above.split("\n")[::-1])


@given(above=st.lists(st.text(max_size=80), max_size=20), line=st.text(max_size=200))
def test_no_text_below_a_record_is_too_strange(above: list[str], line: str) -> None:
    assert not is_dictated(line, ["Traceback (most recent call last):", *above])
    assert not is_dictated("ERROR " + line, above)
    is_dictated(line, above)


@given(
    lines=st.lists(st.from_regex(r"[ -~]{0,60}", fullmatch=True), max_size=8), level=st.sampled_from(["INFO", "DEBUG"])
)
def test_a_traceback_between_records_of_information_is_found(lines: list[str], level: str) -> None:
    told = "".join(f"{level}:     app: {line}\n" for line in lines)
    trace = 'Traceback (most recent call last):\n  File "/srv/a.py", line 1, in f\n    f()\nOSError: [Errno 24] x\n'
    descriptors = Pattern(PatternKey("fd"), r"\[Errno 24\]", place="unquoted")
    hits = match_text(Matcher([descriptors]), (told + trace + told).encode())
    assert any("OSError: [Errno 24] x" in hit.sample for hit in hits)
