"""Where a deployment's name is typed when a yes is not enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.widgets import Input


class NameField(Horizontal):
    """A line to type into, made when it is first needed."""

    DEFAULT_CSS = """
    NameField { height: auto; }
    NameField > Input { width: 40; height: 1; border: none; background: $panel; }
    NameField > Static { width: auto; }
    """

    @dataclass
    class Typed(Message):
        """A name was typed and sent off."""

        text: str

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._input: Input | None = None

    def ask(self) -> None:
        """Takes the keys, empty."""
        if self._input is None:
            from textual.widgets import Input  # noqa: PLC0415 - few plans ask for a name

            self._input = Input(compact=True, id="name")
            self.mount(Static("name: "), self._input)
        self._input.value = ""
        self._input.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Passes the name on."""
        event.stop()
        self.post_message(self.Typed(event.value.strip()))
