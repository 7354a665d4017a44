"""Wishes: what a screen asks of the application. State flows down, wishes flow up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from textual.message import Message

from fixes.model import Advice, ChangeId, Entry, Finding, Outcome, Plan, RemedyId, SignatureId
from probes.base import DeploymentId, Value
from probes.history import Metric, Point
from probes.loghits import LogLine
from probes.model import Interest


@dataclass(frozen=True)
class Problem:
    """Why a wish was not granted, as one sentence."""

    text: str
    outdated: bool = False
    """What was planned is not what is there any more; nothing was begun."""


@dataclass
class DeploymentOpened(Message):
    """A deployment is to be shown, by one of its panes."""

    deployment: DeploymentId
    pane: str | None = None


@dataclass
class FixOpened(Message):
    """A finding is to be answered."""

    finding: Finding


@dataclass
class UndoOpened(Message):
    """A change is to be taken back; ``None`` is the latest."""

    change: ChangeId | None = None


@dataclass
class DatabasesAnswered(Message):
    """Whether the deployments' databases may be asked with the deployments' own credentials."""

    allowed: bool


class Uncovered(Message):
    """A screen is seen again and wants the newest report."""


@dataclass
class Looked(Message):
    """What is on the screen: it is read first."""

    interest: Interest


@dataclass
class Copied(Message):
    """A text for the clipboard (OSC 52)."""

    text: str
    what: str


@dataclass
class PlanWanted(Message):
    """A plan for a remedy with these values; nothing is changed by it."""

    finding: Finding
    remedy: RemedyId | None
    values: Mapping[str, Value]
    reply: Callable[[Plan | Problem], None] = field(repr=False)


@dataclass
class ApplyWanted(Message):
    """A plan that a person said yes to."""

    plan: Plan
    confirm: str | None
    progress: Callable[[str], None] = field(repr=False)
    reply: Callable[[Outcome | Problem], None] = field(repr=False)


@dataclass
class UndoPlanWanted(Message):
    """What an undo would do."""

    change: ChangeId | None
    reply: Callable[[Plan | Problem], None] = field(repr=False)


@dataclass
class UndoWanted(Message):
    """An undo that a person said yes to."""

    change: ChangeId | None
    progress: Callable[[str], None] = field(repr=False)
    reply: Callable[[Outcome | Problem], None] = field(repr=False)


@dataclass
class ResumeWanted(Message):
    """An interrupted change is to be finished, or taken back."""

    change: ChangeId
    finish: bool
    progress: Callable[[str], None] = field(repr=False)
    reply: Callable[[Outcome | Problem], None] = field(repr=False)


@dataclass
class ProfileWanted(Message):
    """Where a deployment's workers spend their time."""

    deployment: DeploymentId
    reply: Callable[[Advice | Problem], None] = field(repr=False)


@dataclass
class ProfileOpened(Message):
    """The profile of a deployment is to be shown."""

    deployment: DeploymentId


@dataclass
class SignatureOpened(Message):
    """The documentation of a signature is to be shown."""

    signature: SignatureId


@dataclass
class LinesWanted(Message):
    """The kept log lines of a deployment, numbers above ``after``."""

    deployment: DeploymentId
    after: int
    reply: Callable[[Sequence[LogLine] | Problem], None] = field(repr=False)


@dataclass
class SeriesWanted(Message):
    """The series of several metrics: by metric, then by label."""

    deployment: DeploymentId
    metrics: Sequence[Metric]
    reply: Callable[[Mapping[Metric, Mapping[str, Sequence[Point]]] | Problem], None] = field(repr=False)


@dataclass
class HistoryWanted(Message):
    """The journal, the newest change first."""

    reply: Callable[[tuple[Entry, ...] | Problem], None] = field(repr=False)
