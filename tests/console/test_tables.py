"""Tables on a terminal fit it; in a pipe they are whole."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from console import output, tables
from console.tables import Column
from tests.screens import reports as r

LONG = "checkout-service-for-the-european-market-with-a-name-that-somebody-generated-7f9c4d5b8-x2k9q"


def printed(width: int, names: tuple[str, ...]) -> list[str]:
    out = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    report = r.report(r.state(r.DOCKER, tuple(r.deployment(name, used=480) for name in names)))
    output._print_table(out, report.snapshot.deployments(), report)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


@pytest.mark.parametrize("names", [("checkout", "auth"), (LONG, "checkout"), ("サービス" * 30, "checkout")])
@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_each_deployment_is_one_line_with_its_memory_and_its_worst_finding(width: int, names: tuple[str, ...]) -> None:
    lines = printed(width, names)
    assert len(lines) == 2 + len(names), "a title, a rule, and a line for each"
    assert all(cell_len(line) <= width for line in lines)
    for title in ("deployment", "memory", "worst finding"):
        assert title in lines[0]
    line = next(line for line in lines if "docker/checkout " in line)
    assert "480 MiB / 512 MiB" in line
    assert "oom-killed" in line
    assert line.startswith("critical  ")


@pytest.mark.parametrize("width", [100, 120])
def test_names_that_differ_in_their_middle_are_told_apart_before_a_column_has_room(width: int) -> None:
    blue, green = (f"prod-eu-west-1/shop-{colour}/Deployment/checkout-api" for colour in ("blue", "green"))
    lines = printed(width, (blue, green))
    assert any(f"docker/{blue}" in line for line in lines)
    assert any(f"docker/{green}" in line for line in lines)


def test_a_long_name_loses_its_middle_and_keeps_its_end() -> None:
    line = next(line for line in printed(80, (LONG, "auth")) if "docker/checkout" in line)
    assert "x2k9q" in line
    assert "…" in line


def test_a_pipe_gets_every_column_and_every_name_whole() -> None:
    lines = printed(output.PIPE_COLUMNS, (LONG,))
    assert all(title in lines[0] for title in output.COLUMNS)
    assert f"docker/{LONG}" in lines[2]


@given(
    st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60), st.text(max_size=8)), max_size=5),
    st.integers(30, 200),
)
def test_columns_that_may_yield_fit_every_width(rows: list[tuple[str, str, str]], width: int) -> None:
    columns = (Column("one", least=8), Column("two", least=8, drop=2), Column("three", drop=1))
    shown = tables.fitting(columns, rows, width)
    assert shown[0].title == "one"
    assert sum(one.width + tables.GAP for one in shown) - tables.GAP <= width
