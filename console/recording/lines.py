"""Which log lines are recorded: what came since, of one deployment after the other, at a bounded cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from probes.base import DeploymentId
from probes.loghits import LogLine

LINES = 200
"""The newest so many of a deployment at one look."""
MOST_SECONDS = 1.0
"""For one look: a busy session answers late."""
AT_ONCE = 20
"""Deployments that are looked at for one moment."""
PER_SECOND = 1500
"""Lines that are decoded; each costs some 15 µs on the session's thread. A log that floods is read less often."""


class LogReader:
    """Asks for the lines that came since it asked last."""

    def __init__(self, lines: Callable[[DeploymentId, int], Sequence[LogLine]]) -> None:
        """``lines`` answers with the kept lines of a deployment above a number."""
        self._lines = lines
        self._newest: dict[DeploymentId, int] = {}
        self._next_at = 0.0
        self._last: DeploymentId | None = None

    def read(self, deployments: Sequence[DeploymentId]) -> dict[DeploymentId, Sequence[LogLine]]:
        """New lines by deployment; going on behind the one that was looked at last."""
        began = time.monotonic()
        if began < self._next_at:
            return {}
        decoded = 0
        found: dict[DeploymentId, Sequence[LogLine]] = {}
        there = frozenset(deployments)
        self._newest = {d: n for d, n in self._newest.items() if d in there}
        start = deployments.index(self._last) + 1 if self._last in deployments else 0
        for identity in (*deployments[start:], *deployments[:start])[:AT_ONCE]:
            self._last = identity
            lines = self._lines(identity, self._newest.get(identity, 0))
            if lines:
                self._newest[identity] = lines[-1].number
                found[identity] = lines[-LINES:]
            decoded += len(lines)
            if decoded > PER_SECOND or time.monotonic() - began > MOST_SECONDS:
                break
        self._next_at = began + decoded / PER_SECOND
        return found
