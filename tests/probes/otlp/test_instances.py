"""Exports of processes become rates and percentiles, whatever way they count."""

from __future__ import annotations

import math
import random

import pytest

from probes import traffic
from probes.otlp.decode import decode
from probes.otlp.instance import MOST_LATE_SECONDS
from probes.otlp.instances import INSTANCES, NUMBERS, Instances, together
from tests.probes.otlp.messages import BOUNDS, CUMULATIVE, DELTA, explicit, exponential, message

PEER = ("127.0.0.1", 40_000)
START = 1_000_000.0


def counted(durations: list[float]) -> list[int]:
    """Durations as FastAPI counts them."""
    found = [0] * (len(BOUNDS) + 1)
    for one in durations:
        found[next((i for i, bound in enumerate(BOUNDS) if one <= bound), len(BOUNDS))] += 1
    return found


def plus(left: list[int], right: list[int]) -> list[int]:
    return [a + b for a, b in zip(left, right, strict=True)]


def take(heard: Instances, made: object, at: float, peer: tuple[str, int] = PEER) -> None:
    heard.take(decode(made.SerializeToString()), peer, at)


@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
def test_the_rate_and_the_errors_are_those_of_the_last_minute(temporality: int) -> None:
    heard, good, bad = Instances(), counted([]), counted([])
    for step in range(1, 13):
        began = START + (step - 1) * 10 if temporality == DELTA else START
        more_good, more_bad = counted([0.03] * (9 if step > 6 else 90)), counted([0.2])
        good, bad = (more_good, more_bad) if temporality == DELTA else (plus(good, more_good), plus(bad, more_bad))
        made = message()
        at = START + step * 10
        explicit(made, good, started=began, at=at, temporality=temporality)
        explicit(made, bad, started=began, at=at, temporality=temporality, http_response_status_code=500)
        take(heard, made, step * 10)
    found = together(heard.heard(120), 1)
    assert found is not None
    assert found.per_second == pytest.approx(1.0)
    assert found.errors_per_second == pytest.approx(0.1)
    assert found.source == "telemetry (OTLP) over 1m"
    told = traffic.together([found], 1)
    assert told is not None
    assert 0.025 <= told.p50_seconds <= 0.05
    assert 0.1 <= told.p95_seconds <= 0.25
    assert told.error_ratio == pytest.approx(0.1)


def test_what_a_process_counted_long_before_it_was_heard_does_not_count() -> None:
    heard = Instances()
    take(heard, explicit(message(), counted([0.03] * 5000), started=START - 86_400, at=START), 0)
    assert together(heard.heard(0), 1) is None
    take(heard, explicit(message(), counted([0.03] * 5010), started=START - 86_400, at=START + 10), 10)
    found = together(heard.heard(10), 1)
    assert found is not None
    assert found.per_second == pytest.approx(1.0)


def test_a_route_that_was_asked_for_the_first_time_counts_from_the_export_before() -> None:
    heard = Instances()
    take(heard, explicit(message(), counted([0.03]), started=START - 86_400, at=START), 0)
    made = explicit(message(), counted([0.03]), started=START - 86_400, at=START + 10)
    take(heard, explicit(made, counted([0.2] * 20), started=START - 86_400, at=START + 10, http_route="/new"), 10)
    found = together(heard.heard(10), 1)
    assert found is not None
    assert found.per_second == pytest.approx(2.0)


def test_an_export_that_is_repeated_counts_once() -> None:
    heard = Instances()
    for at, at_now in ((10, 10), (10, 11), (20, 20), (20, 21)):
        made = explicit(message(), counted([0.03] * 10), started=START + at - 10, at=START + at, temporality=DELTA)
        take(heard, made, at_now)
    found = together(heard.heard(21), 1)
    assert found is not None
    assert found.per_second == pytest.approx(1.0)


