"""How far apart reports are: soon while a screen is empty, seldom where nobody could follow. Pure."""

from __future__ import annotations

from fixes.model import Report

EMPTY_SECONDS = 0.05
"""While there is nothing to show: the first rows do not wait."""
QUIET_SECONDS = 0.25
"""While the first answers come in: a screen fills as they do."""
CALM_SECONDS = 1.0
"""Once every target was read: half a hundred services that are measured in turn cost one look a second."""
MANY = 200
MANY_CALM_SECONDS = 2.0
"""With more deployments than :data:`MANY`: there something changes all the time."""


def pause_seconds(report: Report, *, settled: bool) -> float:
    """Until the next report, at least; ``settled``: every target was read once."""
    shown = sum(len(state.deployments) for state in report.snapshot.targets.values())
    if settled:
        return CALM_SECONDS if shown <= MANY else MANY_CALM_SECONDS
    return QUIET_SECONDS if shown else EMPTY_SECONDS
