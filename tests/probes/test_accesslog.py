"""Requests counted in the lines of an access log."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import accessformat
from probes.accesslog import BYTES_PER_SECOND, AccessLog
from probes.base import ReplicaId
from probes.logbook import LogBook
from probes.logs import Matcher
from probes.traffic import Traffic, together

START = 1_800_000_000


def stamped(line: str, second: float) -> bytes:
    at = datetime.fromtimestamp(START + second, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z {line}\n".encode()


def fed(lines: list[bytes], log: AccessLog | None = None, now: float = 20.0) -> AccessLog:
    log = log or AccessLog(lambda: 0.0)
    for line in lines:
        log.take(line, line, START + now)
    return log


def traffic(log: AccessLog, now: float = 20.0) -> Traffic:
    found = log.traffic(START + now)
    assert found is not None
    return found


UVICORN = 'INFO:     127.0.0.1:53540 - "GET /a?b=1 HTTP/1.1" {} OK'
GUNICORN = '127.0.0.1 - - [22/Nov/2026:21:10:00 +0000] "GET /a HTTP/1.1" {} 12 "-" "curl/8"'


def test_uvicorns_lines_tell_the_rate_and_the_errors_and_no_duration() -> None:
    lines = [stamped(UVICORN.format(500 if n % 10 == 0 else 200), n / 10) for n in range(200)]
    found = traffic(fed(lines))
    assert found.per_second == pytest.approx(10.0)
    assert found.errors_per_second == pytest.approx(1.0)
    assert not found.buckets
    assert found.source.startswith("access log (no durations)")


@pytest.mark.parametrize(
    ("server", "given_format", "line"),
    [
        (
            "gunicorn",
            '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s',
            GUNICORN.format(200) + " 80000",
        ),
        ("gunicorn", "%(m)s %(U)s%(q)s %(s)s %(M)sms", "GET /ax=1 200 80ms"),
        ("gunicorn", '{"path":"%(U)s","status":%(s)s,"s":%(L)s}', '{"path":"/a","status":200,"s":0.080000}'),
        (
            "hypercorn",
            '%(h)s "%(r)s" %(s)s %(D)s',
            '[2026-11-22 21:10:00 +0000] [12] [INFO] 127.0.0.1 "GET /a 1.1" 200 80000',
        ),
        ("granian", None, '[2026-11-22 21:10:00 +0000] 127.0.0.1 - "GET /a HTTP/1.1" 200 80.123'),
    ],
)
def test_the_servers_own_format_tells_durations(server: str, given_format: str | None, line: str) -> None:
    log = AccessLog(lambda: 0.0)
    log.format = accessformat.compiled(server, given_format)
    assert log.format is not None
    latency = together([traffic(fed([stamped(line, n / 10) for n in range(200)], log))], 1)
    assert latency is not None
    assert latency.p95_seconds == pytest.approx(0.08, rel=0.06)
    assert latency.requests_per_second == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        (GUNICORN.format(200) + " 0.080", 0.08),
        (GUNICORN.format(200) + " rt=0.080 urt=0.070", 0.08),
        (GUNICORN.format(200) + " 0.080123", 0.08),
        (GUNICORN.format(200) + " duration=80.1ms", 0.08),
    ],
)
def test_what_cannot_be_mistaken_is_learnt_from_the_lines(line: str, seconds: float) -> None:
    latency = together([traffic(fed([stamped(line, n / 10) for n in range(200)]))], 1)
    assert latency is not None
    assert latency.p50_seconds == pytest.approx(seconds, rel=0.06)


@pytest.mark.parametrize("end", [" 80000", " 80", "", " duration=80"])
def test_a_bare_number_is_not_taken_for_a_duration(end: str) -> None:
    assert not traffic(fed([stamped(GUNICORN.format(200) + end, n / 10) for n in range(200)])).buckets


def test_a_proxy_and_the_server_behind_it_are_not_added_up() -> None:
    lines = []
    for n in range(200):
        lines += [stamped(GUNICORN.format(200) + " 0.080", n / 10), stamped(UVICORN.format(200), n / 10)]
    found = traffic(fed(lines))
    assert found.per_second == pytest.approx(10.0)
    assert found.buckets


def test_what_fastops_and_checks_ask_for_does_not_count() -> None:
    log = AccessLog(lambda: 0.0)
    lines = [stamped(f'INFO: 1.2.3.4:5 - "GET {path} HTTP/1.1" 404', 1.0) for path in ("/.fastops/loop", "/health?x")]
    fed(lines, log)
    assert log.traffic(START + 20.0) is None


def test_what_the_service_asks_of_others_does_not_count() -> None:
    line = 'DEBUG:urllib3.connectionpool:http://localhost:80 "GET /a HTTP/1.1" 200 12'
    assert fed([stamped(line, 1.0)]).traffic(START + 20.0) is None


def test_lines_without_an_engines_stamp_and_of_an_old_past_do_not_count() -> None:
    old = stamped(UVICORN.format(200), -1000.0)
    assert fed([UVICORN.format(200).encode() + b"\n", old]).traffic(START + 20.0) is None


def test_a_service_that_fell_silent_has_a_rate_of_nothing() -> None:
    log = fed([stamped(UVICORN.format(200), n / 10) for n in range(200)])
    assert traffic(log, 200.0).per_second == 0.0


def test_of_a_flood_a_part_is_read_and_stands_for_all() -> None:
    clock = [0.0]
    log = AccessLog(lambda: clock[0])
    rng = random.Random(1)
    sent = 0
    for second in range(30):
        for part in range(4):
            clock[0] = second + part / 4
            lines = [
                stamped(UVICORN.format(500 if rng.random() < 0.2 else 200), clock[0]) for _ in range(3000)
            ]  # 12,000 a second: 1 MB
            sent += len(lines)
            block = b"".join(lines)
            log.take(block, block, START + clock[0])
    read = sum(one.requests for one in log._seconds["no durations"].values())
    assert read == pytest.approx(sent, rel=0.1)
    found = traffic(log, 30.0)
    assert found.per_second == pytest.approx(sent / 30, rel=0.1)
    assert found.errors_per_second is not None
    assert found.errors_per_second / found.per_second == pytest.approx(0.2, rel=0.1)
    assert log._room <= 4 * BYTES_PER_SECOND


def test_a_log_book_counts_what_its_streams_are_fed() -> None:
    book = LogBook(Matcher(()))
    stream = book.stream(ReplicaId("one"), "output")
    now = datetime.now(UTC)
    line = f'{now:%Y-%m-%dT%H:%M:%S.%f}Z INFO:     127.0.0.1:1 - "GET /a HTTP/1.1" 200 OK\n'.encode()
    stream.feed(line * 10)
    (log,) = book.requests(ReplicaId("one"))
    assert log.format is None
    found = log.traffic(now.timestamp() + 10)
    assert found is not None
    assert found.per_second == pytest.approx(1.0, rel=0.1)
    assert book.requests(ReplicaId("other")) == ()


def test_the_logs_of_one_replica_are_found_without_a_look_at_the_others() -> None:
    book, one = LogBook(Matcher(())), ReplicaId("one")
    own = tuple(book.stream(one, source).requests for source in (None, "/var/log/access.log"))
    book.stream(ReplicaId("other"))
    assert book.requests(one) == own
    assert book.requests(one) is book.requests(one)  # kept, not looked for
    book.drop(one)
    assert book.requests(one) == ()
    assert book.requests(ReplicaId("other")) != ()


def test_a_format_that_is_known_beforehand_holds_for_the_past_of_a_log() -> None:
    book = LogBook(Matcher(()))
    book.expect(accessformat.compiled("gunicorn", "%(U)s %(s)s %(D)s"))
    now = datetime.now(UTC)
    book.stream(ReplicaId("one")).feed(f"{now:%Y-%m-%dT%H:%M:%S.%f}Z /a 200 80000\n".encode() * 10)
    (log,) = book.requests(ReplicaId("one"))
    found = log.traffic(now.timestamp() + 10)
    assert found is not None
    assert found.source == "access log, %(D)s over 1m"


_PIECE = st.one_of(
    st.binary(max_size=80),
    st.sampled_from(
        [b"2027-01-15T08:00:01.5Z ", b'"GET /a HTTP/1.1" 200', b" 0.123", b" rt=0.123", b"\n", b'"', b" 9ms\n"]
    ),
)
_FORMAT = st.lists(
    st.sampled_from(
        ["%(h)s", "%(r)s", '"%(r)s"', "%(s)s", "%(D)s", "%(U)s", "%(q)s", " ", "%%", "%(T)s", "(", "%(a)s", "["]
    ),
    max_size=12,
).map("".join)


@settings(max_examples=200)
@given(st.lists(_PIECE, max_size=40), st.one_of(_FORMAT, st.text(max_size=60)))
def test_no_bytes_and_no_format_crash_it(pieces: list[bytes], given_format: str) -> None:
    log = AccessLog(lambda: 0.0)
    log.format = accessformat.compiled("gunicorn", given_format)
    data = b"".join(pieces) + b"\n"
    log.take(data, data, START + 5.0)
    found = log.traffic(START + 10.0)
    assert found is None or found.per_second >= 0


_ENDS = re.compile(rb"\[\^(\\?.)\\n\]\{0,2048\}(\\?.)", re.DOTALL)
"""A value of any text, the character that it ends at, and the one that stands behind it."""
_DIRECTIVES = ["%(h)s", "%({a}i)s", "%(r)s", "%(s)s", "%(D)s", "%(U)s", "%(m)s", "%(t)s", "%(M)s"]


@settings(max_examples=500)
@given(st.lists(st.sampled_from([*_DIRECTIVES, *' %x-5[^\\]."', "%%"]), max_size=14).map("".join))
def test_there_is_one_way_to_read_a_line(given_format: str) -> None:
    found = accessformat.compiled("gunicorn", given_format + " %(U)s %(s)s %(D)s")
    if found is None:
        return
    pattern = found.line.pattern
    assert all(stop == behind for stop, behind in _ENDS.findall(pattern))
    assert len(_ENDS.findall(pattern)) == pattern.count(b"\\n]{0,2048}")
    assert pattern.count(b'\\.){0,2048}"') == pattern.count(b"\\.){0,2048}")
    assert b'[^\\s"]{0,512}' not in pattern.removesuffix(b'[^\\s"]{0,512}\r?$')
    assert pattern.count(b"{1,2048}") == pattern.count(b"(?P<path>") == 1
    assert pattern.count(b"{1,20}") == pattern.count(b"(?P<method>") <= 1


@pytest.mark.parametrize("given_format", ["%(U)s%(s)s %(D)s", "%(U)s %(s)s%(D)s", "%(U)s %(s)s %(D)s0", "%(m)s%(U)s"])
def test_values_with_nothing_between_them_make_no_format(given_format: str) -> None:
    assert accessformat.compiled("gunicorn", given_format) is None


def test_free_values_with_nothing_between_them_are_one() -> None:
    found = accessformat.compiled("gunicorn", "%({a}i)s" * 4 + " %(m)s %(U)s %(s)s %(D)s")
    assert found is not None
    assert found.line.pattern.count(rb"[^\ \n]{0,2048}") == 1
    log = AccessLog(lambda: 0.0)
    log.expect(found)
    fed([stamped("abcd GET /a 200 250000", float(n)) for n in range(10)], log)
    assert traffic(log).source == "access log, %(D)s over 1m"


def test_a_format_that_is_no_text_is_unknown() -> None:
    assert accessformat.compiled("gunicorn", "\udcff %(U)s %(s)s %(D)s") is None


@pytest.mark.timeout(60)  # what goes back over such a line again and again takes hours
@pytest.mark.parametrize("given_format", ["%(h)s %(l)s %(u)s %(U)s %(s)s %(D)s", '"%(r)s" %(s)s %(a)s%(f)s %(D)s'])
def test_a_long_line_that_nearly_fits_takes_no_long_time(given_format: str) -> None:
    found = accessformat.compiled("gunicorn", given_format)
    assert found is not None
    line = stamped('"GET ' + "a " * 30_000 + '" 200 1 2 3 4 x', 1.0)
    assert list(found.line.finditer(line)) == []
    assert list(accessformat.GENERIC.finditer(line)) == []
