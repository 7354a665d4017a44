"""A table of any length that draws only what is seen.

Rows are known by key: an update redraws the lines that differ, and the cursor stays on its row, at its place on the
screen, wherever the order moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip


class Cell(NamedTuple):
    """One text in one style; the text is never parsed as markup."""

    text: str
    style: str = ""


class Column(NamedTuple):
    """A column of fixed width."""

    key: str
    title: str
    width: int
    justify: Literal["left", "right"] = "left"


def fit(text: str, width: int, justify: Literal["left", "right"] = "left") -> str:
    """The text in exactly ``width`` cells; what is cut ends in an ellipsis."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(0, width - 1)) + ("…" if width else "")
    return " " * (width - length) + text if justify == "right" else text + " " * (width - length)


class Table(ScrollView, can_focus=True):
    """Rows that are made when they are looked at.

    Until a person moves the cursor it stands on the first row, whatever comes in above.
    """

    DEFAULT_CSS = """
    Table {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .table--header { color: $muted; text-style: bold; }
        & > .table--cursor { background: $cursor-blurred; }
        &:focus > .table--cursor { background: $cursor; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--header", "table--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False, id="up"),
        Binding("down,j", "move(1)", "down", show=False, id="down"),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False, id="page_up"),
        Binding("pagedown,ctrl+f", "page(1)", "page down", show=False, id="page_down"),
        Binding("home,g", "edge(0)", "first", show=False, id="first"),
        Binding("end,G", "edge(-1)", "last", show=False, id="last"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor stands on another row."""

        table: Table
        key: str | None

    @dataclass
    class Chosen(Message):
        """A row was opened by the mouse."""

        table: Table
        key: str

    @dataclass
    class HeaderClicked(Message):
        """The title of a column was clicked."""

        table: Table
        column: str

    def __init__(self, make: Callable[[str], Sequence[Cell]], id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._make = make
        self._keys: Sequence[str] = ()
        self._places: dict[str, int] = {}
        self._columns: Sequence[Column] = ()
        self._cursor = 0
        self._cursor_line = 1
        self._moved = False
        self._drawn: dict[int, tuple[str, Sequence[Cell]]] = {}

    @property
    def cursor(self) -> str | None:
        """The key under the cursor."""
        return self._keys[self._cursor] if self._keys else None

    @property
    def keys(self) -> Sequence[str]:
        """The keys of all rows, in order."""
        return self._keys

    @property
    def in_view(self) -> Sequence[str]:
        """The keys of the rows that are on the screen."""
        top = self.scroll_offset.y
        return self._keys[top : top + max(0, self.size.height - 1)]

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Replaces the columns."""
        if columns != self._columns:
            self._columns = columns
            self._drawn.clear()
            self.refresh()

    def show_rows(self, keys: Sequence[str]) -> None:
        """Replaces the order of the rows and draws again what differs."""
        before = self.cursor
        places = {key: place for place, key in enumerate(keys)}
        offset = self._cursor - self.scroll_offset.y
        self._keys, self._places = keys, places
        kept = places.get(before, min(self._cursor, max(0, len(keys) - 1))) if before else 0
        self._cursor = kept if self._moved else 0
        if self.virtual_size.height != len(keys) + 1:
            self.virtual_size = Size(0, len(keys) + 1)
        if self.size.height:
            top = max(0, min(self._cursor - offset, len(keys) + 1 - self.size.height))
            if top != self.scroll_offset.y:
                self.scroll_to(y=top, animate=False, force=True, immediate=True)
        self._redraw()
        if self.cursor != before:
            self.post_message(self.Moved(self, self.cursor))

    def move_to(self, key: str) -> None:
        """Puts the cursor on a row."""
        if key in self._places:
            self._go(self._places[key])

    def _redraw(self) -> None:
        """Draws the lines whose cells differ from what is on the screen."""
        top = self.scroll_offset.y
        for y in range(1, self.size.height):
            place = top + y - 1
            drawn = self._drawn.get(y)
            if place >= len(self._keys):
                if drawn is not None:
                    self._drawn.pop(y)
                    self.refresh(Region(0, y, self.size.width, 1))
                continue
            key = self._keys[place]
            if drawn is None or drawn[0] != key or drawn[1] != self._make(key):
                self.refresh(Region(0, y, self.size.width, 1))
        cursor_line = self._cursor - top + 1
        if self._cursor_line != cursor_line:
            self.refresh(Region(0, self._cursor_line, self.size.width, 1), Region(0, cursor_line, self.size.width, 1))
        self._cursor_line = cursor_line

    def _go(self, place: int) -> None:
        place = max(0, min(place, len(self._keys) - 1))
        if place == self._cursor or not self._keys:
            return
        self._moved = True
        top, rows = self.scroll_offset.y, max(1, self.size.height - 1)
        for each in (self._cursor, place):
            self.refresh(Region(0, each - top + 1, self.size.width, 1))
        self._cursor = place
        if place < top:
            self.scroll_to(y=place, animate=False, force=True, immediate=True)
        elif place >= top + rows:
            self.scroll_to(y=place - rows + 1, animate=False, force=True, immediate=True)
        self._cursor_line = place - self.scroll_offset.y + 1
        self.post_message(self.Moved(self, self.cursor))

    def render_line(self, y: int) -> Strip:
        """One line: the header, or a row."""
        base, width = self.rich_style, self.size.width
        if y == 0:
            style = self.get_component_rich_style("table--header")
            titles = [Segment(fit(c.title, c.width, c.justify) + " ", style) for c in self._columns]
            return Strip(titles).crop_extend(0, width, base)
        place = self.scroll_offset.y + y - 1
        if place >= len(self._keys):
            return Strip.blank(width, base)
        key = self._keys[place]
        made = self._make(key)
        self._drawn[y] = (key, made)
        segments = []
        for column, cell in zip(self._columns, made, strict=False):
            segments.append(Segment(fit(cell.text, column.width, column.justify), Style.parse(cell.style)))
            segments.append(Segment(" "))
        if place == self._cursor:
            base = self.get_component_rich_style("table--cursor")
        return Strip(segments).crop_extend(0, width, None).apply_style(base)

    def on_resize(self) -> None:
        """What was drawn was drawn for another size."""
        self._drawn.clear()
        if self._keys:
            rows = max(1, self.size.height - 1)
            if self._cursor >= self.scroll_offset.y + rows:
                self.scroll_to(y=self._cursor - rows + 1, animate=False, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """All lines move."""
        super().watch_scroll_y(old_value, new_value)
        self._drawn.clear()

    def on_click(self, event: events.Click) -> None:
        """Puts the cursor under the mouse; a second click opens."""
        if event.y == 0:
            left = 0
            for column in self._columns:
                left += column.width + 1
                if event.x < left:
                    self.post_message(self.HeaderClicked(self, column.key))
                    return
            return
        place = self.scroll_offset.y + event.y - 1
        if place < len(self._keys):
            self._go(place)
            if event.chain == 2:
                self.post_message(self.Chosen(self, self._keys[place]))

    def action_move(self, step: int) -> None:
        """One row up or down."""
        self._go(self._cursor + step)

    def action_page(self, step: int) -> None:
        """A screenful up or down."""
        self._go(self._cursor + step * max(1, self.size.height - 2))

    def action_edge(self, place: int) -> None:
        """The first or the last row."""
        self._go(place if place >= 0 else len(self._keys) - 1)
