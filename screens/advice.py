"""Text to read and code to copy: what a profile shows, what a signature means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from fixes import catalogue
from fixes.model import Advice, Report, SignatureId
from probes.base import DeploymentId
from screens import messages, verdict
from screens.base import OpsScreen
from screens.messages import Problem
from screens.mode import Mode


class ProfileScreen(OpsScreen):
    """Where a deployment's workers spend their time."""

    DEFAULT_CSS = """
    ProfileScreen > VerticalScroll {
        height: 1fr; border: round $line; border-title-color: $foreground; padding: 0 1; scrollbar-size-vertical: 1;
    }
    ProfileScreen > VerticalScroll:focus { border: round $accent; }
    ProfileScreen #advice { height: auto; }
    """
    AUTO_FOCUS = "VerticalScroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p,r", "again", "sample again", id="profile"),
        Binding("y", "copy", "copy", id="copy"),
        Binding("escape", "back", "back", id="back"),
    ]

    def __init__(self, deployment: DeploymentId, report: Report, mode: Mode) -> None:
        super().__init__(report, mode)
        self._deployment = deployment
        self._advice: Advice | None = None
        self._waiting = False

    def body(self) -> Iterable[Widget]:
        """One pane."""
        box = VerticalScroll(Static(id="advice"), can_focus=True)
        box.border_title = Content(f"profile of {self._deployment}")  # never markup
        yield box

    def subject(self) -> DeploymentId | None:
        """The deployment that is sampled."""
        return self._deployment

    def on_mount(self) -> None:
        """Samples at once."""
        self.action_again()

    def action_again(self) -> None:
        """Samples the stacks; nothing is stopped for it."""
        if not self._waiting:
            self._waiting = True
            self.query_one("#advice", Static).update(Text("sampling the stacks of the workers …", "dim"))
            self.post_message(messages.ProfileWanted(self._deployment, self._take))

    def _take(self, advice: Advice | Problem) -> None:
        self._waiting = False
        if not self.alive:
            return
        if isinstance(advice, Problem):
            self.query_one("#advice", Static).update(Text(advice.text, "yellow"))
            return
        self._advice = advice
        self._draw()

    def on_resize(self) -> None:
        """The code is made for the width."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if self._advice is None or self._waiting:
            return
        text = Text(end="")
        text.append(f"{self._advice.title}\n\n", "bold")
        width = self.query_one(VerticalScroll).scrollable_content_region.width
        text.append_text(verdict.advice(self._advice, width))
        self.query_one("#advice", Static).update(text)

    def action_copy(self) -> None:
        """The code, or the text where there is none."""
        if self._advice is not None:
            self.post_message(messages.Copied(self._advice.code or self._advice.text, "the profile"))

    def action_back(self) -> None:
        """Back."""
        self.app.pop_screen()


class SignatureScreen(ModalScreen[None]):
    """The documentation of a signature."""

    DEFAULT_CSS = """
    SignatureScreen { align: center middle; }
    SignatureScreen > VerticalScroll {
        width: 100; max-width: 96%; height: auto; max-height: 90%;
        padding: 1 2; border: round $line; border-title-color: $foreground;
        background: $panel; scrollbar-size-vertical: 1;
    }
    SignatureScreen Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "close", "close")]

    def __init__(self, signature: SignatureId) -> None:
        super().__init__()
        self._signature = signature

    def compose(self) -> ComposeResult:
        """The page."""
        with VerticalScroll() as box:
            box.border_title = self._signature
            yield Static(Text(catalogue.documentation("signatures", self._signature)))

    def action_close(self) -> None:
        """Back."""
        self.dismiss()
