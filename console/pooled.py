"""A board that adds database connections to what targets publish: they come from elsewhere, at another pace."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from probes.base import DeploymentId, TargetId, target_of
from probes.board import Board
from probes.database import budget
from probes.database.budget import Stated
from probes.model import Deployment, Snapshot, TargetState
from probes.pools import DatabaseServer, Held


class PooledBoard(Board):
    """What does not change keeps its identity, as on the board below."""

    def __init__(self, changed: Callable[[TargetState], None] = lambda _: None) -> None:
        super().__init__(changed)
        self._published: dict[TargetId, TargetState] = {}
        self._made: dict[DeploymentId, tuple[Deployment, Deployment]] = {}
        """Those with a pool: as the target published it, and with the pool."""
        self._held: Mapping[DeploymentId, Held] = {}
        self._peaks: dict[DeploymentId, int] = {}
        self._databases: tuple[DatabaseServer, ...] = ()

    def publish(self, state: TargetState) -> None:
        """Replaces what is known of the state's target."""
        self._published[state.target] = state
        gone = [d for d in self._made if target_of(d) == state.target and d not in state.deployments]
        for one in gone:
            del self._made[one]
            self._peaks.pop(one, None)
        super().publish(self._with_pools(state, state.changed))

    def hold(self, held: Mapping[DeploymentId, Held], databases: tuple[DatabaseServer, ...]) -> None:
        """Takes what the database servers said."""
        before, self._held, self._databases = self._held, held, databases
        for deployment, one in held.items():
            if one.connections is not None:
                self._peaks[deployment] = max(one.connections, self._peaks.get(deployment, 0))
        touched = {d for d in (*before, *held) if before.get(d) != held.get(d)}
        for state in tuple(self._published.values()):
            changed = frozenset(d for d in touched if d in state.deployments)
            if changed:
                super().publish(replace(self._with_pools(state, changed), changed=changed))

    def snapshot(self) -> Snapshot:
        """The board as it stands now."""
        return replace(super().snapshot(), databases=self._databases)

    def _with_pools(self, state: TargetState, changed: frozenset[DeploymentId]) -> TargetState:
        stale = {d for d, (published, _) in self._made.items() if state.deployments.get(d, published) is not published}
        for deployment in changed | stale:
            self._make(deployment, state.deployments.get(deployment))
        made = {d: self._made[d][1] for d in state.deployments if d in self._made} if self._made else {}
        return replace(state, deployments={**state.deployments, **made}) if made else state

    def _make(self, deployment: DeploymentId, published: Deployment | None) -> None:
        self._made.pop(deployment, None)
        if published is None:
            return
        pool = budget.pool(published, _said(published), self._held.get(deployment), self._peaks.get(deployment))
        if pool is not None:
            self._made[deployment] = (published, replace(published, pool=pool))


def _said(deployment: Deployment) -> Stated | None:
    """The size that SQLAlchemy names in its own error, the latest one."""
    if not deployment.hits:
        return None
    from fixes.signatures.pool_exhausted import QUEUE

    for hit in reversed([hit for hit in deployment.hits if hit.key == QUEUE.key]):
        size, overflow = hit.fields.get("size", ""), hit.fields.get("overflow", "")
        if size.isdecimal() and len(size) < 6 and overflow.removeprefix("-").isdecimal() and len(overflow) < 6:
            return Stated(int(size), max(-1, int(overflow)), "SQLAlchemy's error")
    return None
