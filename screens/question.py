"""One question that is answered with yes or no."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

from screens import hints
from screens.turns import Asked


class QuestionScreen(ModalScreen[bool]):
    """Answers ``True`` for yes; no is what every other way out means."""

    DEFAULT_CSS = """
    QuestionScreen { align: center middle; }
    QuestionScreen > Static {
        width: 70; max-width: 90%; height: auto; padding: 1 2; border: round $warning; background: $panel;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="yes"),
        Binding("n", "answer(False)", "no", id="no"),
        Binding("escape,q", "answer(False)", "no", show=False),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self._asked = Asked(self)

    def on_mount(self) -> None:
        """The question is put, with its keys as they are bound."""
        text = Text(f"{self._text}\n\n", end="")
        for answer in ("yes", "no"):
            text.append(hints.key(self, answer), "bold cyan")
            text.append(f" {answer}   ")
        self.query_one(Static).update(text)
        self._asked.again()

    def compose(self) -> ComposeResult:
        """The question."""
        yield Static()

    def action_answer(self, yes: bool) -> None:
        """Closes with the answer."""
        if not yes or self._asked.answered():
            self.dismiss(yes)
