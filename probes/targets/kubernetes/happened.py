"""Events of the API until somebody wants them: of what is not listed yet they are kept, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from probes.base import DeploymentId, ReplicaId
from probes.targets.kubernetes.views import HappeningView

_WAITING = 5000
"""Events that wait at most; the oldest go first."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Heard(NamedTuple):
    """An event and what it is about."""

    deployment: DeploymentId
    replica: ReplicaId
    """The pod's serving container. An event about the workload itself stands at its first replica; where there is none,
    at ``NAMESPACE/NAME/KIND`` of the workload."""
    event: HappeningView


class Happened:
    """Changed by the target's event loop alone."""

    def __init__(self) -> None:
        self._waiting: dict[str, HappeningView] = {}
        """By uid: of an event that is told again the latest counts."""
        self._told: dict[str, tuple[datetime | None, int]] = {}
        self._look = False

    def put(self, view: HappeningView, oldest: datetime) -> bool:
        """Takes an event; false for one that is old or was handed out."""
        if (view.at or _EPOCH) < oldest or self._told.get(view.uid) == (view.at, view.count):
            return False
        self._waiting.pop(view.uid, None)
        self._waiting[view.uid] = view
        if len(self._waiting) > _WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._look = True
        return True

    def look_again(self) -> None:
        """Something new is listed: what waits may be about it."""
        self._look = self._look or bool(self._waiting)

    def fresh(self, about: Callable[[HappeningView], tuple[DeploymentId, ReplicaId] | None]) -> Iterator[Heard]:
        """What waits and is about something listed, oldest first; handed out once."""
        if not self._look:
            return
        self._look = False
        found = [(view, place) for view in self._waiting.values() if (place := about(view)) is not None]
        for view, place in sorted(found, key=lambda pair: pair[0].at or _EPOCH):
            del self._waiting[view.uid]
            self._told[view.uid] = (view.at, view.count)
            yield Heard(*place, view)

    def forget(self, oldest: datetime) -> None:
        """Forgets what is older."""
        for uid in [uid for uid, view in self._waiting.items() if (view.at or _EPOCH) < oldest]:
            del self._waiting[uid]
        for uid in [uid for uid, (at, _) in self._told.items() if (at or _EPOCH) < oldest]:
            del self._told[uid]
