"""Which lines of a log are marked: those that speak of trouble."""

from __future__ import annotations

from probes.base import PatternKey
from probes.loghits import LogLine

ORDINARY = frozenset(
    PatternKey(key)
    for key in (
        *(f"server/{name}" for name in ("begun", "listening", "booting", "waiting", "started", "stopping", "finished")),
        *(f"shutdown/{name}" for name in ("serving", "term", "gone", "master")),
        "db/shutdown",
    )
)
"""What servers print when all is well: signatures read it to tell a recovery from an outage."""


def telling(line: LogLine) -> bool:
    """Whether a pattern of trouble matched here."""
    return any(key not in ORDINARY for key in line.keys)
