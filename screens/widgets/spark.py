"""A sparkline as text: eight heights of a block, one cell for each value."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int, top: float | None = None) -> str:
    """The newest values in ``width`` cells, right-aligned.

    With ``top`` (a limit) heights are shares of it; without, the line spans what it shows, and a flat one stays low.
    """
    if not values or width <= 0:
        return ""
    shown = _squeeze(values, width)
    low, high = (0.0, top) if top else (min(shown), max(shown))
    if not top:
        low, high = low - 0.05 * abs(low), max(high, low * 1.1, low + 1e-9)
    heights = (round((min(v, high) - low) / (high - low) * (len(_BLOCKS) - 1)) for v in shown)
    return "".join(_BLOCKS[max(0, h)] for h in heights).rjust(width)


def _squeeze(values: Sequence[float], width: int) -> list[float]:
    """As many values as cells: the highest of each stretch, so that a peak is never lost."""
    if len(values) <= width:
        return list(values)
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    return [max(values[a:b]) for a, b in pairwise(edges)]
