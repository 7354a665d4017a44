"""Where the findings of the fleet's selected deployment stand, and in how many lines. Pure."""

from __future__ import annotations

from typing import NamedTuple

PANE_LINES = 11
"""Below the table of a screen of middling size, the line above them included."""
BRIEF_LINES, ROOMY_LINES = 3, 8
"""For two lines of them; and from how many on they are told in full."""
BELOW_LINES = 18
"""So many lines that the rows leave are better for the findings, in the whole width, than a column beside the table."""
_TAKEN = 3
"""The bars, and the titles of the columns."""


class Room(NamedTuple):
    """What the findings have."""

    beside: bool
    """A column beside the table, as high as that."""
    lines: int
    """Below the table otherwise."""
    snug: bool
    """The table is as high as its rows: what stands above it later takes lines of the findings, and hides no row."""

    @property
    def full(self) -> bool:
        """Whether there is more room below the table than for the worst finding alone."""
        return not self.beside and self.lines >= ROOMY_LINES


def divide(width: int, height: int, rows: int) -> Room:
    """A screen of so many cells and lines, whose table has so many rows: what these leave is the findings'."""
    spare = height - _TAKEN - rows
    usual = PANE_LINES if width >= 120 and height >= 28 else BRIEF_LINES
    beside = width >= 150 and spare < BELOW_LINES
    return Room(beside=beside, lines=max(usual, spare), snug=not beside and spare >= usual)
