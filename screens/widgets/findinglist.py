"""The findings of a deployment: one is selected, its evidence can be opened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from fixes.model import Finding, Open
from screens import findings
from screens.words import Tone

LEAST_WIDTH = 20
"""Cells that lines are broken for at least."""


class FindingList(VerticalScroll, can_focus=True):
    """Findings, the worst first; what differs is drawn again, nothing else."""

    DEFAULT_CSS = """
    FindingList {
        scrollbar-size-vertical: 1;
        & > Static { height: auto; margin: 0 0 1 0; padding: 0 1; }
        & > .-selected { background: $cursor-blurred; }
        &:focus > .-selected { background: $cursor; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False, id="finding_up"),
        Binding("down,j", "move(1)", "down", show=False, id="finding_down"),
        Binding("enter", "expand", "evidence", id="evidence"),
    ]

    class Moved(Message):
        """Another finding is selected."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._findings: Sequence[Finding] = ()
        self._depths: Sequence[int] = ()
        self._opens: Sequence[Open] = ()
        self._now: datetime | None = None
        self._tone: Tone = "ok"
        self._selected: str | None = None
        self._expanded: set[str] = set()
        self._drawn: list[Text] = []

    @property
    def current(self) -> Finding | None:
        """The selected finding."""
        return next((f for f in self._findings if f.id == self._selected), None)

    def show(self, found: Sequence[Finding], opens: Sequence[Open], now: datetime, tone: Tone = "ok") -> None:
        """Replaces the findings; ``tone`` is the deployment's when there are none."""
        self._tone = tone
        placed = findings.nested(found)
        self._findings, self._depths = [f for f, _ in placed], [depth for _, depth in placed]
        self._opens, self._now = opens, now
        if self.current is None:
            self._selected = found[0].id if found else None
            self.post_message(self.Moved())
        self._draw()

    def on_resize(self) -> None:
        """Lines are broken for the width."""
        self._draw()

    def _texts(self) -> list[Text]:
        if self._now is None:
            return []
        width = max(LEAST_WIDTH, self.size.width - 3)
        made = [
            findings.full(f, self._now, None if f.id in self._expanded else 2, width=width, depth=depth)
            for f, depth in zip(self._findings, self._depths, strict=True)
        ]
        if not made:
            made.append(findings.nothing(self._tone))
        if self._opens:
            made.append(findings.undecided(self._opens))
        return made

    def _draw(self) -> None:
        if not self._drawn and self.size.width < LEAST_WIDTH:
            return  # not laid out yet: what is made for that width keeps its height
        texts = self._texts()
        parts = list(self.query_children(Static).results())
        for part in parts[len(texts) :]:
            part.remove()
        for n, text in enumerate(texts):
            selected = n < len(self._findings) and self._findings[n].id == self._selected
            if n >= len(parts):
                self.mount(Static(text, classes="-selected" if selected else ""))
                continue
            old = self._drawn[n] if n < len(self._drawn) else None
            if old is None or old.plain != text.plain or old.spans != text.spans:
                parts[n].update(text)
            parts[n].set_class(selected, "-selected")
        self._drawn = texts

    def action_move(self, step: int) -> None:
        """The next finding; at an end the pane scrolls."""
        ids = [f.id for f in self._findings]
        place = ids.index(self._selected) + step if self._selected in ids else 0
        if not 0 <= place < len(ids):
            self.scroll_relative(y=step * 2, animate=False)
            return
        self._select(place)

    def _select(self, place: int) -> None:
        self._selected = self._findings[place].id
        self._draw()
        self.query_children(Static)[place].scroll_visible(animate=False)
        self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        """Selects what is under the mouse; a second click opens its evidence."""
        parts = list(self.query_children(Static).results())
        if event.widget in parts:
            place = parts.index(event.widget)
            if place < len(self._findings):
                self._select(place)
                if event.chain == 2:
                    self.action_expand()

    def action_expand(self) -> None:
        """All the evidence, or its beginning."""
        if self._selected is not None:
            self._expanded ^= {self._selected}
            self._draw()
