"""What a person may do, and whether the display stands still: passed down to every screen."""

from __future__ import annotations

from datetime import datetime

from probes.base import DeploymentId, Frozen, TargetId, target_of


class Mode(Frozen, frozen=True):
    """What a person may do here."""

    read_only: bool = False
    read_only_targets: frozenset[TargetId] = frozenset()
    production: frozenset[TargetId] = frozenset()
    """Targets that have to look different."""
    paused_at: datetime | None = None

    def writable(self, deployment: DeploymentId | None) -> bool:
        """Whether a deployment may be changed."""
        if self.read_only:
            return False
        return deployment is None or target_of(deployment) not in self.read_only_targets

    def frames(self, deployment: DeploymentId | None) -> bool:
        """Whether a screen about a deployment, or about all of them, has production's frame."""
        return bool(self.production) if deployment is None else target_of(deployment) in self.production
