"""The board: the latest state of each target. Nobody waits for anybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from probes.base import TargetId
from probes.model import Snapshot, TargetState


class Board:
    """Collects what targets publish and tells one listener that something changed.

    All calls come from the session's event loop; a state is frozen, so a :class:`Snapshot` may go anywhere.
    """

    def __init__(self, changed: Callable[[TargetState], None] = lambda _: None) -> None:
        self._states: dict[TargetId, TargetState] = {}
        self._changed = changed

    def publish(self, state: TargetState) -> None:
        """Replaces what is known of the state's target."""
        self._states[state.target] = state
        self._changed(state)

    def snapshot(self) -> Snapshot:
        """The board as it stands now."""
        return Snapshot(taken_at=datetime.now(UTC), targets=dict(self._states))
