"""Numbers and texts as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from probes.history import Point
from screens import columns, findings, rows, words
from screens.widgets.chart import Line, Plot, draw
from screens.widgets.spark import sparkline
from screens.widgets.table import fit
from tests.screens import reports as r


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (0, "0B"), (999, "999B"), (1024, "1K"), (512 << 20, "512M"), (1 << 30, "1G"), (3 << 29, "1.5G")],
)
def test_bytes_are_short(count: int | None, text: str) -> None:
    assert words.size(count) == text


@given(st.floats(min_value=0, max_value=1 << 50))
def test_bytes_never_take_more_than_five_cells(count: float) -> None:
    assert len(words.size(count)) <= 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.0042, "4ms"), (0.9999, "1.0s"), (12, "12s"), (200, "3m20s"), (240, "4m"), (11220, "3h07m")],
)
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@given(st.floats())
def test_any_float_can_be_written_in_few_cells(value: float) -> None:
    assert len(words.duration(value)) <= 9
    assert words.size(value) == "–" or math.isfinite(value)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300, -4.75])
def test_a_plot_leaves_out_what_is_no_number_or_an_absurd_one(bad: float) -> None:
    points = [Point(1e9 + n, value) for n, value in enumerate([0.1, bad, 0.2])]
    good = [points[0], points[2]]
    drawn = draw(Plot((Line("a", points), Line("b", points[1:2])), bad), words.duration, 60, 10)
    assert drawn.plain == draw(Plot((Line("a", good),)), words.duration, 60, 10).plain
    assert draw(Plot((Line("b", points[1:2]),)), words.duration, 60, 10).plain == ""


def test_p95_is_the_nearest_rank() -> None:
    assert words.p95([]) is None
    assert words.p95([1.0]) == 1.0
    assert words.p95([float(n) for n in range(1, 101)]) == 95.0


@given(st.lists(st.floats(min_value=0, max_value=1e12), max_size=200), st.integers(0, 40))
def test_a_sparkline_fills_its_width(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == (width if values and width else 0)


def test_a_sparkline_keeps_peaks() -> None:
    assert "█" in sparkline([1.0] * 50 + [9.0] + [1.0] * 50, 8)


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_cell_has_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


@given(st.text(alphabet="ab [日\\", max_size=200), st.integers(20, 80), st.integers(0, 8))
def test_hanging_text_fits_and_loses_only_spaces(text: str, width: int, indent: int) -> None:
    hung = findings.hang(Text(text, end=""), width, indent).plain
    assert all(cell_len(line) <= width for line in hung.split("\n"))
    assert hung.replace("\n", "").replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("namespaces", [0, 30])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 150, 200])
def test_columns_fit_every_width(width: int, namespaces: int) -> None:
    chosen = columns.columns(width, columns.Longest(20, 8, namespaces), "severity", reverse=False)
    assert sum(c.width + 1 for c in chosen) <= width + 1
    assert {"name", "memory", "finding"} <= {c.key for c in chosen}


def test_at_eighty_columns_every_figure_has_its_column() -> None:
    chosen = {c.key for c in columns.columns(78, columns.Longest(12, 6, 0), "severity", reverse=False)}
    assert chosen == {
        "severity",
        "name",
        "ready",
        "workers",
        "memory",
        "trend",
        "restarts",
        "cores",
        "p95",
        "finding",
    }


def test_unchanged_deployments_keep_their_rows() -> None:
    fleet = rows.Fleet()
    first = fleet.update(r.report())
    second = fleet.update(r.report())
    assert first[r.AUTH.id] is second[r.AUTH.id]


def test_what_is_not_live_is_not_called_healthy() -> None:
    assert rows.make(r.AUTH, (), "live").tone == "ok"
    assert rows.make(r.AUTH, (), "stale").tone == "unknown"


def test_rows_of_equal_value_do_not_wander() -> None:
    made = [rows.make(d, (), "live") for d in (r.SEARCH, r.AUTH, r.GATEWAY)]
    assert rows.arrange(made, "severity", False, "") == rows.arrange(made[::-1], "severity", False, "")


@given(
    st.lists(st.floats(min_value=0, max_value=1e12), min_size=1, max_size=50),
    st.integers(16, 78),
    st.integers(3, 20),
    st.none() | st.floats(min_value=1, max_value=1e12),
)
def test_a_plot_has_exactly_its_size(values: list[float], width: int, height: int, limit: float | None) -> None:
    points = [Point(1e9 + 2 * n, value) for n, value in enumerate(values)]
    lines = draw(Plot((Line("a", points),), limit), words.size, width, height).plain.split("\n")
    assert len(lines) == height
    assert all(cell_len(line) <= width for line in lines)


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S"), exclude_characters="…")), st.integers(1, 40))
def test_what_loses_its_middle_fits_and_keeps_its_ends(text: str, width: int) -> None:
    short = words.middle(text, width)
    assert cell_len(short) <= width
    if short != text:
        head, _, tail = short.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail)
