"""How much of a log is structured is counted as it comes, in tenths."""

from __future__ import annotations

from probes.base import ReplicaId
from probes.logbook import LogBook
from probes.logs import Matcher

PLAIN = b'2026-11-22T09:00:00Z INFO:     10.0.0.1:5 - "GET / HTTP/1.1" 200 OK\n'
RECORD = b'2026-11-22T09:00:00Z {"level": "INFO", "message": "up"}\n'


def ratio(*feeds: tuple[str, bytes]) -> float | None:
    book = LogBook(Matcher(()))
    for source, data in feeds:
        book.stream(ReplicaId("r"), source).feed(data)
    return book.structured_ratio


def test_below_twenty_lines_nothing_is_said() -> None:
    assert ratio(("docker logs", PLAIN * 19)) is None


def test_plain_lines_and_records_are_told_apart() -> None:
    assert ratio(("docker logs", PLAIN * 40)) == 0.0
    assert ratio(("docker logs", RECORD * 40)) == 1.0
    assert ratio(("docker logs", (PLAIN + RECORD * 3) * 10)) == 0.8


def test_events_are_no_lines_of_the_service() -> None:
    assert ratio(("logs", RECORD * 40), ("event", PLAIN * 400)) == 1.0
