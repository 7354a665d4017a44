"""Plain tables for people: on a terminal as wide as it is, in a pipe with every text whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2
"""Cells between two columns."""


class Column(NamedTuple):
    """A column and how it yields to others where a terminal is narrow."""

    title: str
    drop: int = 0
    """0: it is always there; of the others the highest goes first."""
    least: int | None = None
    """To so many cells its texts may be cut, in their middle; ``None``: they stay whole."""
    dear: int = 0
    """So many cells of its texts outlast the columns that can go: where two texts differ may be anywhere in them."""


class Shown(NamedTuple):
    """A column that has room."""

    place: int
    """In the row that was given."""
    title: str
    width: int


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> tuple[Shown, ...]:
    """The columns that ``width`` cells have room for: texts that are not dear are cut, columns go, then all are cut."""
    from rich.cells import cell_len

    whole = [max(cell_len(c.title), *(cell_len(row[n]) for row in rows), 0) for n, c in enumerate(columns)]
    least = [min(whole[n], max(c.least or whole[n], cell_len(c.title))) for n, c in enumerate(columns)]
    dear = [max(least[n], min(whole[n], c.dear)) for n, c in enumerate(columns)]
    kept = list(range(len(columns)))

    def over(widths: Sequence[int]) -> int:
        return sum(widths[n] for n in kept) + GAP * (len(kept) - 1) - width

    while over(dear) > 0 and (droppable := [n for n in kept if columns[n].drop]):
        kept.remove(max(droppable, key=lambda n: columns[n].drop))
    widths = list(whole)
    while (cells := over(widths)) > 0 and (wide := [n for n in kept if widths[n] > least[n]]):
        longest = max(wide, key=lambda n: widths[n])
        widths[longest] = max(least[longest], widths[longest] - max(1, cells // len(wide)))
    return tuple(Shown(n, columns[n].title, widths[n]) for n in kept)


def show(
    out: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]], styles: Sequence[str] | None = None
) -> None:
    """Prints a table; ``styles`` are those of each row's first cell."""
    from rich.text import Text

    from screens.words import middle

    shown = fitting(columns, rows, out.width)
    lines = [Text(_line([one.title for one in shown], shown), "dim")]
    lines.append(Text("─" * min(out.width, sum(one.width + GAP for one in shown) - GAP), "dim"))
    for number, row in enumerate(rows):
        line = Text(_line([middle(row[one.place], one.width) for one in shown], shown))
        if styles:
            line.stylize(styles[number], 0, len(row[0]))
        lines.append(line)
    for line in lines:
        out.print(line, soft_wrap=True)


def _line(cells: Sequence[str], shown: Sequence[Shown]) -> str:
    from rich.cells import cell_len

    gap = " " * GAP
    return gap.join(cell + " " * (one.width - cell_len(cell)) for cell, one in zip(cells, shown, strict=True)).rstrip()
