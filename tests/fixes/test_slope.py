"""Robust slopes: a steady rise is told from everything that merely ends higher than it began."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixes.signatures._slope import steady_growth, theil_sen, thinned
from probes.history import Point


def series(*values: float, every: float = 2.0) -> tuple[Point, ...]:
    return tuple(Point(i * every, value) for i, value in enumerate(values))


@given(st.floats(-1e6, 1e6), st.floats(-1e3, 1e3), st.integers(9, 60))
def test_a_line_has_its_slope(start: float, slope: float, count: int) -> None:
    found = theil_sen(series(*(start + slope * 2 * i for i in range(count))))
    assert found is not None
    assert found.value == pytest.approx(slope, abs=1e-6)
    assert found.low <= found.value <= found.high


def test_outliers_do_not_move_the_slope() -> None:
    values = [float(i) for i in range(40)]
    values[7], values[23] = 9_000.0, -9_000.0
    found = theil_sen(series(*values))
    assert found is not None
    assert found.value == pytest.approx(0.5, rel=0.05)


def test_too_few_points_have_no_slope() -> None:
    assert theil_sen(series(*range(8))) is None
    assert steady_growth(series(*range(8)), 1.0) is None


@pytest.mark.parametrize("seed", range(8))
def test_a_noisy_rise_is_a_rise_and_noise_alone_is_not(seed: int) -> None:
    source = random.Random(seed)
    noise = [source.gauss(0, 5) for _ in range(300)]
    assert steady_growth(series(*(100 + i * 0.3 + n for i, n in enumerate(noise))), 20.0) is not None
    assert steady_growth(series(*(100 + n for n in noise)), 20.0) is None


@pytest.mark.parametrize(
    "values",
    [
        [100.0] * 50 + [200.0] * 50,
        [100 + 100 * (1 - 0.95**i) for i in range(100)],
        [100.0 + i % 40 for i in range(110)],
        [100.0] * 80 + [100.0 + 5 * i for i in range(20)],
        [200.0 - i for i in range(100)],
    ],
    ids=["a step", "levelling off", "a saw", "flat, then a burst", "falling"],
)
def test_what_merely_ends_higher_is_no_steady_rise(values: list[float]) -> None:
    assert steady_growth(series(*values), 10.0) is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=900))
def test_thinning_is_bounded_and_keeps_the_range(values: list[float]) -> None:
    few = thinned(series(*values))
    assert 1 <= len(few) <= 90
    assert min(values) <= min(p.value for p in few) <= max(p.value for p in few) <= max(values)
