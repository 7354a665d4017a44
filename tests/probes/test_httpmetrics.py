"""A service's own Prometheus text: which requests it tells of, and what becomes of nonsense."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import httpmetrics
from probes.http import HEALTH_PATHS, LOOP_PATH, METRICS_PATH
from probes.httpmetrics import Scrape
from probes.traffic import SHARES, Traffic, quantile, together

IGNORED = frozenset((LOOP_PATH, METRICS_PATH, *HEALTH_PATHS))
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def histogram(name: str, counts: dict[str, float], **labels: str) -> list[str]:
    said = ",".join(f'{key}="{value}"' for key, value in labels.items())
    lines = [f'{name}_bucket{{{said}{"," if said else ""}le="{bound}"}} {count}' for bound, count in counts.items()]
    return [*lines, f"{name}_count{{{said}}} {counts['+Inf']}", f"{name}_sum{{{said}}} 1.0"]


def scrape(*lines: str, start: float | None = 1.0) -> Scrape:
    told = [*lines, *([f"process_start_time_seconds {start}"] if start is not None else [])]
    found = httpmetrics.parse(("\n".join(told) + "\n").encode(), IGNORED)
    assert found is not None
    return found


def between(before: Scrape, after: Scrape, seconds: float = 10.0) -> Traffic:
    counted = httpmetrics.increase(before, after)
    assert counted is not None
    found = httpmetrics.traffic(counted, seconds, NOW)
    assert found is not None
    return found


def test_percentiles_are_interpolated_within_the_bucket_as_prometheus_does() -> None:
    name = "starlette_request_duration_seconds"
    first = histogram(name, {"0.1": 0, "0.5": 0, "+Inf": 0}, path="/a", status_code="200")
    then = histogram(name, {"0.1": 50, "0.5": 100, "+Inf": 100}, path="/a", status_code="200")
    latency = together([between(scrape(*first), scrape(*then))], 1)
    assert latency is not None
    assert latency.p50_seconds == pytest.approx(0.1)
    assert latency.p95_seconds == pytest.approx(0.1 + 0.4 * 0.9)
    assert latency.requests_per_second == pytest.approx(10.0)
    assert latency.error_ratio == 0.0


def test_a_percentile_beyond_the_last_bound_is_unknown() -> None:
    name = "http_request_duration_seconds"
    first, then = histogram(name, {"1": 0, "+Inf": 0}), histogram(name, {"1": 10, "+Inf": 100})
    latency = together([between(scrape(*first), scrape(*then))], 1)
    assert latency is not None
    assert latency.p50_seconds is None
    assert latency.requests_per_second == pytest.approx(10.0)


def test_health_checks_scrapes_and_what_no_route_took_are_left_out() -> None:
    name = "starlette_request_duration_seconds"
    lines: list[str] = []
    for path in ("/users", "/metrics", "/health", LOOP_PATH, "__unknown__"):
        lines += histogram(name, {"0.1": 10, "+Inf": 10}, path=path, status_code="200")
    assert between(Scrape((1.0,), {}), scrape(*lines)).per_second == pytest.approx(1.0)


def test_status_is_taken_from_the_counter_where_the_histogram_has_none() -> None:
    lines = histogram("http_request_duration_seconds", {"0.1": 10, "+Inf": 10}, handler="/a", method="GET")
    lines += [
        'http_requests_total{handler="/a",method="GET",status="2xx"} 6',
        'http_requests_total{handler="/a",method="GET",status="5xx"} 4',
        'http_requests_total{handler="/metrics",method="GET",status="5xx"} 100',
    ]
    latency = together([between(Scrape((1.0,), {}), scrape(*lines))], 1)
    assert latency is not None
    assert latency.error_ratio == pytest.approx(0.4)


def test_the_fine_histogram_is_used_less_what_the_coarse_one_counts_for_others() -> None:
    lines = histogram("http_request_duration_seconds", {"0.1": 10, "1": 20, "+Inf": 20}, handler="/a")
    lines += histogram("http_request_duration_seconds", {"0.1": 30, "1": 30, "+Inf": 30}, handler="/metrics")
    lines += histogram(httpmetrics.FINE, {"0.01": 30, "0.05": 40, "0.5": 50, "+Inf": 50})
    found = between(Scrape((1.0,), {}), scrape(*lines))
    assert httpmetrics.FINE in found.source
    assert found.buckets == {0.01: 0.0, 0.05: 1.0, 0.5: 1.0, float("inf"): 0.0}


def test_opentelemetry_is_understood_in_seconds_and_in_milliseconds() -> None:
    old = histogram(
        "http_server_duration_milliseconds", {"100": 10, "+Inf": 10}, http_status_code="500", http_route="/a"
    )
    found = between(Scrape((1.0,), {}), scrape(*old))
    assert found.buckets == {0.1: 1.0, float("inf"): 0.0}
    assert found.errors_per_second == pytest.approx(1.0)
    new = histogram("http_server_request_duration_seconds", {"0.1": 10, "+Inf": 10}, http_response_status_code="200")
    assert between(Scrape((1.0,), {}), scrape(*new)).errors_per_second == 0.0


def test_a_summary_tells_its_own_percentiles_where_it_is_one_series() -> None:
    name = "http_request_duration_seconds"
    lines = [f'{name}{{quantile="0.5"}} 0.2', f'{name}{{quantile="0.95"}} 0.7', f"{name}_count 20", f"{name}_sum 4"]
    latency = together([between(Scrape((1.0,), {}), scrape(*lines))], 1)
    assert latency is not None
    assert (latency.p50_seconds, latency.p95_seconds, latency.p99_seconds) == (0.2, 0.7, None)


def test_what_counts_no_requests_is_no_source() -> None:
    assert httpmetrics.parse(b"<html>not found</html>") is None
    assert httpmetrics.parse(b"process_start_time_seconds 1.0\npython_info 1.0\n") is None
    assert httpmetrics.parse(b'http_client_request_duration_seconds_count{handler="/a"} 1\n') is None


def test_one_broken_line_hides_no_other() -> None:
    found = httpmetrics.parse(b'http_requests_total{handler="/a" 1\nhttp_requests_total{handler="/b"} 2\n')
    assert found is not None
    assert list(found.samples.values()) == [2.0]


def test_a_line_that_was_cut_off_is_no_counter_that_went_back() -> None:
    found = httpmetrics.parse(b'http_requests_total{handler="/a"} 1\nhttp_requests_total{handler="/b"} 12')
    assert found is not None
    assert list(found.samples.values()) == [1.0]


@pytest.mark.parametrize("value", ["+Inf", "-Inf", "NaN", "1e400", "-5", "1e300"])
def test_a_sample_that_no_counter_can_have_is_left_out(value: str) -> None:
    name = "http_request_duration_seconds"
    lines = [f'{name}_bucket{{le="1"}} {value}', f"{name}_count {value}", f'{name}{{quantile="0.5"}} {value}']
    assert httpmetrics.parse(("\n".join(lines) + "\n").encode()) is None
    assert scrape(*lines, f"{name}_count 1", start=None).process == ()
    started = f"process_start_time_seconds {value}\n{name}_created {value}\n{name}_count 1\n"
    assert httpmetrics.parse(started.encode()) == httpmetrics.parse(f"{name}_count 1\n".encode())


@pytest.mark.parametrize("bound", ["-5", "0", "NaN", "-Inf", "1e308", "1e7", ""])
def test_a_bucket_that_ends_at_no_time_of_a_request_is_left_out(bound: str) -> None:
    lines = histogram("http_request_duration_seconds", {bound: 100, "1": 100, "+Inf": 100})
    assert between(Scrape((1.0,), {}), scrape(*lines)).buckets == {1.0: 10.0, float("inf"): 0.0}


def test_more_errors_than_requests_are_all_of_them() -> None:
    lines = histogram("http_request_duration_seconds", {"1": 1, "+Inf": 1})
    latency = together([between(Scrape((1.0,), {}), scrape(*lines, 'http_requests_total{status="500"} 1e15'))], 1)
    assert latency is not None
    assert latency.error_ratio == 1.0


@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=8).map(sorted),
    st.sampled_from(SHARES),
)
def test_a_percentile_is_a_finite_time_or_none(told: list[tuple[float, float]], share: float) -> None:
    found = quantile([bound for bound, _ in told], [count for _, count in told], share)
    assert found is None or 0 <= found < math.inf


def service(routes: int, count: int) -> Scrape:
    """One of so many routes, each asked so often."""
    name, lines = "http_request_duration_seconds", []
    for n in range(routes):
        counts = dict.fromkeys(("0.1", "0.5", "1", "+Inf"), float(count))
        lines += histogram(name, counts, handler=f"/v1/{n}", method="GET", status="200")
    return scrape(*lines)


def test_what_is_kept_of_an_answer_does_not_grow_with_its_routes() -> None:
    assert len(service(300, 1).samples) == len(service(1, 1).samples) == 5
    assert between(service(300, 1), service(300, 3)).per_second == pytest.approx(300 * 2 / 10)


def test_of_an_answer_with_more_sums_than_any_honest_one_some_are_kept() -> None:
    lines = [f'http_request_duration_seconds_bucket{{le="{n}"}} 1' for n in range(1, 2 * httpmetrics.KEYS)]
    assert len(scrape(*lines).samples) == httpmetrics.KEYS


def test_percentiles_of_a_summary_of_several_series_are_not_put_together() -> None:
    name = "http_request_duration_seconds"
    lines = [f'{name}{{quantile="0.5",handler="/a",method="{how}"}} 0.2' for how in ("GET", "PUT", "POST")]
    assert between(Scrape((1.0,), {}), scrape(*lines, f'{name}_count{{handler="/a"}} 9')).quantiles == {}


_PIECE = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"http_request_duration_seconds_bucket",
            b'{handler="/a",le="0.1"} ',
            b'{le="NaN"} ',
            b'{quantile="0.5"} ',
            b"http_requests_total",
            b"http_request_duration_seconds_count ",
            b'{status="5xx"} ',
            b"1e400",
            b'{le="+Inf"} ',
            b'{le="-5"} ',
            b'{le="1e308"} ',
            b"+Inf\n",
            b"1e308\n",
            b"NaN",
            b"-5",
            b"7\n",
            b"\n",
            b"# TYPE http_requests_total counter\n",
        ]
    ),
)


@given(st.lists(_PIECE, max_size=30), st.lists(_PIECE, max_size=30))
def test_no_bytes_crash_the_reader(first: list[bytes], then: list[bytes]) -> None:
    before, after = httpmetrics.parse(b"".join(first), IGNORED), httpmetrics.parse(b"".join(then), IGNORED)
    if before is not None and after is not None and (counted := httpmetrics.increase(before, after)) is not None:
        found = httpmetrics.traffic(counted, 10.0, NOW)
        latency = together([found], 1) if found is not None else None
        if latency is not None:
            told = (latency.p50_seconds, latency.p95_seconds, latency.p99_seconds, latency.requests_per_second)
            assert all(one is None or 0 <= one < math.inf for one in (*told, latency.error_ratio))


def test_a_document_of_any_size_is_read_up_to_a_bound() -> None:
    line = b'http_requests_total{handler="/%d"} 1\n'
    found = httpmetrics.parse(b"".join(line % n for n in range(httpmetrics.LINES + 1000)))
    assert found is not None
    assert list(found.samples.values()) == [httpmetrics.LINES]
