"""Figures as aligned columns, and medians over runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from .measure import Run

COMMAND = ("command", "wall, s", "CPU, s", "peak, MiB")


def show(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows of cells: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = zip(row, widths, strict=True)
        print("  ".join(c.ljust(w) if at == 0 else c.rjust(w) for at, (c, w) in enumerate(cells)), flush=True)


def median(runs: Iterable[Any], field: str, shape: str) -> str:
    """The median of one figure over runs, as ``shape`` writes it."""
    return shape.format(statistics.median(getattr(one, field) for one in runs))


def command(name: str, run: Run) -> tuple[str, ...]:
    """A row below :data:`COMMAND`."""
    return (name, f"{run.wall_seconds:.2f}", f"{run.cpu_seconds:.2f}", f"{run.peak_mib:.0f}")
