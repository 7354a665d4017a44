"""The Textual App: it wires. Reports come in from the session, wishes come up from the screens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.reactive import reactive

import screens
from console.changes import Working
from console.exits import DEFECT, USAGE
from console.seam import SessionLike
from console.wishes import Wishes
from fixes.model import Report
from probes.model import Snapshot
from screens import messages
from screens.base import OpsScreen
from screens.fleet import FleetScreen
from screens.messages import Problem
from screens.mode import Databases, Mode
from screens.theme import PALETTE, PLAIN, RICH, VARIABLES
from screens.turns import Turns

if TYPE_CHECKING:
    from textual.command import Provider


def _palette() -> type[Provider]:
    """The commands of the palette; the module is loaded when it is first opened."""
    from screens.palette import OpsProvider

    return OpsProvider


class FastopsApp(Wishes, Turns):
    """The console on one session. It starts and closes the session; ``keymap`` maps ids of bindings to keys."""

    TITLE = "fastops"
    CSS_PATH = Path(screens.__file__).parent / "fleet.tcss"  # the default screen's own sheet is not looked for
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_palette}
    ENABLE_COMMAND_PALETTE = True
    NOTIFICATION_TIMEOUT = 6
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "pause", id="pause"),
        Binding("h", "history", "history", id="history"),
        Binding("ctrl+p", "command_palette", "palette", show=False, id="palette", priority=True),
        Binding("question_mark", "help", "help", key_display="?", id="help"),
        Binding("q", "quit", "quit", id="quit"),
        # Before whatever has the keys, and on no id: no configuration takes it away. Copying is on a key of its own.
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]

    report: reactive[Report] = reactive(
        Report(snapshot=Snapshot(taken_at=datetime(1970, 1, 1, tzinfo=UTC), targets={})),
        init=False,
        always_update=False,
        repaint=False,
    )

    def __init__(
        self,
        session: SessionLike,
        *,
        keymap: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(session)
        self._clock = clock
        self._paused_at: datetime | None = None
        self._databases: Databases = "allowed" if session.databases_allowed else "unanswered"
        self._latest: Report | None = None
        self._told = False
        self._warned: Working | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self.set_reactive(FastopsApp.report, session.report)
        self.ansi_theme_dark = PALETTE
        self.register_theme(RICH)
        self.register_theme(PLAIN)
        self.theme = "fastops-16" if self.console.color_system in ("standard", None) else "fastops"
        if keymap:
            self.set_keymap(dict(keymap))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that do not know them."""
        return VARIABLES

    def get_default_screen(self) -> FleetScreen:
        """The fleet."""
        return FleetScreen(self.report, self.mode())

    @property
    def now(self) -> datetime:
        """The time on this machine."""
        return self._clock()

    def mode(self) -> Mode:
        """What may be changed, and whether what is shown stands still."""
        return Mode(
            read_only=self._session.read_only,
            read_only_targets=self._session.read_only_targets,
            production=self._session.production,
            paused_at=self._paused_at,
            databases=self._databases,
        )

    # Reports

    def on_mount(self) -> None:
        """Begins to read: the session loads and connects in its own thread while the first screen is painted."""
        self._begin()

    def _begin(self) -> None:
        self._unsubscribe = self._session.subscribe(self._arrived)
        self._grant(self._session.start(), self._opened)
        self._grant(self._session.ended, self._session_ended)

    def _opened(self, answer: Problem | None) -> None:
        """Without targets there is nothing to show: the program ends with the reason."""
        if isinstance(answer, Problem):
            self.exit(return_code=USAGE, message=f"fastops: {answer.text}")

    def _session_ended(self, answer: Problem | None) -> None:
        """A console that shows the last report for ever would be believed."""
        if isinstance(answer, Problem):
            self.exit(return_code=DEFECT, message=f"fastops: {answer.text}")

    def _arrived(self, report: Report) -> None:
        """Called on the session's thread: only the newest report counts, one message is under way at most."""
        self._latest = report
        if not self._told:
            self._told = True
            self.call_later(self._take)

    def _take(self) -> None:
        self._told = False
        latest = self._latest
        if latest is not None and self._paused_at is None:
            self.report = latest

    def watch_report(self) -> None:
        """Hands the report to the screen that is seen."""
        self._hand(self.screen)

    def _hand(self, screen: object) -> None:
        if isinstance(screen, OpsScreen):
            screen.mode = self.mode()
            screen.report = self.report

    def on_unmount(self) -> None:
        """Leaves the session; it is closed by who made it or by the end of the program."""
        self._unsubscribe()

    async def action_quit(self) -> None:
        """Quits; while a change is under way only when asked again."""
        working = self._session.under_way
        if working is not None and working is not self._warned:
            self._warned = working
            self.notify(f"{working.says} Once more to leave.", severity="warning", markup=False, timeout=10)
            return
        self.exit()

    # Screens

    def on_deployment_opened(self, wish: messages.DeploymentOpened) -> None:
        """A deployment."""
        from screens.deployment import DeploymentScreen

        self.push_screen(DeploymentScreen(wish.deployment, self.report, self.mode(), wish.pane))

    def on_fix_opened(self, wish: messages.FixOpened) -> None:
        """An answer to a finding."""
        from screens.fix import FixScreen

        if self.mode().writable(wish.finding.deployment):
            self.push_screen(FixScreen(wish.finding, self.report, self.mode()))

    def on_undo_opened(self, wish: messages.UndoOpened) -> None:
        """Taking a change back."""
        from screens.undo import UndoScreen

        if not self._session.read_only:
            self.push_screen(UndoScreen(wish.change, self.report, self.mode()))

    def on_profile_opened(self, wish: messages.ProfileOpened) -> None:
        """Where a deployment's workers spend their time."""
        from screens.advice import ProfileScreen

        self.push_screen(ProfileScreen(wish.deployment, self.report, self.mode()))

    def on_signature_opened(self, wish: messages.SignatureOpened) -> None:
        """What a signature means."""
        from screens.advice import SignatureScreen

        self.push_screen(SignatureScreen(wish.signature))

    def on_databases_answered(self, answer: messages.DatabasesAnswered) -> None:
        """It holds for the session, and is kept nowhere."""
        self._databases = "allowed" if answer.allowed else "declined"
        if answer.allowed:
            self._session.allow_databases()
            self.notify("The databases are asked every ten seconds, in read-only sessions.", markup=False)
        self._hand(self.screen)

    def on_uncovered(self) -> None:
        """A screen that was covered missed some reports; at the end there is none any more."""
        if self.screen_stack:
            self._hand(self.screen)

    def action_help(self) -> None:
        """The keys that do something here."""
        from screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen.active_bindings))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The journal opens from every screen but itself."""
        if action == "history" and not (isinstance(self.screen, OpsScreen) and not self.screen.JOURNAL):
            return False
        return super().check_action(action, parameters)

    def action_history(self) -> None:
        """The journal."""
        from screens.history import HistoryScreen

        self.push_screen(HistoryScreen(self.report, self.mode()))

    def action_pause(self) -> None:
        """What is shown stands still, or catches up; reading never stops."""
        self._paused_at = None if self._paused_at else self.now
        self._hand(self.screen)
        self._take()
