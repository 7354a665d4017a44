"""The columns of the fleet: which of them fit, how wide they are, and what a row shows in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from probes.base import DeploymentId
from probes.model import Limit
from screens import words
from screens.rows import Row
from screens.widgets.table import Cell, Column

_COLUMNS: tuple[tuple[int, Column], ...] = (
    (0, Column("severity", "", 1)),
    (0, Column("name", "NAME", 16)),
    (1, Column("namespace", "NAMESPACE", 9)),
    (5, Column("target", "TARGET", 10)),
    (1, Column("ready", "READY", 5, "right")),
    (3, Column("workers", "WRK", 3, "right")),
    (0, Column("memory", "MEMORY", 9, "right")),
    (2, Column("trend", "", 6)),
    (2, Column("restarts", "RST", 3, "right")),
    (3, Column("cores", "CORES", 5, "right")),
    (1, Column("p95", "P95", 5, "right")),
    (0, Column("finding", "FINDING", 12)),
)
"""Each with its rank of being dropped: the highest goes first where the screen is narrow."""


class Longest(NamedTuple):
    """The longest texts of some columns, in cells; 0 leaves a column out."""

    name: int
    target: int
    namespace: int


def longest(rows: Iterable[Row]) -> Longest:
    """Of all rows; targets and namespaces count where there are several of them."""
    every = list(rows)
    names = max((len(row.name) for row in every), default=0)
    found = {words.target(one) for one in {row.target for row in every}}
    spaces = {row.namespace for row in every}
    return Longest(
        names, max(map(len, found)) if len(found) > 1 else 0, max(map(len, spaces)) if len(spaces) > 1 else 0
    )


def columns(width: int, room_for: Longest, sort: str, reverse: bool) -> tuple[Column, ...]:
    """The columns that fit ``width`` cells."""
    names, targets, namespaces = room_for
    absent = {key for key, fits in (("target", targets and width >= 100), ("namespace", namespaces)) if not fits}
    chosen = [(drop, c) for drop, c in _COLUMNS if c.key not in absent]
    limit = 5
    while sum(c.width + 1 for drop, c in chosen if drop <= limit) > width and limit:
        limit -= 1
    kept = [c for drop, c in chosen if drop <= limit]
    widths = {c.key: c.width for c in kept}
    widths["name"] = min(widths["name"], max(8, names))
    room = width - sum(w + 1 for w in widths.values())
    wants = {
        "name": max(0, min(names, max(32, width // 4)) - widths["name"]),
        "finding": max(0, (18 if width < 100 else 30) - widths["finding"]),
    }
    wants["namespace"] = max(0, min(namespaces, 14 if width < 100 else 24) - 9)
    if width >= 100:
        wants |= {"memory": 2, "trend": 6, "cores": 4, "p95": 2, "target": max(0, min(targets, 24) - 10)}
    for key in ("finding", "name", "namespace", "memory", "cores", "trend", "p95", "target"):
        extra = min(room, wants.get(key, 0)) if key in widths else 0
        widths[key] = widths.get(key, 0) + extra
        room -= extra
    widths["finding"] += max(0, room)
    for column in kept:
        if column.key == sort:  # a title that is cut would lose its arrow
            short = max(0, len(column.title) + 1 - widths[sort])
            widths[sort] += short
            widths["finding"] -= short
    made = []
    for column in kept:
        arrow = "" if column.key != sort else ("▲" if reverse else "▼")
        made.append(column._replace(width=widths[column.key], title=column.title + arrow))
    return tuple(made)


def cells(row: Row, shown: Sequence[Column], spark: Callable[[DeploymentId, int], str]) -> tuple[Cell, ...]:
    """The cells of a row for the columns shown."""
    base = "" if row.fresh else "dim"
    return tuple(_cell(row, column, base, spark) for column in shown)


def _cell(row: Row, column: Column, base: str, spark: Callable[[DeploymentId, int], str]) -> Cell:
    match column.key:
        case "severity":
            return Cell(words.GLYPHS[row.tone], words.STYLES[row.tone])
        case "name":
            return Cell(words.middle(row.name, column.width), f"{base} bold" if row.rank >= 3 else base)
        case "target":
            return Cell(words.target(row.target), "dim")
        case "namespace":
            return Cell(row.namespace, "dim")
        case "ready":
            short = row.ready is not None and row.desired is not None and row.ready < row.desired
            text = words.UNKNOWN if row.desired is None else f"{words.number(row.ready)}/{row.desired}"
            return Cell(text, "yellow" if short else base)
        case "workers":
            return Cell(words.number(row.workers), base)
        case "memory":
            used = words.size(row.memory_bytes)
            text = used if row.memory_limit_bytes is None else f"{used}/{words.size(row.memory_limit_bytes)}"
            return Cell(text, words.fill_tone(row.memory_bytes, row.memory_limit_bytes) or base)
        case "trend":
            tone = words.fill_tone(row.memory_bytes, row.memory_limit_bytes) or "dim cyan"
            return Cell(spark(row.id, column.width), tone)
        case "restarts":
            return Cell(words.number(row.restarts), "yellow" if (row.restarts or 0) >= 3 else base)
        case "cores":
            text = words.cores(row.cores, row.cores_limit if column.width > 6 else Limit())
            return Cell(text, words.fill_tone(row.cores, row.cores_limit.value) or base)
        case "p95":
            slow = row.p95_seconds or 0.0
            return Cell(words.duration(row.p95_seconds), "red" if slow >= 1 else "yellow" if slow >= 0.25 else base)
        case _:
            text = row.title if column.width >= 30 else row.short
            return Cell(text, words.STYLES[row.tone] if row.rank >= 2 else "dim")
