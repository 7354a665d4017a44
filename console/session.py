"""The session: all that a front end talks to, with a screen or without one.

Its event loop runs in a thread of its own, so that no target can freeze a screen and no drawing delays a measurement.
Every public method may be called from any thread; listeners are called on the session's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import msgspec
from fixes.track import Tracker

from console.config import Config
from console.repairs import Progress, Repairs
from fixes import catalogue
from fixes.model import Advice, ChangeId, Entry, Outcome, Plan, RemedyId, Report, SignatureId
from probes.board import Board
from probes.history import History, Metric, Point, SeriesKey
from probes.model import DeploymentId, Interest, LogLine, Snapshot, TargetId, TargetState, Value
from probes.target import Options, Target
from probes.targets import open_target

T = TypeVar("T")

QUIET_SECONDS = 0.25
"""Reports are at least this far apart: a flood of changes costs four judgements a second."""
TICK_SECONDS = 5.0
"""Without any change the board is judged again this often: some findings close by time alone."""
CLOSE_SECONDS = 10.0
"""How long closing waits for targets to let go."""


class Session:
    """Opened targets, their board and the fold over it."""

    def __init__(
        self,
        names: Sequence[str],
        config: Config,
        *,
        read_only: bool = False,
        unknown: bool = False,
        makers: Sequence[Callable[[Options], Target]] = (),
    ) -> None:
        """Opens targets by name, and those that ``makers`` make; contacts nothing.

        Raises :class:`probes.targets.UnknownTarget`.
        """
        self.read_only = read_only or config.read_only
        options = Options(
            patterns=catalogue.patterns(),
            read_only=self.read_only,
            interval_seconds=config.interval_seconds,
            lookback=config.lookback_time,
            unknown=unknown,
        )
        named = (_open(name, options, config) for name in dict.fromkeys(names))
        targets = [*(make(options) for make in makers), *named]
        self._targets: dict[TargetId, Target] = {target.id: target for target in targets}
        self.read_only_targets = frozenset(t for t in self._targets if self.read_only or config.is_read_only(t))
        self._board = Board(self._published)
        self._history = History()
        self._tracker = Tracker(tuple(catalogue.signatures().values()), window=options.lookback)
        self.repairs = Repairs(self._targets, self._tracker, self._history, lambda: self.report)
        self._interest = Interest()
        self._listeners: list[Callable[[Report], None]] = []
        self._began = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fastops-session", daemon=True)
        self._main: asyncio.Task[None] | None = None
        self.report = Report(snapshot=Snapshot(taken_at=datetime.now(UTC), targets={}))

    # What a front end asks for.

    @property
    def targets(self) -> tuple[TargetId, ...]:
        """The opened targets."""
        return tuple(self._targets)

    def start(self) -> None:
        """Starts the session's thread; targets connect and publish from now on."""
        self._began = time.monotonic()
        self._thread.start()

    def close(self) -> None:
        """Ends everything; waits for :data:`CLOSE_SECONDS` at most."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(CLOSE_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def subscribe(self, listener: Callable[[Report], None]) -> Callable[[], None]:
        """Calls the listener with each new report until the returned function is called."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return unsubscribe

    def focus(self, interest: Interest) -> None:
        """Says what is looked at; what is in trouble is added from the report."""
        self._soon(self._focus, interest)

    def lines(self, deployment: DeploymentId, after: int = 0) -> Sequence[LogLine]:
        """The kept tail of a deployment's log, numbers above ``after``."""
        target = self._target_of(deployment)
        return () if target is None else self._call(_now(target.lines, deployment, after)).result(5)

    def series(self, deployment: DeploymentId, metric: Metric, since: float = 0.0) -> Mapping[str, Sequence[Point]]:
        """The series of one metric by label, from ``since`` (seconds since the epoch) on."""

        def read() -> Mapping[str, Sequence[Point]]:
            labels = self._history.labels(deployment, metric)
            return {label: self._history.series(SeriesKey(deployment, metric, label), since) for label in labels}

        return self._call(_now(read)).result(5)

    def plan(
        self,
        deployment: DeploymentId,
        signature: SignatureId,
        remedy: RemedyId | None = None,
        values: Mapping[str, Value] | None = None,
    ) -> Future[Plan]:
        """Drafts a fix; changes nothing. The future raises :class:`Refused` or :class:`Unreadable`."""
        return self._call(self.repairs.plan(deployment, signature, remedy, values or {}))

    def profile(self, deployment: DeploymentId) -> Future[Advice]:
        """Samples the stacks of a deployment's workers; changes nothing."""
        return self._call(self.repairs.profile(deployment))

    def apply(self, plan: Plan, confirm: str | None = None, progress: Progress = lambda _: None) -> Future[Outcome]:
        """Applies a plan, journals it and verifies it over a window."""
        return self._call(self.repairs.apply(plan, confirm, progress))

    def undo_preview(self, change: ChangeId | None = None) -> Future[Plan]:
        """What an undo would do; the latest undoable change when none is named."""
        return self._call(self.repairs.undo_preview(change))

    def undo(self, change: ChangeId | None = None, progress: Progress = lambda _: None) -> Future[Outcome]:
        """Takes a change back."""
        return self._call(self.repairs.undo(change, progress))

    def resume(self, change: ChangeId, finish: bool, progress: Progress = lambda _: None) -> Future[Outcome]:
        """Finishes an interrupted change, or takes back what it left."""
        return self._call(self.repairs.resume(change, finish, progress))

    def history(self) -> tuple[Entry, ...]:
        """The journal, newest first."""
        return self.repairs.entries()

    def pending(self) -> tuple[Entry, ...]:
        """The interrupted changes."""
        return self.repairs.pending()

    def wait(self, deadline_seconds: float, enough: Callable[[Report], bool]) -> bool:
        """Blocks until a report is enough, or the deadline has passed (then ``False``)."""
        found = threading.Event()

        def look(report: Report) -> None:
            if enough(report):
                found.set()

        stop = self.subscribe(look)
        try:
            look(self.report)
            return found.wait(deadline_seconds)
        finally:
            stop()

    # The session's own thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._main = self._loop.create_task(self._serve())
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._main)
            rest = asyncio.all_tasks(self._loop)
            for task in rest:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        """Runs the targets and judges the board until cancelled."""
        runs = [asyncio.create_task(target.run(self._board.publish)) for target in self._targets.values()]
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), TICK_SECONDS)
                self._changed.clear()
                self._judge()
                await asyncio.sleep(QUIET_SECONDS)
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
            await asyncio.gather(*(t.close() for t in self._targets.values()), return_exceptions=True)

    def _published(self, state: TargetState) -> None:
        self._history.record(state)
        self._changed.set()

    def _judge(self) -> None:
        """One step of the fold; tells listeners."""
        now = datetime.now(UTC)
        report = self._tracker.advance(self._board.snapshot(), self._history, now)
        self.report = msgspec.structs.replace(
            report,
            observed_seconds=round(time.monotonic() - self._began, 1),
            pending=tuple(entry.id for entry in self.repairs.pending()),
        )
        self._focus(self._interest)
        for listener in tuple(self._listeners):
            listener(self.report)

    def _focus(self, interest: Interest) -> None:
        """Passes interest to the targets, with the deployments in trouble added."""
        troubled = frozenset(d for d, found in self.report.findings.items() if found and found[0].severity != "info")
        self._interest = msgspec.structs.replace(interest, troubled=troubled)
        for target in self._targets.values():
            target.focus(self._interest)

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    def _target_of(self, deployment: DeploymentId) -> Target | None:
        return next((t for i, t in self._targets.items() if deployment.startswith(f"{i}/")), None)

    def _soon(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to be told
            self._loop.call_soon_threadsafe(function, *arguments)

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


def _open(name: str, options: Options, config: Config) -> Target:
    """Opens one target, read-only where the configuration says so of its name or its id."""
    target = open_target(name, options)
    if config.is_read_only(target.id) and not options.read_only:
        target = open_target(name, msgspec.structs.replace(options, read_only=True))
    return target


async def _now(function: Callable[..., T], *arguments: Any) -> T:
    """Runs a plain function on the session's loop."""
    return function(*arguments)
