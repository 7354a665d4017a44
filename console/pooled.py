"""A board that adds to what targets publish what comes from elsewhere, at another pace: connections, telemetry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from probes import httpmetrics
from probes.base import DeploymentId, TargetId, target_of
from probes.board import Board
from probes.database import budget
from probes.database.budget import NOTHING, Found, Stated
from probes.model import Deployment, Latency, Snapshot, TargetState
from probes.pools import DatabaseServer, Held


class PooledBoard(Board):
    """What does not change keeps its identity, as on the board below."""

    def __init__(self, changed: Callable[[TargetState], None] = lambda _: None) -> None:
        super().__init__(changed)
        self._published: dict[TargetId, TargetState] = {}
        self._made: dict[DeploymentId, tuple[Deployment, Deployment]] = {}
        """Those with more: as the target published it, and with what was added."""
        self._held: Mapping[DeploymentId, Held] = {}
        self._peaks: dict[DeploymentId, int] = {}
        self._databases: tuple[DatabaseServer, ...] = ()
        self._latency: Mapping[DeploymentId, Latency] = {}
        self._found: dict[DeploymentId, Found] = {}

    def publish(self, state: TargetState) -> None:
        """Replaces what is known of the state's target."""
        self._published[state.target] = state
        gone = [d for d in self._made if target_of(d) == state.target and d not in state.deployments]
        for one in gone:
            del self._made[one]
            self._peaks.pop(one, None)
            self._found.pop(one, None)
        super().publish(self._with_more(state, state.changed))

    def hold(self, held: Mapping[DeploymentId, Held], databases: tuple[DatabaseServer, ...]) -> None:
        """Takes what the database servers said."""
        before, self._held, self._databases = self._held, held, databases
        for deployment, one in held.items():
            if one.connections is not None:
                self._peaks[deployment] = max(one.connections, self._peaks.get(deployment, 0))
        self._again({d for d in (*before, *held) if before.get(d) != held.get(d)})

    def found(self, deployment: DeploymentId, found: Found) -> None:
        """Takes what a deployment's own files say of its pool."""
        if self._found.get(deployment, NOTHING) != found:
            self._found[deployment] = found
            self._again({deployment})

    def hear(self, latency: Mapping[DeploymentId, Latency]) -> None:
        """Takes what the services sent of their requests."""
        before, self._latency = self._latency, latency
        self._again({d for d in (*before, *latency) if before.get(d) != latency.get(d)})

    def snapshot(self) -> Snapshot:
        """The board as it stands now."""
        return replace(super().snapshot(), databases=self._databases)

    def _again(self, touched: AbstractSet[DeploymentId]) -> None:
        """Publishes those with what is known of them now."""
        for state in tuple(self._published.values()):
            changed = frozenset(d for d in touched if d in state.deployments)
            if changed:
                super().publish(replace(self._with_more(state, changed), changed=changed))

    def _with_more(self, state: TargetState, changed: frozenset[DeploymentId]) -> TargetState:
        stale = {d for d, (published, _) in self._made.items() if state.deployments.get(d, published) is not published}
        for deployment in changed | stale:
            self._make(deployment, state.deployments.get(deployment))
        made = {d: self._made[d][1] for d in state.deployments if d in self._made} if self._made else {}
        return replace(state, deployments={**state.deployments, **made}) if made else state

    def _make(self, deployment: DeploymentId, published: Deployment | None) -> None:
        self._made.pop(deployment, None)
        if published is None:
            return
        held, peak = self._held.get(deployment), self._peaks.get(deployment)
        pool = budget.pool(published, _said(published), held, peak, self._found.get(deployment, NOTHING))
        made = published if pool is None else replace(published, pool=pool)
        sent = self._latency.get(deployment)
        if sent is not None and not (published.latency is not None and httpmetrics.tells(published.latency)):
            made = replace(made, latency=sent)
        if made is not published:
            self._made[deployment] = (published, made)


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