@pytest.mark.parametrize("told", [True, False])
def test_a_counter_that_begins_anew_counts_from_its_beginning(told: bool) -> None:
    """By its start where that is told, and by going back where it is not."""
    heard = Instances()
    take(heard, explicit(message(), counted([0.03] * 600), started=START - 1000, at=START), 0)
    take(heard, explicit(message(), counted([0.03] * 610), started=START - 1000, at=START + 10), 10)
    again = START + 10 if told else START - 1000
    take(heard, explicit(message(), counted([0.03] * 10), started=again, at=START + 20), 20)
    found = together(heard.heard(20), 1)
    assert found is not None
    assert found.per_second == pytest.approx(1.0)


def test_a_process_that_was_started_again_takes_the_place_of_the_one_that_ended() -> None:
    heard = Instances()
    take(heard, explicit(message("old"), counted([0.03] * 600), started=START - 60, at=START), 0)
    take(heard, explicit(message("new"), counted([0.03] * 30), started=START + 5, at=START + 15), 15)
    found = together(heard.heard(15), 1)
    assert found is not None
    assert found.per_second == pytest.approx(3.0)
    assert found.whole


@pytest.mark.parametrize("ports", [(1, 2), (3, 3)])
@pytest.mark.parametrize("apart", [0, 1])
@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
def test_workers_with_one_name_are_counted_each_for_itself(
    ports: tuple[int, int], apart: int, temporality: int
) -> None:
    """Each sends ten requests a second, after an hour of slow ones; through a connection each, or one proxy's."""
    heard = Instances()
    for step in range(1, 13):
        for worker, port in enumerate(ports):
            before = [0.2] * (10_000 if worker else 30_000)
            began, at = START - 3600 + apart * worker, START + 10 * step + 4 * worker
            counts = counted([*([] if temporality == DELTA else before), *[0.03] * 100 * step])
            if temporality == DELTA:
                began, counts = at - 10, counted([0.03] * 100)
            made = explicit(message("host"), counts, started=began, at=at, temporality=temporality)
            take(heard, made, 10 * step + 4 * worker, ("127.0.0.1", port))
    found = together(heard.heard(125), 2)
    if ports == (3, 3) and apart == 0 and temporality == CUMULATIVE:
        assert found is None, "nothing tells the two apart"
        return
    assert found is not None
    assert found.per_second == pytest.approx(20.0, rel=0.1)
    assert found.whole
    told = traffic.together([found], 1)
    assert told is not None
    assert told.p99_seconds <= 0.05


def test_a_process_that_sends_each_export_through_a_new_connection_is_one() -> None:
    heard = Instances()
    for step in range(1, 8):
        made = explicit(message(), counted([0.03] * 10 * step), started=START - 500, at=START + 10 * step)
        take(heard, made, 10 * step, ("127.0.0.1", step))
    found = together(heard.heard(70), None)
    assert found is not None
    assert (len(heard.heard(70)), found.per_second) == (1, pytest.approx(1.0))


@pytest.mark.parametrize("off", [1e9, -7200.0])
def test_a_clock_that_is_set_silences_nobody(off: float) -> None:
    heard = Instances()
    for step in range(1, 13):
        at = START + 10 * step + (off if step == 1 else 0)
        take(heard, explicit(message(), counted([0.03] * 10 * step), started=START - 500, at=at), 10 * step)
    found = together(heard.heard(120), 1)
    assert found is not None
    assert found.per_second == pytest.approx(1.0)


@pytest.mark.parametrize("named", [True, False])
def test_two_workers_are_added_up_and_one_that_is_missing_is_said(named: bool) -> None:
    """By their instance, or by the connections that they send through."""
    heard = Instances()
    for step in (1, 2):
        for worker, port in (("a", 1), ("b", 2)):
            made = message(worker if named else None)
            explicit(made, counted([0.03] * 10 * step), started=START, at=START + 10 * step)
            take(heard, made, 10 * step, ("127.0.0.1", port))
    found = together(heard.heard(20), 2)
    assert found is not None
    assert (found.per_second, found.whole) == (pytest.approx(2.0), True)
    of_three = together(heard.heard(20), 3)
    assert of_three is not None
    assert of_three.source.endswith(", 2 of 3 workers")
    assert of_three.whole, "a process that was asked for nothing sends nothing"
    elsewhere = together(heard.heard(20), 3, replicas=3)
    assert elsewhere is not None
    assert not elsewhere.whole, "nothing came from one of the replicas"


