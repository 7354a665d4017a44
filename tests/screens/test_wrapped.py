"""The rows of wrapped lines: no cell is lost, and each is found by its place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from screens.widgets.wrapped import Rows, row, rows

TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=200)


@given(TEXTS, st.integers(20, 60))
def test_all_rows_of_a_text_are_the_text_and_none_is_too_wide(text: str, width: int) -> None:
    parts = [row(text, width, index) for index in range(rows(text, width))]
    assert "".join(parts) == text
    assert all(cell_len(part) <= width for part in parts)


@given(st.lists(TEXTS, max_size=20), st.none() | st.integers(20, 60))
def test_each_row_is_of_one_line(texts: list[str], width: int | None) -> None:
    made = Rows(width, texts)
    found = [made.at(index) for index in range(made.total)]
    assert found == [(line, part) for line in range(len(texts)) for part in range(made.end(line) - made.start(line))]
    assert made.at(made.total) is None
    assert made.at(-1) is None
