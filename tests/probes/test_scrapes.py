"""Counters of one replica over several scrapes: restarts, and workers that answer in turn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pytest

from probes import httpmetrics
from probes.httpmetrics import Key, Scrape
from probes.scrapes import APART_SECONDS, SAMPLES, WINDOW_SECONDS, Scrapes
from probes.traffic import Traffic


def told(count: float, start: float | None = 1.0) -> Scrape:
    process = "" if start is None else f"process_start_time_seconds {start}\n"
    lines = f'http_request_duration_seconds_bucket{{le="1"}} {count}\nhttp_request_duration_seconds_count {count}\n'
    found = httpmetrics.parse((process + lines).encode())
    assert found is not None
    return found


def rate(found: Traffic | None) -> float | None:
    return None if found is None else found.per_second


def test_one_scrape_tells_nothing_two_tell_the_rate_between_them() -> None:
    scrapes = Scrapes()
    scrapes.take(told(100), 0.0)
    assert scrapes.traffic(1.0) is None
    scrapes.take(told(150), 10.0)
    found = scrapes.traffic(10.0)
    assert rate(found) == pytest.approx(5.0)
    assert found is not None
    assert found.whole


def test_what_is_older_than_the_window_does_not_count() -> None:
    scrapes = Scrapes()
    scrapes.take(told(0), 0.0)
    scrapes.take(told(100_000), WINDOW_SECONDS)
    scrapes.take(told(100_010), WINDOW_SECONDS + 10)
    assert rate(scrapes.traffic(WINDOW_SECONDS + 10)) == pytest.approx(1.0)
    assert scrapes.traffic(3 * WINDOW_SECONDS) is None


def test_a_restarted_worker_begins_anew_and_is_not_a_negative_rate() -> None:
    scrapes = Scrapes()
    scrapes.take(told(1000, 1.0), 0.0)
    scrapes.take(told(1100, 1.0), 10.0)
    scrapes.take(told(5, 2.0), 20.0)
    assert scrapes.traffic(20.0) is None  # the one that lives answered once
    scrapes.take(told(25, 2.0), 30.0)
    assert rate(scrapes.traffic(30.0)) == pytest.approx(2.0)


def test_workers_that_answer_in_turn_are_kept_apart_and_added_up() -> None:
    scrapes = Scrapes()
    for turn, (start, count) in enumerate([(1.0, 1000), (2.0, 10), (1.0, 1020), (2.0, 40)]):
        scrapes.take(told(count, start), 10.0 * turn)
    found = scrapes.traffic(30.0, workers=2)
    assert rate(found) == pytest.approx(20 / 20 + 30 / 20)
    assert found is not None
    assert found.whole
    assert "2 of 2 workers" in found.source


def test_the_rate_of_some_workers_is_not_passed_off_as_that_of_all() -> None:
    scrapes = Scrapes()
    scrapes.take(told(0, 1.0), 0.0)
    scrapes.take(told(20, 1.0), 10.0)
    found = scrapes.traffic(10.0, workers=4)
    assert found is not None
    assert not found.whole
    assert "1 of 4 workers" in found.source


def test_counters_that_cannot_be_told_apart_are_not_believed() -> None:
    scrapes = Scrapes()
    scrapes.take(told(100, None), 0.0)
    scrapes.take(told(150, None), 10.0)
    assert scrapes.traffic(10.0, workers=2) is None
    assert rate(scrapes.traffic(10.0, workers=2, shared=True)) == pytest.approx(5.0)


def test_counters_that_go_back_and_forth_say_nothing_rather_than_nonsense() -> None:
    scrapes = Scrapes()
    for turn, count in enumerate([1000, 10, 1010, 20, 30]):
        scrapes.take(told(count, None), 10.0 * turn)
    assert scrapes.incoherent(40.0)
    assert scrapes.traffic(40.0) is None


def test_what_is_kept_is_bounded() -> None:
    scrapes = Scrapes()
    for start in range(500):
        scrapes.take(told(1, float(start)), float(start))
    assert len(scrapes._runs) <= 64


def test_what_answers_tell_is_worked_out_once_until_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    worked = 0
    whole = httpmetrics.traffic

    def counted(more: Mapping[Key, float], seconds: float, at: datetime) -> Traffic | None:
        nonlocal worked
        worked += 1
        return whole(more, seconds, at)

    monkeypatch.setattr(httpmetrics, "traffic", counted)
    scrapes = Scrapes()
    scrapes.take(told(0), 0.0)
    scrapes.take(told(10), 10.0)
    assert {rate(scrapes.traffic(now)) for now in (10.0, 12.0, 69.0)} == {1.0}
    assert worked == 1
    scrapes.take(told(40), 20.0)
    assert {rate(scrapes.traffic(now)) for now in (20.0, 22.0)} == {2.0}
    assert worked == 2


def kept(scrapes: Scrapes) -> list[Scrape]:
    return [scrape for run in scrapes._runs.values() for _, _, scrape in run.taken]


def test_answers_that_are_too_old_to_count_are_forgotten() -> None:
    scrapes = Scrapes()
    scrapes.take(told(1, 1.0), 0.0)
    scrapes.take(told(1, 2.0), 10.0)
    scrapes.take(told(1, 2.0), APART_SECONDS + 5)
    assert [one.process for one in kept(scrapes)] == [(2.0,), (2.0,)]


def test_of_large_answers_fewer_are_kept_and_each_key_once() -> None:
    lines = [f'http_request_duration_seconds_bucket{{le="{n}"}} 1\n' for n in range(1, httpmetrics.KEYS + 1)]
    body = ("process_start_time_seconds 1.0\n" + "".join(lines)).encode()
    scrapes = Scrapes()
    for turn in range(40):
        found = httpmetrics.parse(body)
        assert found is not None
        scrapes.take(found, float(turn))
    assert sum(len(one.samples) for one in kept(scrapes)) <= SAMPLES
    assert len(kept(scrapes)) > 1
    assert len({id(key) for one in kept(scrapes) for key in one.samples}) == httpmetrics.KEYS
