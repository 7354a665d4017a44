"""Following and matching logs: whatever the chunks, whatever the bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.base import PatternKey, ReplicaId
from probes.logbook import LogBook
from probes.loggroups import BYTES_PER_PATTERN, GROUPS_PER_PATTERN, MARKS
from probes.loghits import LogHit, Pattern
from probes.logs import LINE_BYTES, BadPattern, LogStream, Matcher, match_text

REPLICA = ReplicaId("r")
SINCE = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def pattern(key: str, regex: str, context_lines: int = 0) -> Pattern:
    return Pattern(PatternKey(key), regex, context_lines)


MATCHER = Matcher(
    (
        pattern("timeout", r"WORKER TIMEOUT \(pid:(?P<pid>\d+)\)"),
        pattern("error", r"(?:^|\s)(?P<error>[A-Z]\w*Error: .*)$", 3),
        pattern("letter", r"q(?P<letter>[a-c])"),
    )
)


def stream() -> LogStream:
    return LogStream(MATCHER, REPLICA, "docker logs")


def fed(*chunks: bytes) -> LogStream:
    one = stream()
    for chunk in chunks:
        one.feed(chunk)
    one.end()
    return one


def only(hits: tuple[LogHit, ...]) -> LogHit:
    assert len(hits) == 1, hits
    return hits[0]


def test_a_match_carries_its_groups_its_line_and_its_source() -> None:
    hit = only(fed(b"one\n[CRITICAL] WORKER TIMEOUT (pid:17)\n").hits())
    assert (hit.key, hit.replica, hit.source, hit.count) == ("timeout", "r", "docker logs", 1)
    assert hit.fields == {"pid": "17"}
    assert hit.sample == "[CRITICAL] WORKER TIMEOUT (pid:17)"
    assert [mark.line for mark in hit.marks] == [2]


def test_matches_with_equal_groups_are_counted_together() -> None:
    hits = fed(b"WORKER TIMEOUT (pid:1)\nWORKER TIMEOUT (pid:2)\nWORKER TIMEOUT (pid:1)\n").hits()
    assert {hit.fields["pid"]: (hit.count, [m.line for m in hit.marks]) for hit in hits} == {
        "1": (2, [1, 3]),
        "2": (1, [2]),
    }


def test_a_line_counts_once_however_often_it_matches() -> None:
    assert only(fed(b"qa qa qa\n").hits()).count == 1


def test_colour_inside_a_phrase_does_not_hide_it() -> None:
    hit = only(fed(b"\x1b[31mWORKER \x1b[0mTIMEOUT (pid:\x1b[1m5)\n").hits())
    assert hit.fields == {"pid": "5"}
    assert "\x1b" not in hit.sample


def test_an_unterminated_escape_does_not_swallow_the_next_line() -> None:
    assert [m.line for m in only(fed(b"\x1b]0;title\nWORKER TIMEOUT (pid:5)\n").hits()).marks] == [2]


def test_a_match_never_spans_lines() -> None:
    assert Matcher((pattern("two", r"a\s+b"),)).scan(b"a\nb\n")
    assert match_text(Matcher((pattern("two", r"a\s+b"),)), b"a\nb\n") == ()


def test_the_last_line_counts_without_a_newline() -> None:
    one = stream()
    one.feed(b"WORKER TIMEOUT (pid:3)")
    assert one.hits() == ()
    one.end()
    assert only(one.hits()).fields == {"pid": "3"}


@pytest.mark.parametrize(
    ("line", "at"),
    [
        (b"2026-11-22T09:21:50.123456789Z WORKER TIMEOUT (pid:1)", datetime(2026, 11, 22, 9, 21, 50, 123456, UTC)),
        (b"[2026-11-22 09:21:50 +0200] WORKER TIMEOUT (pid:1)", datetime(2026, 11, 22, 7, 21, 50, 0, UTC)),
        (b"2026-11-22 09:22:25,407 WORKER TIMEOUT (pid:1)", datetime(2026, 11, 22, 9, 22, 25, 407000, UTC)),
        (
            b'{"m": "WORKER TIMEOUT (pid:1)", "t": "2026-11-22T09:21:50.5Z"}',
            datetime(2026, 11, 22, 9, 21, 50, 500000, UTC),
        ),
        (b"2026/11/22 09:21:50 [error] WORKER TIMEOUT (pid:1)", datetime(2026, 11, 22, 9, 21, 50, 0, UTC)),
        (b"h - [22/Nov/2026:09:21:50 +0000] WORKER TIMEOUT (pid:1)", datetime(2026, 11, 22, 9, 21, 50, 0, UTC)),
        (b"2026-99-22 09:21:50 WORKER TIMEOUT (pid:1)", None),
        (b"WORKER TIMEOUT (pid:1)", None),
    ],
)
def test_the_time_of_a_line_is_the_engines_or_its_own(line: bytes, at: datetime | None) -> None:
    assert only(fed(line + b"\n").hits()).marks[0].at == at


def test_the_engines_stamp_is_no_part_of_the_line() -> None:
    one = fed(b"2026-11-22T09:21:50.000000001Z ValueError: x\n2026-11-22T09:21:51.000000002Z after\n")
    hit = only(one.hits())
    assert hit.sample == "ValueError: x"
    assert hit.after == ("after",)
    assert [line.text for line in one.lines()] == ["ValueError: x", "after"]
    assert one.last_stamp == "2026-11-22T09:21:51.000000002Z"


def test_a_time_without_an_offset_is_in_the_streams_zone() -> None:
    one = LogStream(MATCHER, REPLICA, zone=timezone(timedelta(hours=2)))
    one.feed(b"2026-11-22 09:22:25,407 WORKER TIMEOUT (pid:1)\n")
    assert only(one.hits()).marks[0].at == datetime(2026, 11, 22, 7, 22, 25, 407000, UTC)


def test_a_live_line_without_a_time_takes_the_time_of_reading() -> None:
    one = stream()
    one.feed(b"WORKER TIMEOUT (pid:1)\n", seen=SINCE)
    assert only(one.hits()).marks[0].at == SINCE


def test_neighbours_are_kept_across_chunks() -> None:
    hit = only(fed(b"a\nb\n", b"c\nd\nValueError: no\ne\n", b"f\ng\nh\n").hits())
    assert hit.before == ("b", "c", "d")
    assert hit.after == ("e", "f", "g")


def test_old_marks_are_forgotten_and_the_rest_still_counted() -> None:
    lines = b"".join(b"2026-11-22T09:%02d:00.0Z WORKER TIMEOUT (pid:1)\n" % minute for minute in range(60))
    one = fed(lines)
    assert only(one.hits()).count == 60
    hit = only(one.hits(SINCE + timedelta(minutes=50)))
    assert hit.count == 10
    assert hit.marks[0].at == SINCE + timedelta(minutes=50)
    assert one.hits(SINCE + timedelta(hours=2)) == ()


def test_hits_are_the_same_objects_until_something_changes() -> None:
    one = fed(b"WORKER TIMEOUT (pid:1)\n")
    before = one.hits()
    one.feed(b"nothing\n")
    assert one.hits() is before
    one.feed(b"WORKER TIMEOUT (pid:1)\n")
    assert one.hits() is not before


def test_a_flood_stays_bounded_and_is_counted() -> None:
    trace = (
        b"Traceback (most recent call last):\n" + b'  File "x.py", line 1, in y\n' * 20 + b"OSError: [Errno 24] no\n"
    )
    one = stream()
    for _ in range(50):
        one.feed(trace * 200)
    hit = only(one.hits())
    assert hit.count == 10_000
    assert len(hit.marks) == MARKS
    assert sum(len(line.text) for line in one.lines()) < 300 * 1024


def test_many_different_matches_keep_the_latest_groups() -> None:
    hits = fed(b"".join(b"WORKER TIMEOUT (pid:%d)\n" % n for n in range(5000))).hits()
    assert len(hits) == GROUPS_PER_PATTERN
    assert {hit.fields["pid"] for hit in hits} == {str(n) for n in range(5000 - GROUPS_PER_PATTERN, 5000)}


def test_large_samples_stay_within_the_bound_in_bytes() -> None:
    hits = fed(b"".join(b"ValueError: %d " % n + b"x" * 4000 + b"\n" for n in range(300))).hits()
    assert sum(len(h.sample) + sum(map(len, (*h.before, *h.after))) for h in hits) <= BYTES_PER_PATTERN + 16_384


def test_a_long_line_is_cut_however_it_comes() -> None:
    line = b"x" * (LINE_BYTES + 10) + b" WORKER TIMEOUT (pid:1)\nWORKER TIMEOUT (pid:2)\n"
    for chunks in ([line], [line[i : i + 1000] for i in range(0, len(line), 1000)]):
        hit = only(fed(*chunks).hits())
        assert hit.fields == {"pid": "2"}
        assert [mark.line for mark in hit.marks] == [2]


def test_the_sample_of_a_long_line_shows_what_matched() -> None:
    hit = only(fed(b"x" * 20_000 + b" WORKER TIMEOUT (pid:1)\n").hits())
    assert "WORKER TIMEOUT (pid:1)" in hit.sample


def test_secrets_are_not_kept() -> None:
    hit = only(fed(b"before\nValueError: postgresql://app:hunter2@db/app\n").hits())
    assert "hunter2" not in hit.sample + hit.fields["error"]


def test_the_lines_of_a_book_are_numbered_as_they_arrive_and_name_what_matched() -> None:
    book = LogBook(MATCHER)
    book.stream(ReplicaId("a")).feed(b"one\ntwo\n")
    book.stream(ReplicaId("b")).feed(b"WORKER TIMEOUT (pid:4)\n")
    book.stream(ReplicaId("a")).feed(b"three\n")
    lines = book.lines()
    assert [(x.number, x.replica, x.text) for x in lines] == [
        (1, "a", "one"),
        (2, "a", "two"),
        (3, "b", "WORKER TIMEOUT (pid:4)"),
        (4, "a", "three"),
    ]
    assert [x.keys for x in lines] == [(), (), ("timeout",), ()]
    assert [x.number for x in book.lines(after=2)] == [3, 4]
    book.drop(ReplicaId("b"))
    assert book.hits() == ()


@pytest.mark.parametrize(
    ("regex", "reason"),
    [
        (r"a(?=b)", "lookaround"),
        (r"(?<!a)b", "lookaround"),
        (r"(a)\1", "refers back"),
        (r"^a", "prefixes"),
        (r"(a", "no regular expression"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused_by_name(regex: str, reason: str) -> None:
    with pytest.raises(BadPattern, match=reason) as caught:
        Matcher((pattern("mine", regex),))
    assert "mine" in str(caught.value)


def test_what_only_hyperscan_refuses_is_named_too() -> None:
    with pytest.raises(BadPattern, match="mine"):
        Matcher((pattern("fine", "a"), pattern("mine", r"a*"))).prepare()


PIECES = st.sampled_from(
    [b"\n", b"q", b"a", b"b", b" ", b"\x1b[1m", b"\x1b]0;", b"\x07", b"\xff", b"\x00", b"\r", b"WORKER TIMEOUT (pid:7)",
     b"KeyError: x", b"2026-11-22T09:21:50.1Z ", b"[2026-11-22 09:21:50 +0000] ", b"\xe2\x80\xae", b"\xc2\x9b"]
)  # fmt: skip
LOGS = st.lists(PIECES, max_size=60).map(b"".join)


@settings(max_examples=200, deadline=None)
@given(data=LOGS, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_chunking_does_not_change_the_result(data: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    whole = fed(data)
    parts = fed(*(data[a:b] for a, b in pairwise(places)))
    assert parts.hits() == whole.hits()
    assert parts.lines() == whole.lines()


@settings(max_examples=200, deadline=None)
@given(data=st.one_of(LOGS, st.binary(max_size=400)))
def test_no_bytes_bring_a_control_character_out(data: bytes) -> None:
    one = fed(data)
    shown = [line.text for line in one.lines()]
    for hit in one.hits():
        shown += [hit.sample, *hit.before, *hit.after, *hit.fields.values()]
    assert all(
        character.isprintable() or character == " " for text in shown for character in text if ord(character) < 0xA0
    )
    assert all(character not in "\u202e\u2028\u200b" for text in shown for character in text)
