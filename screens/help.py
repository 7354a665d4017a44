"""The keys that do something on the screen below, made from its bindings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from screens import words

_NOTES = """\
Times are UTC. Memory is the working set. CPU is in cores.
P95 is of the users' requests where a source tells of them, else of fastops' own.
Keys can be changed in the configuration file."""


class HelpScreen(ModalScreen[None]):
    """Keys and signs."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 90%;
        padding: 0 2; border: round $line; border-title-color: $foreground;
        background: $panel; scrollbar-size-vertical: 1;
    }
    HelpScreen Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "close", "close"),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(self, bindings: Mapping[str, ActiveBinding]) -> None:
        super().__init__()
        self._keys = bindings

    def compose(self) -> ComposeResult:
        """Two columns of keys, then what the signs mean."""
        with VerticalScroll() as box:
            box.border_title = "keys"
            yield Static(self._text())

    def _text(self) -> Text:
        by: dict[str, tuple[list[str], str]] = {}
        for key, active in self._keys.items():
            binding = active.binding
            if binding.id is None or not active.enabled or not binding.description.islower():
                continue  # Textual's own
            shown = binding.key_display or self.app.get_key_display(binding.with_key(key))
            by.setdefault(binding.action, ([], binding.description))[0].append(shown)
        entries = [(" ".join(dict.fromkeys(keys)), description) for keys, description in by.values()]
        half = (len(entries) + 1) // 2
        text = Text(end="")
        for left, right in zip(entries[:half], [*entries[half:], ("", "")], strict=False):
            for keys, description in (left, right):
                text.append(f"{keys:>12} ", "bold cyan")
                text.append(f"{description:<22}")
            text.append("\n")
        text.append("\n")
        for tone in ("critical", "error", "warning", "info", "ok", "stopped"):
            text.append(f"{words.GLYPHS[tone]} {tone}  ", words.STYLES[tone])
        text.append("? not known\n", "dim")
        text.append(f"\n{_NOTES}", "dim")
        return text

    def action_close(self) -> None:
        """Back."""
        self.dismiss()

    def action_scroll(self, step: int) -> None:
        """Up or down."""
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)
