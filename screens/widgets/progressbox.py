"""What a change has done so far."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.widgets import Static

from screens import verdict

LINES = 200
"""Kept on the screen."""


class ProgressBox(VerticalScroll, can_focus=True):
    """A line for each step; the last one is under way until all is done."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        self._text = Static()
        super().__init__(self._text, id=id)
        self._lines: list[str] = []
        self.border_title = "progress"

    @property
    def begun(self) -> bool:
        """Whether anything was said."""
        return bool(self._lines)

    def start(self) -> None:
        """Forgets an earlier attempt."""
        self._lines = []

    def say(self, line: str) -> None:
        """One more step."""
        self._lines = [*self._lines[1 - LINES :], line]
        self._draw(done=False)

    def finish(self) -> None:
        """Nothing is under way any more."""
        self._draw(done=True)

    def _draw(self, *, done: bool) -> None:
        self._text.update(verdict.progress(self._lines, done=done))
        self.scroll_end(animate=False)
