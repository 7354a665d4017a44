"""What screens wish of a session, granted: each answer comes when its future is done, and nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeVar

from textual.app import App

from console.seam import SessionLike, sentence
from probes.history import Metric, Point
from probes.target import Outdated
from screens import messages
from screens.messages import Problem
from screens.mode import Mode

T = TypeVar("T")


class Wishes(App[None]):
    """An App that hands its screens' wishes to ``session``. What is read-only is not changed, whoever asks."""

    def __init__(self, session: SessionLike) -> None:
        super().__init__()
        self._session = session
        self._wishes: set[asyncio.Task[None]] = set()

    def mode(self) -> Mode:
        """What may be changed."""
        raise NotImplementedError

    def _grant(self, future: Future[T], reply: Callable[[T | Problem], None]) -> None:
        """Answers a wish when its future is done; nobody waits."""
        self._answer(asyncio.wrap_future(future), reply)

    def _read(self, read: Callable[[], T], reply: Callable[[T | Problem], None]) -> None:
        """Reads from the session in a thread: a busy session never holds up a key."""
        self._answer(asyncio.to_thread(read), reply)

    def _answer(self, coming: Awaitable[T], reply: Callable[[T | Problem], None]) -> None:
        async def wait() -> None:
            answer: T | Problem
            try:
                answer = await coming
            except asyncio.CancelledError:
                raise
            except Exception as problem:  # noqa: BLE001 - whatever it was, it becomes a sentence
                answer = Problem(sentence(problem), outdated=isinstance(problem, Outdated))
            reply(answer)

        task = asyncio.create_task(wait())
        self._wishes.add(task)
        task.add_done_callback(self._wishes.discard)

    def _from_thread(self, show: Callable[[str], None]) -> Callable[[str], None]:
        """A progress callback for the session's thread."""

        def told(text: str) -> None:
            self.call_later(show, text)

        return told

    def on_plan_wanted(self, wish: messages.PlanWanted) -> None:
        """Drafts a plan."""
        finding = wish.finding
        self._grant(self._session.plan(finding.deployment, finding.signature, wish.remedy, wish.values), wish.reply)

    def on_apply_wanted(self, wish: messages.ApplyWanted) -> None:
        """Applies a plan."""
        if self.mode().writable(wish.plan.deployment):
            self._grant(self._session.apply(wish.plan, wish.confirm, self._from_thread(wish.progress)), wish.reply)

    def on_undo_plan_wanted(self, wish: messages.UndoPlanWanted) -> None:
        """Drafts an undo."""
        self._grant(self._session.undo_preview(wish.change), wish.reply)

    def on_undo_wanted(self, wish: messages.UndoWanted) -> None:
        """Takes a change back."""
        if not self._session.read_only:
            self._grant(self._session.undo(wish.change, self._from_thread(wish.progress)), wish.reply)

    def on_resume_wanted(self, wish: messages.ResumeWanted) -> None:
        """Finishes an interrupted change, or takes it back."""
        if not self._session.read_only:
            future = self._session.resume(wish.change, wish.finish, self._from_thread(wish.progress))
            self._grant(future, wish.reply)

    def on_profile_wanted(self, wish: messages.ProfileWanted) -> None:
        """Samples stacks."""
        self._grant(self._session.profile(wish.deployment), wish.reply)

    def on_lines_wanted(self, wish: messages.LinesWanted) -> None:
        """Reads the kept log."""
        self._read(lambda: self._session.lines(wish.deployment, wish.after), wish.reply)

    def on_series_wanted(self, wish: messages.SeriesWanted) -> None:
        """Reads the numbers behind the plots."""

        def read() -> Mapping[Metric, Mapping[str, Sequence[Point]]]:
            return {metric: self._session.series(wish.deployment, metric) for metric in wish.metrics}

        self._read(read, wish.reply)

    def on_history_wanted(self, wish: messages.HistoryWanted) -> None:
        """Reads the journal."""
        self._read(self._session.history, wish.reply)

    def on_looked(self, wish: messages.Looked) -> None:
        """What is looked at is read first."""
        self._session.focus(wish.interest)

    def on_copied(self, wish: messages.Copied) -> None:
        """Copies, also through SSH and tmux where the terminal allows it."""
        self.copy_to_clipboard(wish.text)
        self.notify(f"Copied: {wish.what}", markup=False, timeout=2)
