"""Long lines in rows of a width: which row is of which line, for lines by the ten thousand. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from rich.cells import cell_len, chop_cells


def rows(text: str, width: int) -> int:
    """In how many rows of ``width`` cells a text stands."""
    if text.isascii():
        return max(1, -(-len(text) // width))
    return max(1, len(chop_cells(text, width)))


def row(text: str, width: int, index: int) -> str:
    """One row of it."""
    if text.isascii():
        return text[index * width : (index + 1) * width]
    return next(iter(chop_cells(text, width)[index : index + 1]), "")


class Rows:
    """The rows of many lines, found in either direction without counting them all again."""

    def __init__(self, width: int | None, texts: Iterable[str] = ()) -> None:
        """``width`` in cells; ``None`` gives each line one row, however long it is."""
        self.width = width
        self._starts = [0]
        self.widest = 0
        self.extend(texts)

    @property
    def total(self) -> int:
        """The rows of all lines."""
        return self._starts[-1]

    def extend(self, texts: Iterable[str]) -> None:
        """More lines at the end."""
        at = self._starts[-1]
        for text in texts:
            if self.width is None:
                at += 1
                self.widest = max(self.widest, cell_len(text))
            else:
                at += rows(text, self.width)
            self._starts.append(at)

    def start(self, line: int) -> int:
        """The first row of a line."""
        return self._starts[line]

    def end(self, line: int) -> int:
        """The row behind its last one."""
        return self._starts[line + 1]

    def at(self, row: int) -> tuple[int, int] | None:
        """The line that stands in a row, and which of its rows this is."""
        if not 0 <= row < self.total:
            return None
        line = bisect_right(self._starts, row) - 1
        return line, row - self._starts[line]
