"""What a session knows: the board, the series and the latest report; and who is told of a new one. No threads here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from console.listeners import Listener, Listeners
from console.pooled import PooledBoard
from console.supervise import Defects
from fixes.model import ChangeId, Report
from probes.base import DeploymentId, Failure
from probes.history import History, Metric, Point, SeriesKey
from probes.model import Interest, Snapshot, TargetState

if TYPE_CHECKING:
    from fixes.track import Tracker
    from probes.otlp.receiver import Place

URGENT = frozenset({"error", "critical"})
"""What fails is read more often; a misconfiguration does not change by the second, and half a fleet may have one."""


class Judging:
    """Folds what targets publish into reports. All calls but :meth:`subscribe` come from the session's loop."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """``changed`` is called when a target has published something."""
        self.board = PooledBoard(self._published)
        self.history = History()
        self.defects = Defects()
        self.report = Report(snapshot=Snapshot(taken_at=datetime.now(UTC), targets={}))
        self._interest = Interest()
        self._changed = changed
        self._began = time.monotonic()
        self._listeners = Listeners()
        self._deaf: Failure | None = None
        self._unasked: tuple[Failure, ...] = ()
        self._unheard: tuple[Failure, ...] = ()
        self.receives: Place | None = None
        """Where telemetry is received; ``None`` where it is not."""
        self._told = False
        self.databases_asked = False
        """The database servers that were wanted were asked once, and the report says what they answered."""

    def begin(self) -> None:
        """From now on it is observed."""
        self._began = time.monotonic()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener with each new report until the returned function is called."""
        return self._listeners.subscribe(listener)

    def judge(self, tracker: Tracker, pending: Callable[[], Iterable[ChangeId]]) -> None:
        """One step of the fold; tells listeners. A defect of either is data, and costs no other report."""
        snapshot = self.board.snapshot()
        try:
            self.report = replace(
                tracker.advance(snapshot, self.history, datetime.now(UTC)),
                observed_seconds=round(time.monotonic() - self._began, 1),
                pending=tuple(pending()),
            )
        except Exception as error:  # noqa: BLE001 -- what was found so far is shown, with the newest snapshot
            failure = self.defects.note("judging what was read", error)
            self.report = replace(self.report, snapshot=snapshot, opened=(), closed=(), failures=(failure,))
        more = (*self._unasked, *self._unheard, *(() if self._deaf is None else (self._deaf,)))
        if more:
            self.report = replace(self.report, failures=(*self.report.failures, *more))
        self.databases_asked = self._told
        for listener in self._listeners:
            try:
                listener(self.report)
            except Exception as error:  # noqa: BLE001 -- the other listeners are told all the same
                self._deaf = self.defects.note("showing what was found", error)

    def more_was_read(self) -> None:
        """What somebody may wait for, and what shows in no state of a target."""
        self._changed()

    def databases_told(self, failures: tuple[Failure, ...]) -> None:
        """The database servers were asked; this is what could not be read."""
        self._unasked, self._told = failures, True
        self._changed()

    @property
    def listens(self) -> Place | Failure | None:
        """Where telemetry is received, or why it is not; ``None`` where nobody asked for it."""
        return self.receives or next(iter(self._unheard), None)

    def receiving(self, where: Place | None, *failures: Failure) -> None:
        """Telemetry is received there from now on; or it is not, and why."""
        self.receives, self._unheard = where, failures
        self._changed()

    def settled(self) -> bool:
        """Whether every target that was heard of was read whole, and nobody waits for first answers."""
        states = self.report.snapshot.targets.values()
        return bool(states) and all(state.complete for state in states)

    def interest(self, looked_at: Interest | None, verifying: AbstractSet[DeploymentId]) -> Interest:
        """What to read first: what is looked at (as said last), what is in trouble, and what is being verified."""
        if looked_at is not None:
            self._interest = looked_at
        troubled = frozenset(d for d, found in self.report.findings.items() if found and found[0].severity in URGENT)
        return replace(self._interest, troubled=troubled | verifying)

    def series(self, deployment: DeploymentId, metric: Metric, since: float) -> Mapping[str, Sequence[Point]]:
        """The series of one metric by label."""
        labels = self.history.labels(deployment, metric)
        return {label: self.history.series(SeriesKey(deployment, metric, label), since) for label in labels}

    def _published(self, state: TargetState) -> None:
        self.history.record(state)
        self._changed()
