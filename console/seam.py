"""What the application uses of a session, and how a session's failures read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

from console.changes import Working
from fixes.model import Advice, ChangeId, Entry, Outcome, Plan, RemedyId, Report, SignatureId
from probes.base import DeploymentId, TargetId, Value
from probes.history import Metric, Point
from probes.loghits import LogLine
from probes.model import Interest
from probes.target import ReadOnly, Refused, Unreadable


class SessionLike(Protocol):
    """What the application uses of a session; every method may be called from any thread.

    See :class:`console.session.Session` for what each does.
    """

    read_only: bool
    read_only_targets: frozenset[TargetId]
    production: frozenset[TargetId]

    @property
    def report(self) -> Report: ...  # noqa: D102
    @property
    def ended(self) -> Future[None]: ...  # noqa: D102
    @property
    def under_way(self) -> Working | None: ...  # noqa: D102
    @property
    def databases_allowed(self) -> bool: ...  # noqa: D102
    def allow_databases(self) -> None: ...  # noqa: D102
    def start(self) -> Future[None]: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
    def subscribe(self, listener: Callable[[Report], None]) -> Callable[[], None]: ...  # noqa: D102
    def focus(self, interest: Interest) -> None: ...  # noqa: D102
    def lines(self, deployment: DeploymentId, after: int = 0) -> Sequence[LogLine]: ...  # noqa: D102
    def series(self, deployment: DeploymentId, metric: Metric, since: float = 0.0) -> Mapping[str, Sequence[Point]]: ...  # noqa: D102
    def plan(  # noqa: D102
        self, deployment: DeploymentId, signature: SignatureId, remedy: RemedyId | None, values: Mapping[str, Value]
    ) -> Future[Plan]: ...
    def apply(self, plan: Plan, confirm: str | None, progress: Callable[[str], None]) -> Future[Outcome]: ...  # noqa: D102
    def profile(self, deployment: DeploymentId) -> Future[Advice]: ...  # noqa: D102
    def undo(self, change: ChangeId | None, progress: Callable[[str], None]) -> Future[Outcome]: ...  # noqa: D102
    def undo_preview(self, change: ChangeId | None) -> Future[Plan]: ...  # noqa: D102
    def resume(self, change: ChangeId, finish: bool, progress: Callable[[str], None]) -> Future[Outcome]: ...  # noqa: D102
    def history(self) -> tuple[Entry, ...]: ...  # noqa: D102
    def pending(self) -> tuple[Entry, ...]: ...  # noqa: D102


def sentence(problem: Exception) -> str:
    """One sentence for people: what failed, why, what next."""
    if isinstance(problem, Unreadable):
        failure = problem.failure
        return f"{failure.what}: {failure.why}" + (f" – {failure.hint}" if failure.hint else "")
    if isinstance(problem, ReadOnly):
        return str(problem) or "This is a read-only session: nothing is changed."
    if isinstance(problem, Refused):
        return str(problem)
    if isinstance(problem, TimeoutError):
        return "There was no answer in time; try again, or look at the target's link in the first line."
    return f"This is a defect of fastops: {type(problem).__name__}: {problem}"
