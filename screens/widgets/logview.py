"""The tail of a log: follows, stands still, narrows, wraps, jumps between marked lines. Only what is seen is drawn."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from probes.loghits import LogLine
from screens import words
from screens.marks import telling
from screens.widgets.wrapped import Rows, row

KEPT = 20_000
"""Lines kept for the view; older ones are dropped."""
HEAD = 11
"""Cells before a line's text: its time and its mark."""
LEAST = 20
"""Cells of a row at least, however narrow the view is."""
_MARK, _DIM, _FOUND, _PLAIN = Style.parse("bold red"), Style(dim=True), Style.parse("black on yellow"), Style()


class LogView(ScrollView, can_focus=True):
    """Lines of a deployment's log in order of arrival."""

    DEFAULT_CSS = """
    LogView {
        scrollbar-size: 1 1;
        & > .logview--cursor { background: $cursor-blurred; }
        &:focus > .logview--cursor { background: $cursor; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"logview--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False, id="log_up"),
        Binding("down,j", "move(1)", "down", show=False, id="log_down"),
        Binding("pageup", "page(-1)", "page up", show=False, id="log_page_up"),
        Binding("pagedown", "page(1)", "page down", show=False, id="log_page_down"),
        Binding("home,g", "first", "first", show=False, id="log_first"),
        Binding("G,end", "follow", "follow", id="log_follow"),
        Binding("n", "jump(1)", "next match", id="log_next"),
        Binding("N", "jump(-1)", "previous match", show=False, id="log_previous"),
        Binding("w", "wrap", "wrap", id="log_wrap"),
    ]

    class Changed(Message):
        """Following, filter or position changed."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: deque[LogLine] = deque(maxlen=KEPT)
        self._shown: list[LogLine] = []
        self._needle = ""
        self._cursor = -1
        self._rows = Rows(None)
        self.wraps = False
        self.following = True
        self.newest = 0

    @property
    def total(self) -> int:
        """How many lines are kept."""
        return len(self._lines)

    @property
    def matching(self) -> int:
        """How many of them the filter lets through."""
        return len(self._shown)

    @property
    def marked(self) -> int:
        """How many of those a signature's pattern matched."""
        return sum(1 for line in self._shown if telling(line))

    @property
    def current(self) -> LogLine | None:
        """The line under the cursor."""
        return self._shown[self._cursor] if 0 <= self._cursor < len(self._shown) else None

    def title(self, follow: str, onward: str, backward: str) -> str:
        """What is shown of it, with the keys that do something here now."""
        count = f"{self.matching} of {self.total} lines" if self._needle else words.plural(self.total, "line")
        marked = f" · {self.marked} marked" if self.marked else ""
        marked += f" – {onward}, {backward}" if self.marked and onward else ""
        state = "following" if self.following else "standing still"
        state += f" – {follow} follows" if follow and not self.following else ""
        return f"log · {count}{marked} · {state}"

    @property
    def needle(self) -> str:
        """The filter."""
        return self._needle

    def extend(self, lines: Sequence[LogLine]) -> None:
        """Appends lines that are newer than what is here."""
        fresh = [line for line in lines if line.number > self.newest]
        if not fresh:
            return
        self.newest = fresh[-1].number
        dropped = max(0, len(self._lines) + len(fresh) - KEPT)
        self._lines.extend(fresh)
        if dropped:
            self._narrow()
        else:
            added = [line for line in fresh if self._lets(line)]
            if not added:
                return
            self._shown.extend(added)
            self._measure(added)
        self._settle()

    def clear(self) -> None:
        """No line any more; the filter stays."""
        self._lines.clear()
        self.newest = 0
        self._narrow()
        self._settle()

    def filter(self, needle: str) -> None:
        """Shows the lines that hold a text (in any case) only; the line under the cursor stays where it can."""
        if needle != self._needle:
            self._needle = needle
            self._narrow()
            self._settle()

    def _lets(self, line: LogLine) -> bool:
        return not self._needle or self._needle.lower() in line.text.lower()

    def _narrow(self) -> None:
        current = self.current
        self._shown = [line for line in self._lines if self._lets(line)]
        if current is not None and self._shown:
            numbers = [line.number for line in self._shown]
            place = next((n for n, number in enumerate(numbers) if number >= current.number), len(numbers) - 1)
            self._cursor = place
        self._cursor = min(self._cursor, len(self._shown) - 1)
        self._arrange()

    def _arrange(self) -> None:
        """All rows anew: for other lines or another width."""
        room = max(LEAST, self.outer_size.width - self.styles.scrollbar_size_vertical - HEAD)
        self._rows = Rows(room if self.wraps else None)
        self._measure(self._shown)

    def _measure(self, lines: Sequence[LogLine]) -> None:
        self._rows.extend(line.text for line in lines)
        self.virtual_size = Size((self._rows.width or self._rows.widest) + HEAD, self._rows.total)

    def _settle(self) -> None:
        if self.following:
            self._cursor = len(self._shown) - 1
            self._scroll(max(0, self._rows.total - self.size.height))
        else:
            self._into_view()
        self.refresh()
        self.post_message(self.Changed())

    def _into_view(self) -> None:
        if not 0 <= self._cursor < len(self._shown):
            return
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        start, end = self._rows.start(self._cursor), self._rows.end(self._cursor)
        if start <= top and top + height <= end:
            return  # a line that is longer than the view: where it is read stays
        if start < top:
            self._scroll(start)
        elif end > top + height:
            self._scroll(min(start, end - height))

    def _scroll(self, y: int) -> None:
        self.scroll_to(y=y, animate=False, force=True, immediate=True)

    def _reads_on(self, step: int) -> bool:
        """Whether so many rows up or down are rows of the line under the cursor that were not seen: it shows them."""
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        if not self.wraps or not 0 <= self._cursor < len(self._shown):
            return False
        start, end = self._rows.start(self._cursor), self._rows.end(self._cursor)
        if step > 0 and start <= top + height < end:
            self._scroll(min(top + step, end - height))
        elif step < 0 and start < top < end:
            self._scroll(max(top + step, start))
            self.following = False
        else:
            return False
        self.post_message(self.Changed())
        return True

    def _go(self, place: int, *, centre: bool = False) -> None:
        if not self._shown:
            return
        place = max(0, min(place, len(self._shown) - 1))
        self.following = self.following and place >= self._cursor and place == len(self._shown) - 1
        self._cursor = place
        if centre:
            self._scroll(max(0, self._rows.start(place) - self.size.height // 2))
        self._into_view()
        self.refresh()
        self.post_message(self.Changed())

    def on_resize(self) -> None:
        """Another size shows another end."""
        if self.wraps:
            self._arrange()
        if self._shown:
            self._settle()

    def render_line(self, y: int) -> Strip:
        """One row: time, mark, text with what the filter found; an ellipsis where the line goes on to the right."""
        left, top = self.scroll_offset
        found, base, width = self._rows.at(top + y), self.rich_style, self.size.width
        if found is None:
            return Strip.blank(width, base)
        place, part = found
        line = self._shown[place]
        if place == self._cursor and not self.following:
            base = self.get_component_rich_style("logview--cursor")
        marked = telling(line)
        style = _MARK if marked else _PLAIN
        text = line.text if self._rows.width is None else row(line.text, self._rows.width, part)
        segments = [
            Segment(f"{'' if part else words.moment(line.at):<8} ", _DIM),
            Segment("▶ " if marked and not part else "  ", _MARK),
            *self._highlighted(text, style),
        ]
        strip = Strip(segments)
        if strip.cell_length > left + width:
            strip = Strip([*strip.crop_extend(left, left + width - 1, None), Segment("…", _DIM)])
        else:
            strip = strip.crop_extend(left, left + width, None)
        return strip.apply_style(base)

    def _highlighted(self, text: str, style: Style) -> list[Segment]:
        if not self._needle:
            return [Segment(text, style)]
        segments, lower, needle, at = [], text.lower(), self._needle.lower(), 0
        if len(lower) != len(text):
            return [Segment(text, style)]
        while (found := lower.find(needle, at)) >= 0:
            end = found + len(needle)
            segments += [Segment(text[at:found], style), Segment(text[found:end], _FOUND)]
            at = end
        return [*segments, Segment(text[at:], style)]

    def action_move(self, step: int) -> None:
        """One line up or down; down past the last one follows."""
        if not self._reads_on(step):
            self._go(self._cursor + step)

    def action_page(self, step: int) -> None:
        """A screenful."""
        by = step * max(1, self.size.height - 1)
        if self._reads_on(by) or not 0 <= self._cursor < len(self._shown):
            return
        found = self._rows.at(max(0, min(self._rows.start(self._cursor) + by, self._rows.total - 1)))
        place = self._cursor if found is None else found[0]
        self._go(place if place != self._cursor else self._cursor + step)

    def action_first(self) -> None:
        """The oldest line that is kept."""
        self.following = False
        self._go(0)

    def action_follow(self) -> None:
        """The newest line, and those to come."""
        self.following = True
        self._settle()

    def action_wrap(self) -> None:
        """Long lines in several rows, or cut again; the line under the cursor stays in view."""
        self.wraps = not self.wraps
        self._arrange()
        self.scroll_to(x=0, animate=False, force=True, immediate=True)
        self._settle()

    def action_jump(self, step: int) -> None:
        """The next line that a signature's pattern matched."""
        places = [n for n, line in enumerate(self._shown) if telling(line)]
        beyond = [n for n in places if (n > self._cursor if step > 0 else n < self._cursor)]
        if not places:
            return
        place = (beyond or places)[0 if step > 0 else -1]
        self.following = False
        self._go(place, centre=True)
