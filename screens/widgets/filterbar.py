"""The line that a filter is typed into. It is made when it is first wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import events, on
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.widgets import Input


class FilterBar(Horizontal):
    """Typing narrows, enter keeps, escape clears."""

    DEFAULT_CSS = """
    FilterBar {
        height: 1; display: none; padding: 0 1; background: $bar;
        & > #slash { width: 2; color: $accent; text-style: bold; }
        & > #count { width: auto; color: $muted; }
        & > Input { width: 1fr; height: 1; border: none; padding: 0; background: transparent; }
        & > Input:focus { border: none; }
    }
    """

    @dataclass
    class Changed(Message):
        """Another text stands in the line."""

        text: str

    class Closed(Message):
        """The line was left."""

    def __init__(self, hint: str, id: str | None = None) -> None:  # noqa: A002
        """``hint`` says, while nothing is typed, what the text is looked for in."""
        super().__init__(id=id)
        self.text = ""
        self._hint = hint
        self._input: Input | None = None

    def open(self, text: str | None = None) -> None:
        """Shows the line and takes the keys; ``text`` is put into it."""
        if self._input is None:
            from textual.widgets import Input  # noqa: PLC0415 - the first paint does not need it

            self._input = Input(placeholder=self._hint, compact=True, id="filter-input")
            self.mount(Static("/", id="slash"), self._input, Static(id="count", markup=False))
        self.display = True
        if text is not None:
            self._input.value = text
            self._say(text)
        self._input.focus()

    def clear(self) -> None:
        """Empties and hides the line."""
        if self._input is not None:
            self._input.value = ""
        self.display = False
        self._say("")
        self.post_message(self.Closed())

    def count(self, shown: int, total: int) -> None:
        """Says how much is left."""
        if self.display and self.is_mounted and self._input is not None:
            for part in self.query("#count").results(Static):
                part.update(f"{shown} of {total} · enter keeps · esc clears")

    def _say(self, text: str) -> None:
        if text != self.text:
            self.text = text
            self.post_message(self.Changed(text))

    @on(events.Key)
    def _keys(self, event: events.Key) -> None:
        if event.key in ("escape", "enter", "down", "up"):
            event.stop()
            event.prevent_default()
            if event.key == "escape" or not self.text:
                self.clear()
            else:
                self.post_message(self.Closed())

    def on_input_changed(self, event: Input.Changed) -> None:
        """Passes the text on."""
        event.stop()
        self._say(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the filter."""
        event.stop()
        if self.text:
            self.post_message(self.Closed())
        else:
            self.clear()
