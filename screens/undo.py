"""Taking a change back: the diff turned round, a question, and how it ended."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text

from fixes.model import ChangeId, Outcome, Plan, Report
from screens import messages
from screens.change import ChangeScreen
from screens.messages import Problem
from screens.mode import Mode


class UndoScreen(ChangeScreen):
    """One change of the journal; the latest where none is named."""

    VERB: ClassVar[str] = "Undo"
    can_undo: ClassVar[bool] = False

    def __init__(self, change: ChangeId | None, report: Report, mode: Mode) -> None:
        super().__init__(report, mode)
        self._change = change

    def what(self) -> Text:
        """Which change."""
        text = Text(end="")
        text.append("undo ", "dim")
        text.append(self._change or "the latest change", "bold")
        return text

    def request(self) -> None:
        """Asks what an undo would do."""
        asked = self.waiting("reading the journal …")
        self.post_message(messages.UndoPlanWanted(self._change, lambda plan: self.take_plan(asked, plan)))

    def perform(self, plan: Plan, confirm: str | None) -> None:  # noqa: ARG002 - an undo asks for no name
        """Has it taken back."""
        self.post_message(messages.UndoWanted(plan.id, self.show_progress, self.take_outcome))

    def take_outcome(self, outcome: Outcome | Problem) -> None:
        """Says what became of it, also to the screens below that still show the change."""
        super().take_outcome(outcome)
        for screen in self.app.screen_stack:
            if isinstance(screen, ChangeScreen):
                screen.look_again()
