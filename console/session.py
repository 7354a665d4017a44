"""The session: all that a front end talks to, with a screen or without one.

Its event loop runs in a thread of its own, so that no target can freeze a screen and no drawing delays a measurement.
Every public method may be called from any thread; listeners are called on the session's thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

from console import heap, pace
from console.changes import Changes, Working, applying, taking_back
from console.config import Config, Maker, Wanted
from console.judging import Judging
from console.listeners import Listener
from console.loop import LoopThread, within
from console.receiving import receive
from console.supervise import supervise
from console.wanted_databases import NONE, Allowed, Databases
from fixes.model import Advice, ChangeId, Entry, Outcome, Plan, RemedyId, Report, SignatureId
from fixes.run import BACK_SECONDS
from probes.base import DeploymentId, TargetId, Value, target_of
from probes.history import Metric, Point
from probes.loghits import LogLine
from probes.model import Interest
from probes.target import Refused, Target

if TYPE_CHECKING:
    from console.repairs import Repairs
    from fixes.track import Tracker

T = TypeVar("T")

Progress = Callable[[str], None]

TICK_SECONDS = 5.0
"""Without any change the board is judged again this often: some findings close by time alone."""
OPEN_SECONDS = 30.0
"""How long a caller waits for the targets to be opened: imports alone, nothing is contacted."""
CLOSE_SECONDS = 10.0
"""How long closing waits for targets to let go; before that, changes that are worked on come to their end."""


class Session:
    """Opened targets, their board and the fold over it."""

    def __init__(
        self,
        names: Sequence[str],
        config: Config,
        *,
        read_only: bool | None = None,
        unknown: bool = False,
        execute: bool = False,
        namespace: str | None = None,
        makers: Sequence[Maker] = (),
        databases: Databases = NONE,
    ) -> None:
        """Takes what is to be opened: targets by name, and those that ``makers`` make. :meth:`start` opens them.

        ``read_only``: ``None`` is as configured; ``False`` lets production be changed that is read-only by being
        production alone.
        """
        self.read_only = read_only is True or config.read_only
        self.read_only_targets: frozenset[TargetId] = frozenset()
        self.production: frozenset[TargetId] = frozenset()
        self._wanted = Wanted(
            tuple(dict.fromkeys(names)),
            tuple(makers),
            config,
            self.read_only,
            unknown,
            lifted=read_only is False,
            execute=execute,
            namespace=namespace,
        )
        self.databases = Allowed(databases)
        self._targets: dict[TargetId, Target] = {}
        self._loop = LoopThread(self._serve, self._last)
        self.ended = self._loop.ended
        """Done when the session has ended; with the exception where that was a defect."""
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._judging = Judging(self._changed.set)
        self._opened: Future[None] = Future()
        self._opened.set_running_or_notify_cancel()  # a caller may stop waiting for it, and cancels nothing by that
        self._changes = Changes()
        self._closed = False
        self._tracker: Tracker
        self._repairs: Repairs

    # What a front end asks for.

    @property
    def databases_allowed(self) -> bool:
        """Whether any database server may be asked."""
        return bool(self.databases.wanted)

    def allow_databases(self) -> None:
        """From now on the deployments' own credentials are used, to read; nothing of that outlives the session."""
        self._loop.soon(self.databases.own)

    @property
    def report(self) -> Report:
        """The latest report."""
        return self._judging.report

    @property
    def targets(self) -> tuple[TargetId, ...]:
        """The opened targets."""
        return tuple(self._targets)

    def start(self) -> Future[None]:
        """Starts the session's thread, which opens the targets; they connect and publish from then on.

        The future is done when they are opened; it raises :class:`probes.targets.UnknownTarget` for a name that is
        none. Nothing heavy is imported before this, so that a screen can be drawn first.
        """
        self._judging.begin()
        self._loop.start()
        return self._opened

    @property
    def under_way(self) -> Working | None:
        """A change that is worked on, and what leaving does to it."""
        return self._changes.under_way

    def close(self) -> None:
        """Ends everything: first the changes that are worked on, with the targets still open, then the targets.

        Waits for both, :data:`fixes.run.BACK_SECONDS` and :data:`CLOSE_SECONDS` at most. Whoever interrupts the
        waiting is not kept by a second call; what is then left half done stands in the journal.
        """
        if self._closed or not self._loop.alive:
            return
        self._closed = True
        self._loop.soon(self._end)
        self._changes.settled.wait(BACK_SECONDS)
        self._loop.join(CLOSE_SECONDS)

    def __enter__(self) -> Self:
        self.start().result()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener with each new report until the returned function is called."""
        return self._judging.subscribe(listener)

    def focus(self, interest: Interest) -> None:
        """Says what is looked at; what is in trouble is added from the report."""
        self._loop.soon(self._focus, interest)

    def lines(self, deployment: DeploymentId, after: int = 0) -> Sequence[LogLine]:
        """The kept tail of a deployment's log, numbers above ``after``."""
        target = self._target_of(deployment)
        return () if target is None else self._loop.now(target.lines, deployment, after).result(5)

    def series(self, deployment: DeploymentId, metric: Metric, since: float = 0.0) -> Mapping[str, Sequence[Point]]:
        """The series of one metric by label, from ``since`` (seconds since the epoch) on."""
        return self._loop.now(self._judging.series, deployment, metric, since).result(5)

    def plan(
        self,
        deployment: DeploymentId,
        signature: SignatureId,
        remedy: RemedyId | None = None,
        values: Mapping[str, Value] | None = None,
    ) -> Future[Plan]:
        """Drafts a fix; changes nothing. The future raises :class:`Refused` or :class:`Unreadable`."""
        return self._loop.call(self._repairs.plan(deployment, signature, remedy, values or {}))

    def profile(self, deployment: DeploymentId) -> Future[Advice]:
        """Samples the stacks of a deployment's workers; changes nothing."""
        return self._loop.call(self._repairs.profile(deployment))

    def apply(self, plan: Plan, confirm: str | None = None, progress: Progress = lambda _: None) -> Future[Outcome]:
        """Applies a plan, journals it and verifies it over a window."""
        return self._change(applying(plan.id), lambda: self._repairs.apply(plan, confirm, progress))

    def undo_preview(self, change: ChangeId | None = None) -> Future[Plan]:
        """What an undo would do; the latest undoable change when none is named."""
        return self._loop.call(self._repairs.undo_preview(change))

    def undo(self, change: ChangeId | None = None, progress: Progress = lambda _: None) -> Future[Outcome]:
        """Takes a change back."""
        return self._change(taking_back(change), lambda: self._repairs.undo(change, progress))

    def resume(self, change: ChangeId, finish: bool, progress: Progress = lambda _: None) -> Future[Outcome]:
        """Finishes an interrupted change, or takes back what it left."""
        working = applying(change) if finish else taking_back(change)
        return self._change(working, lambda: self._repairs.resume(change, finish, progress))

    def history(self) -> tuple[Entry, ...]:
        """The journal, newest first."""
        self._opened.result(OPEN_SECONDS)
        return self._repairs.entries()

    def pending(self) -> tuple[Entry, ...]:
        """The interrupted changes."""
        self._opened.result(OPEN_SECONDS)
        return self._repairs.pending()

    def wait(self, deadline_seconds: float, enough: Callable[[Report], bool]) -> bool:
        """Blocks until a report is enough or the deadline has passed (``False``); raises what ended the session."""
        found = threading.Event()

        def look(report: Report) -> None:
            if enough(report):
                found.set()

        stop = self.subscribe(look)
        self.ended.add_done_callback(lambda _: found.set())
        try:
            look(self.report)
            return found.wait(deadline_seconds)
        finally:
            stop()
            if self.ended.done():
                self.ended.result()

    # The session's own thread.

    def _last(self) -> None:
        """The loop has ended: no change is worked on, and no target will be opened."""
        self._changes.settled.set()
        if not self._opened.done():
            self._opened.set_exception(Refused("The session ended before its targets were opened."))

    async def _serve(self) -> None:
        """Opens the targets, runs them and judges the board until the session is closed."""
        try:
            self._open()
        except BaseException as error:  # noqa: BLE001 -- whoever waits for the session is told, whatever it was
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        runs = [
            asyncio.create_task(supervise(t, self._judging.board, self._judging.defects))
            for t in self._targets.values()
        ]
        runs.append(asyncio.create_task(self.databases.watch(self._targets, self._judging)))
        runs.append(asyncio.create_task(receive(self._wanted.config.telemetry, self._targets, self._judging)))
        try:
            while not self._closing.is_set():
                await within(TICK_SECONDS, self._changed)
                self._changed.clear()
                self._judge()
                await within(pace.pause_seconds(self.report, settled=self._judging.settled()), self._closing)
        finally:
            await self._changes.end()  # while the targets are open and run: taking back needs both
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
            await asyncio.gather(*(t.close() for t in self._targets.values()), return_exceptions=True)

    def _open(self) -> None:
        """Opens the targets; contacts nothing."""
        from console.opening import open_all

        judging = self._judging
        opened = open_all(self._wanted, judging.history, lambda: self.report, lambda: judging.listens)
        self._targets, self.read_only_targets, self.production = opened.targets, opened.read_only, opened.production
        self._tracker, self._repairs = opened.tracker, opened.repairs
        heap.begin()

    def _judge(self) -> None:
        """One step of the fold; what is in trouble is read first from then on."""
        self._judging.judge(self._tracker, lambda: (entry.id for entry in self._repairs.pending()))
        self._focus(None)

    def _focus(self, looked_at: Interest | None) -> None:
        """Passes interest to the targets."""
        interest = self._judging.interest(looked_at, self._repairs.verifying())
        for target in self._targets.values():
            target.focus(interest)

    def _end(self) -> None:
        """No cancellation: what is taken back at the end would meet it."""
        self._closing.set()
        self._changed.set()

    def _target_of(self, deployment: DeploymentId) -> Target | None:
        return self._targets.get(target_of(deployment))

    def _change(self, working: Working, begin: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        return self._loop.call(self._changes.work(working, begin))
