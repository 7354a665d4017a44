"""Whose turn it is to be read: what was never read first, all the rest again and again, so many in a second."""

from __future__ import annotations

import heapq
import time

from probes.base import DeploymentId

AGAIN_SECONDS = 20.0
_AGAIN_PER_SECOND = 1.0
"""With many deployments each is read less often."""
_SAVED = 5.0
"""Turns that were not needed and may be taken at once."""


class Turns:
    """Of deployments; an order, and no timers."""

    def __init__(self) -> None:
        self._first: dict[DeploymentId, None] = {}
        self._due: list[tuple[float, DeploymentId]] = []
        self._due_at: dict[DeploymentId, float] = {}
        self._tokens = _SAVED
        self._asked_at = time.monotonic()

    @property
    def waiting(self) -> bool:
        """Whether there is something that was never read."""
        return bool(self._first)

    def add(self, key: DeploymentId) -> bool:
        """Something is there; whether it is new."""
        if key in self._first or key in self._due_at:
            return False
        self._first[key] = None
        return True

    def hurry(self, key: DeploymentId) -> None:
        """There is something new to be read."""
        if key in self._due_at:
            self._put(key, time.monotonic())

    def done(self, key: DeploymentId) -> None:
        """It was read, or could not be."""
        if key in self._first or key in self._due_at:
            self._first.pop(key, None)
            self._put(key, time.monotonic() + AGAIN_SECONDS)

    def drop(self, key: DeploymentId) -> None:
        """It is gone."""
        self._first.pop(key, None)
        self._due_at.pop(key, None)

    def take(self, room: int, busy: set[DeploymentId]) -> list[DeploymentId]:
        """Those whose turn it is now, ``room`` at most, none that is ``busy``; :meth:`done` is to be said of each."""
        now = time.monotonic()
        self._tokens = min(_SAVED, self._tokens + (now - self._asked_at) * _AGAIN_PER_SECOND)
        self._asked_at = now
        found: list[DeploymentId] = []
        for key in self._first:
            if len(found) >= room:
                return found
            if key not in busy:
                found.append(key)
        while self._due and self._due[0][0] <= now and len(found) < room and self._tokens >= 1.0:
            at, key = heapq.heappop(self._due)
            if self._due_at.get(key) == at and key not in busy:
                self._tokens -= 1.0
                found.append(key)
        return found

    def _put(self, key: DeploymentId, at: float) -> None:
        self._due_at[key] = at
        heapq.heappush(self._due, (at, key))
