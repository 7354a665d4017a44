"""What all screens share: the report that they show, what may be changed, the bars at the top and the bottom."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

from fixes.model import Report
from probes.base import DeploymentId
from probes.model import Snapshot
from screens import messages, words
from screens.mode import Mode
from screens.widgets.keybar import KeyBar
from screens.widgets.statusbar import StatusBar

EMPTY = Report(snapshot=Snapshot(taken_at=datetime(1970, 1, 1, tzinfo=UTC), targets={}))
"""The report before the first one: nothing is known."""

CHANGING = frozenset({"fix", "undo", "apply", "resume", "take_back"})
"""The actions that change something, or lead to it: in read-only mode they do not exist."""

ASKING = frozenset({"profile"})
"""The actions that ask what runs: what was recorded cannot be asked."""


class OpsScreen(Screen[None]):
    """A full screen of the console. It holds no client: what it wants it says in messages."""

    AUTO_FOCUS: ClassVar[str | None] = None
    JOURNAL: ClassVar[bool] = False
    """Whether it shows the journal."""
    DEFAULT_CSS = """
    OpsScreen.-production { border: heavy $production; }
    OpsScreen.-replay { border: heavy $replay; border-title-color: $replay; border-subtitle-color: $replay; }
    """

    # What shows something of it is told: a repaint of the whole screen at each report would be for nothing.
    report: reactive[Report] = reactive(EMPTY, init=False, always_update=False, repaint=False)
    mode: reactive[Mode] = reactive(Mode(), init=False)

    def __init__(self, report: Report = EMPTY, mode: Mode | None = None) -> None:
        super().__init__()
        self.set_reactive(OpsScreen.report, report)
        self.set_reactive(OpsScreen.mode, mode or Mode())

    def compose(self) -> ComposeResult:
        """The bars, and the screen's own body between them."""
        self.show_frame()
        yield StatusBar(self.report, self.mode)
        yield from self.body()
        yield KeyBar()

    def body(self) -> Iterable[Widget]:
        """What stands between the bars."""
        raise NotImplementedError

    def about(self) -> DeploymentId | None:
        """The one deployment that the screen is about, if it is about one: production's frame stands around it."""
        return self.subject()

    @property
    def alive(self) -> bool:
        """Whether an answer can still be shown here: the screen was not left."""
        return self in self.app.screen_stack

    def on_screen_resume(self) -> None:
        """A screen that was covered missed some reports."""
        self.post_message(messages.Uncovered())

    def subject(self) -> DeploymentId | None:
        """The deployment that a key would act upon."""
        return None

    def watch_report(self, before: Report, report: Report) -> None:
        """Draws what differs in a new report."""
        if self.is_mounted:
            if report.snapshot.taken_at < before.snapshot.taken_at:
                self.turn_back()
            self.query_one(StatusBar).show(self.report, self.mode)
            self.show_report()

    def show_report(self) -> None:
        """Draws the body again where it differs."""

    def turn_back(self) -> None:
        """The report is from before the last one: what a screen keeps of later times is not known yet."""

    def show_frame(self) -> None:
        """Production looks different, and so does what is over."""
        self.set_class(self.mode.frames(self.about()), "-production")
        replay = self.mode.replay
        self.set_class(replay is not None, "-replay")
        if replay is not None:
            self.border_title = f"REPLAY {replay.at:%Y-%m-%d %H:%M:%S} UTC"
            self.border_subtitle = words.played(replay)

    def watch_mode(self) -> None:
        """Shows what may be done now."""
        if self.is_mounted:
            self.show_frame()
            self.query_one(StatusBar).show(self.report, self.mode)
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides what would change something where nothing may be changed."""
        if action in CHANGING and not self.mode.writable(self.subject()):
            return False
        if action in ASKING and self.mode.replay is not None:
            return False
        return super().check_action(action, parameters)
