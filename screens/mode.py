"""What a person may do, and whether the display stands still: passed down to every screen."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from probes.base import DeploymentId, Frozen, TargetId, target_of

Databases = Literal["allowed", "declined", "unanswered"]
"""Whether database servers may be asked: the question is put once, and its answer holds for the session."""


class Replay(Frozen, frozen=True):
    """Where a recording stands that is shown instead of what runs now."""

    at: datetime
    """The recording's time."""
    passed_seconds: int
    whole_seconds: int
    speed: float = 1.0
    playing: bool = True


class Mode(Frozen, frozen=True):
    """What a person may do here."""

    read_only: bool = False
    read_only_targets: frozenset[TargetId] = frozenset()
    production: frozenset[TargetId] = frozenset()
    """Targets that have to look different."""
    paused_at: datetime | None = None
    databases: Databases = "allowed"
    replay: Replay | None = None
    """``None`` where what is shown is there now."""

    def writable(self, deployment: DeploymentId | None) -> bool:
        """Whether a deployment may be changed."""
        if self.read_only:
            return False
        return deployment is None or target_of(deployment) not in self.read_only_targets

    def frames(self, deployment: DeploymentId | None) -> bool:
        """Whether a screen about a deployment, or about all of them, has production's frame."""
        return bool(self.production) if deployment is None else target_of(deployment) in self.production
