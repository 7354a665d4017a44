"""Numbers, times and severities as a person reads them: short, aligned, the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from urllib.parse import unquote

from rich.cells import cell_len

from fixes.model import SEVERITIES, Finding, Severity
from probes.base import TargetId
from probes.model import Limit, LinkState
from probes.text import line
from screens.mode import Replay

UNKNOWN = "–"
_LONGEST_SECONDS = 1e10
Tone = Literal["critical", "error", "warning", "info", "ok", "stopped", "unknown"]

GLYPHS: dict[Tone, str] = {
    "critical": "◆",
    "error": "●",
    "warning": "▲",
    "info": "•",
    "ok": "✓",
    "stopped": "○",
    "unknown": "?",
}
"""Each severity has a shape of its own, so that it can be told without colour."""

STYLES: dict[Tone, str] = {
    "critical": "bold red",
    "error": "red",
    "warning": "yellow",
    "info": "blue",
    "ok": "green",
    "stopped": "dim",
    "unknown": "dim",
}
"""The 16 colours that every terminal has."""

LINK_TONES: dict[LinkState, Tone] = {
    "connecting": "unknown",
    "live": "ok",
    "stale": "warning",
    "expired": "error",
    "forbidden": "error",
    "down": "error",
}


def size(count: float | None) -> str:
    """Bytes in three digits and a binary prefix: ``512M`` is 512 MiB; a dash for what is no number."""
    if count is None or not math.isfinite(count):
        return UNKNOWN
    value = float(count)
    for unit in ("B", "K", "M", "G", "T"):
        if abs(value) < 999.5 or unit == "T":
            digits = 1 if unit != "B" and abs(value) < 9.95 and value != int(value) else 0
            return f"{value:.{digits}f}{unit}"
        value /= 1024
    raise AssertionError


def duration(seconds: float | None) -> str:
    """A span of time in two units at most: ``850ms``, ``1.2s``, ``3m20s``, ``42m``, ``4h05m``, ``12d``.

    A dash for what is no number, negative, or longer than anything has run.
    """
    if seconds is None or not 0 <= seconds <= _LONGEST_SECONDS:
        return UNKNOWN
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m" if whole >= 600 or whole % 60 == 0 else f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d"


def cores(used: float | None, limit: Limit) -> str:
    """CPU in cores, with the limit where there is one: ``0.42/2``."""
    if used is None:
        return UNKNOWN
    text = f"{used:.2f}" if used < 9.995 else f"{used:.0f}"
    return f"{text}/{limit.value:g}" if limit.limited and limit.value is not None else text


def percent(value: float | None) -> str:
    """A percentage without decimals."""
    return UNKNOWN if value is None else f"{value:.0f}%"


def target(identity: TargetId) -> str:
    """A target as a person knows it: ``k8s/prod/eu`` where its id has ``k8s/prod%2Feu``."""
    return line(unquote(identity), 200)


def middle(text: str, width: int) -> str:
    """The text in ``width`` cells at most; what is too long loses its middle: made-up names differ at their ends."""
    if cell_len(text) <= width:
        return text
    tail = max(0, width - 1) * 2 // 5
    head = max(0, width - 1 - tail)
    start = next((text[:n] for n in range(min(len(text), head), 0, -1) if cell_len(text[:n]) <= head), "")
    end = next((text[-n:] for n in range(min(len(text), tail), 0, -1) if cell_len(text[-n:]) <= tail), "")
    return f"{start}…{end}" if width > 0 else ""


def number(value: float | None) -> str:
    """A count, or a dash where it is unknown."""
    return UNKNOWN if value is None else f"{value:g}"


def moment(at: datetime | None) -> str:
    """The time of day in UTC, as servers write it."""
    return "" if at is None else at.strftime("%H:%M:%S")


def ago(at: datetime, now: datetime) -> str:
    """How long ago something was."""
    return duration(max(0.0, (now - at).total_seconds()))


def p95(samples: Sequence[float]) -> float | None:
    """The 95th percentile by nearest rank."""
    return sorted(samples)[math.ceil(0.95 * len(samples)) - 1] if samples else None


def rank(severity: Severity | None) -> int:
    """A severity as a number, the worst the highest; 0 for none."""
    return 0 if severity is None else SEVERITIES.index(severity) + 1


def worst(findings: Sequence[Finding]) -> Severity | None:
    """The worst severity among findings."""
    return max((f.severity for f in findings), key=rank, default=None)


def plural(count: int, noun: str) -> str:
    """``1 worker``, ``3 workers``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def fill_tone(used: float | None, limit: float | None) -> str:
    """The style of a used amount beside its limit: calm below three quarters, red from nine tenths on."""
    if used is None or not limit:
        return ""
    ratio = used / limit
    return "red" if ratio >= 0.9 else "yellow" if ratio >= 0.75 else ""


def played(replay: Replay) -> str:
    """Where a recording stands: ``3m20s of 1h00m · ×2 · paused``."""
    passed, whole = duration(replay.passed_seconds), duration(replay.whole_seconds)
    speed = "" if replay.speed == 1 else f" · ×{replay.speed:g}"
    return f"{passed} of {whole}{speed}{'' if replay.playing else ' · paused'}"
