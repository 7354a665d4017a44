"""The replicas of a deployment as rows: where each runs, how it stands, why it waits, how it ended before. Pure."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import unquote

from probes.model import Deployment, Replica
from probes.orchestrator import Ended
from probes.text import line
from screens import words
from screens.widgets.table import Cell, Column


def columns(deployment: Deployment, width: int) -> tuple[Column, ...]:
    """The columns that fit ``width`` cells, in the order of what tells most; the node where there are several."""
    every = deployment.replicas
    wanted = (
        Column("mark", "", 1),
        Column("restarts", "RST", 3, "right"),
        Column("state", "STATE", max((len(_state(r).text) for r in every), default=7)),
        Column("ended", "LAST END", max((len(_how(r.last_end)) + 5 for r in every if r.last_end), default=0)),
        Column("node", "NODE", max((len(_node(r)) for r in every), default=0)),
        Column("memory", "MEMORY", 9, "right"),
        Column("age", "UP", 6, "right"),
    )
    name = min(max((len(short_name(r, deployment)) for r in every), default=7), 24)
    room = width - name - 1
    kept = {"name"}
    for column in wanted:
        if column.width and column.width + 1 <= room:
            kept.add(column.key)
            room -= column.width + 1
    name += min(room, max((len(r.name) for r in every), default=0) - name)
    shown = {c.key: c for c in wanted} | {"name": Column("name", "REPLICA", name)}
    order = ("mark", "name", "node", "restarts", "memory", "age", "state", "ended")
    return tuple(shown[key] for key in order if key in kept)


def short_name(replica: Replica, deployment: Deployment) -> str:
    """What tells it from the others: a pod's name without the name of the workload that it begins with."""
    return replica.name.removeprefix(f"{deployment.name}-") or replica.name


def keys(deployment: Deployment) -> dict[str, Replica]:
    """All replicas by id: those that are not ready first, as they want to be looked at."""
    return {r.id: r for r in sorted(deployment.replicas, key=lambda r: (r.ready is True, r.name))}


def cells(replica: Replica, of: Deployment, shown: tuple[Column, ...], now: datetime) -> tuple[Cell, ...]:
    """The cells of one replica for the columns shown."""
    return tuple(_cell(replica, of, column, now) for column in shown)


def _cell(replica: Replica, of: Deployment, column: Column, now: datetime) -> Cell:
    used, limit = replica.memory.used_bytes, replica.memory.limit.value
    match column.key:
        case "mark":
            tone: words.Tone = "ok" if replica.ready else "stopped" if replica.ready is None else "warning"
            return Cell(words.GLYPHS[tone], words.STYLES[tone])
        case "name":
            name = replica.name if len(replica.name) <= column.width else short_name(replica, of)
            return Cell(name, "dim" if replica.terminating else "")
        case "node":
            return Cell(line(_node(replica), 200), "dim")
        case "restarts":
            return Cell(words.number(replica.restarts), "yellow" if (replica.restarts or 0) >= 3 else "")
        case "memory":
            text = words.size(used) if limit is None else f"{words.size(used)}/{words.size(limit)}"
            return Cell(text, words.fill_tone(used, limit))
        case "age":
            running = replica.state == "running" and replica.started_at is not None
            return Cell(words.ago(replica.started_at, now) if running and replica.started_at else "", "dim")
        case "state":
            return _state(replica)
        case _:
            return Cell(ending(replica.last_end, now), "red" if _is_bad(replica.last_end) else "dim")


def _state(replica: Replica) -> Cell:
    if replica.terminating:
        return Cell("terminating", "dim")
    if replica.waiting is not None:
        return Cell(replica.waiting.reason, "red")
    if replica.state == "running":
        return Cell("running" if replica.ready else "not ready", "" if replica.ready else "yellow")
    return Cell(replica.state if replica.exit_code is None else f"{replica.state} ({replica.exit_code})", "yellow")


def ending(end: Ended | None, now: datetime) -> str:
    """How and how long ago a run ended: ``OOMKilled (137) 4m``; nothing where it is not known."""
    if end is None:
        return ""
    return _how(end) if end.at is None else f"{_how(end)} {words.ago(end.at, now)}"


def _how(end: Ended) -> str:
    code = "" if end.exit_code is None else f" ({end.exit_code})"
    return f"{end.reason or 'ended'}{code}"


def _is_bad(end: Ended | None) -> bool:
    return end is not None and end.exit_code not in (0, None)


def _node(replica: Replica) -> str:
    """The name of its node: the last part of the node's id."""
    return unquote(str(replica.node or "").rpartition("/")[2])
