"""What services send as OTLP is read whatever it is, and what is no histogram of requests is passed over."""

from __future__ import annotations

import math

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.httpmetrics import LONGEST_SECONDS
from probes.otlp.decode import NAME_CHARACTERS, POINTS, Undecodable, decode
from probes.otlp.histogram import FINEST, Explicit, Exponential
from tests.probes.otlp.messages import BOUNDS, DELTA, explicit, exponential, message

NONE = [0] * (len(BOUNDS) + 1)


def counts(**at: int) -> list[int]:
    """Counts by index, written ``_3=5``."""
    made = list(NONE)
    for key, value in at.items():
        made[int(key[1:])] = value
    return made


def test_a_histogram_of_requests_is_read_with_its_route_status_and_times() -> None:
    body = explicit(message(), counts(_3=5, _14=1), started=100.0, at=160.5, http_response_status_code=503)
    (export,) = decode(body.SerializeToString())
    (point,) = export.points
    assert export.resource == {"service.name": "shop", "service.instance.id": "one"}
    assert (point.route, point.status, point.started_at, point.at) == ("/items", "503", 100.0, 160.5)
    assert point.requests == 6
    assert isinstance(point.distribution, Explicit)
    assert {bound: n for bound, n in point.distribution.bounds().items() if n} == {0.05: 5.0, math.inf: 1.0}


def test_json_says_the_same_as_protobuf() -> None:
    body = explicit(message(), counts(_3=5), started=100.0, at=160.0)
    exponential(body, {-3: 4, 0: 1}, scale=3, started=100.0, at=160.0, temporality=DELTA)
    said = json_format.MessageToJson(body, use_integers_for_enums=True).encode()
    assert decode(said, as_json=True) == decode(body.SerializeToString())


def test_the_former_name_counts_milliseconds() -> None:
    body = explicit(message(), [1, 2], started=1, at=2, bounds=[250.0], name="http.server.duration", unit="ms")
    (export,) = decode(body.SerializeToString())
    assert export.points[0].distribution.bounds() == {0.25: 1.0, math.inf: 2.0}


@pytest.mark.parametrize(
    ("name", "unit"), [("http.client.request.duration", "s"), ("http.server.request.duration", "ms")]
)
def test_another_metric_or_unit_is_passed_over(name: str, unit: str) -> None:
    body = explicit(message(), counts(_1=1), started=1, at=2, name=name, unit=unit)
    assert decode(body.SerializeToString()) == ()


@pytest.mark.parametrize(
    ("bounds", "numbers"),
    [
        ([0.1, 0.1], [1, 1, 1]),
        ([0.2, 0.1], [1, 1, 1]),
        ([0.1], [1, 1, 1]),
        ([math.nan], [1, 1]),
        ([-1.0], [1, 1]),
        ([1e300], [1, 1]),
        ([0.1], [1, 2**60]),
    ],
)
def test_bounds_that_cannot_be_right_tell_no_distribution(bounds: list[float], numbers: list[int]) -> None:
    body = explicit(message(), numbers, started=1, at=2, bounds=bounds)
    found = decode(body.SerializeToString())
    assert all(not point.distribution.bounds() for export in found for point in export.points)


def test_exponential_buckets_are_put_together_up_to_one_scale() -> None:
    body = exponential(message(), {1024: 3, 1025: 4}, scale=10, started=1, at=2, zero=2)
    (export,) = decode(body.SerializeToString())
    found = export.points[0].distribution
    assert isinstance(found, Exponential)
    assert found == Exponential(FINEST, 2.0, {16: 7.0})
    assert found.bounds() == pytest.approx({2.0: 2.0, 2 ** (17 / 16): 7.0})


def test_no_more_points_are_read_than_a_service_has() -> None:
    body = message()
    metric = body.resource_metrics[0].scope_metrics.add().metrics.add()
    metric.name = "http.server.request.duration"
    metric.histogram.aggregation_temporality = 2
    for number in range(POINTS + 500):
        point = metric.histogram.data_points.add()
        point.count, point.time_unix_nano = number, 1
    (export,) = decode(body.SerializeToString())
    assert len(export.points) == POINTS


def test_names_are_cleaned_and_capped() -> None:
    body = explicit(message(evil="\x1b[31m" + "x" * 5000), counts(_1=1), started=1, at=2, http_route="/\x1b]0;x\x07a\n")
    (export,) = decode(body.SerializeToString())
    assert len(export.resource["evil"]) <= NAME_CHARACTERS
    assert "\x1b" not in export.resource["evil"] + export.points[0].route
    assert export.points[0].route == "/a "


def _sound(body: bytes, *, as_json: bool) -> None:
    """Whatever is read of any bytes is finite and within bounds."""
    try:
        found = decode(body, as_json=as_json)
    except Undecodable:
        return
    assert sum(len(export.points) for export in found) <= POINTS
    for export in found:
        for point in export.points:
            assert point.requests >= 0
            for bound, number in point.distribution.bounds().items():
                assert 0 <= bound <= 2 * LONGEST_SECONDS or bound == math.inf
                assert math.isfinite(number)
                assert number >= 0


@given(st.binary(max_size=2000), st.booleans())
def test_any_bytes_are_read_or_refused(body: bytes, as_json: bool) -> None:
    _sound(body, as_json=as_json)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
    st.integers(0, 400),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**31), 2**31 - 400),
    st.lists(st.floats(), max_size=6),
)
def test_a_damaged_message_is_read_or_refused(
    damage: list[tuple[int, int]], cut: int, scale: int, offset: int, bounds: list[float]
) -> None:
    made = exponential(message(), {offset: 2**63, offset + 3: 1}, scale=scale, started=1, at=2)
    explicit(made, [1] * (len(bounds) + 1), started=1, at=2, bounds=bounds)
    body = bytearray(made.SerializeToString())
    _sound(bytes(body), as_json=False)
    for place, value in damage:
        body[place % len(body)] = value
    _sound(bytes(body[: len(body) - cut] if cut < len(body) else body), as_json=False)