def test_a_rate_is_told_once_every_process_had_the_time_to_send() -> None:
    heard = Instances()
    take(heard, explicit(message("a"), counted([0.03] * 20), started=START, at=START + 10), 10)
    first = together(heard.heard(10), 2)
    assert first is not None
    assert not first.whole
    take(heard, explicit(message("a"), counted([0.03] * 40), started=START, at=START + 20), 20)
    second = together(heard.heard(20), 2)
    assert second is not None
    assert (second.whole, second.per_second) == (True, pytest.approx(2.0))


def test_checks_and_paths_that_are_not_there_are_no_requests_of_users() -> None:
    heard, made = Instances(), message()
    for route, number in (("/items", 10), ("/health", 500), ("", 700)):
        explicit(made, counted([0.03] * number), started=START, at=START + 10, http_route=route)
    take(heard, made, 10)
    found = together(heard.heard(10), 1)
    assert found is not None
    assert found.per_second == pytest.approx(1.0)


def test_an_idle_service_is_told_to_be_idle_and_a_silent_one_is_forgotten() -> None:
    heard = Instances()
    for at in (0, 10, 20):
        take(heard, explicit(message(), counted([0.03] * 5), started=START - 500, at=START + at), at)
    found = together(heard.heard(20), 1)
    assert found is not None
    assert found.per_second == 0
    assert heard.heard(20 + 2.5 * 10 + 1) == ()
    take(heard, explicit(message("other"), counted([]), started=START, at=START + 1), 21 + MOST_LATE_SECONDS)
    assert len(heard.heard(21 + MOST_LATE_SECONDS)) == 1
    assert heard.size == sum(one.size for one in heard.heard(21 + MOST_LATE_SECONDS))


@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
def test_percentiles_of_exponential_histograms_are_within_a_bucket_also_where_the_scale_changes(
    temporality: int,
) -> None:
    random.seed(7)
    heard = Instances()
    every: list[float] = []
    for step, scale in enumerate((6, 6, 3, 5, 2), 1):
        durations = [random.lognormvariate(-3, 1.0) for _ in range(400)]
        every += durations
        buckets: dict[int, int] = {}
        for one in durations if temporality == DELTA else every:
            index = math.ceil(math.log2(one) * 2**scale) - 1
            buckets[index] = buckets.get(index, 0) + 1
        began = START + (step - 1) * 10 if temporality == DELTA else START
        made = exponential(
            message(), buckets, scale=scale, started=began, at=START + step * 10, temporality=temporality
        )
        take(heard, made, step * 10)
    found = together(heard.heard(50), 1)
    assert found is not None
    told = traffic.together([found], 1)
    assert told is not None
    assert told.requests_per_second == pytest.approx(40.0)
    every.sort()
    for share, value in ((0.5, told.p50_seconds), (0.95, told.p95_seconds), (0.99, told.p99_seconds)):
        exact = traffic.nearest_rank(every, share)
        assert exact / 2**0.25 <= value <= exact * 2**0.25, share


def test_what_is_kept_is_bounded_whoever_sends() -> None:
    heard = Instances()
    wide = [1] * 400
    many = NUMBERS // 20_000
    for number in range(many + 20):
        made = message(f"instance {number}")
        for route in range(50):
            explicit(
                made, wide, started=START, at=START + 10, bounds=[0.001 * i for i in range(1, 400)],
                http_route=f"/{route}",
            )  # fmt: skip
        take(heard, made, 10 + number / 1000)
    kept = heard.heard(12)
    assert many // 2 < len(kept) < many + 20
    assert heard.size == sum(one.size for one in kept) <= NUMBERS
    assert kept[-1].resource["service.instance.id"] == f"instance {many + 19}"
    for number in range(INSTANCES + 5):
        take(heard, explicit(message(f"small {number}"), [1], bounds=[], started=START, at=START + 10), 12)
    assert len(heard.heard(12)) == INSTANCES
