"""The fleet: one line for each deployment, the worst trouble first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import ClassVar

from rich.text import Span, Text
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from fixes.model import Finding, Report
from probes.base import DeploymentId
from probes.model import Interest
from screens import columns, empty, findings, messages, room, rows
from screens.base import EMPTY, OpsScreen
from screens.mode import Mode
from screens.widgets.filterbar import FilterBar
from screens.widgets.spark import sparkline
from screens.widgets.table import Cell, Column, Table

LOOK_SECONDS = 0.15
"""How long the cursor rests before its deployment is read first."""
TREND_POINTS = 60
"""Memory samples kept of each deployment for its sparkline."""


class FleetScreen(OpsScreen):
    """The first screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="open"),
        Binding("f", "fix", "fix", id="fix"),
        Binding("slash", "filter", "filter", key_display="/", id="filter"),
        Binding("n", "namespace", "namespace", id="namespace"),
        Binding("s", "sort(1)", "sort", id="sort"),
        Binding("S", "reverse", "reverse", show=False, id="reverse"),
        Binding("l", "open('log')", "logs", id="logs"),
        Binding("p", "profile", "profile", id="profile"),
        Binding("u", "undo", "undo", id="undo"),
        Binding("y", "copy", "copy", id="copy"),
        Binding("escape", "clear", "clear filter", show=False, id="back"),
    ]
    AUTO_FOCUS = "#fleet"

    def __init__(self, report: Report = EMPTY, mode: Mode | None = None) -> None:
        super().__init__(report, mode)
        self._fleet = rows.Fleet()
        self._rows: dict[DeploymentId, rows.Row] = {}
        self._trends: dict[DeploymentId, deque[float]] = {}
        self._made: dict[str, tuple[rows.Row, tuple[Cell, ...]]] = {}
        self._columns: tuple[Column, ...] = ()
        self._longest: columns.Longest | None = None
        self._sort, self._reverse, self._needle = "severity", False, ""
        self._keys: list[DeploymentId] | None = None
        self._arranged = (self._sort, self._reverse, self._needle)
        self._writable = True
        self._looking: Timer | None = None
        self._detail: tuple[str, list[Span]] | None = None

    def body(self) -> Iterable[Widget]:
        """The table, and what is wrong with the selected deployment."""
        yield Container(
            Table(self._cells, id="fleet"),
            Static(id="empty"),
            VerticalScroll(Static(id="detail"), id="detail-box", can_focus=False),
            id="main",
        )
        yield FilterBar("name, finding, server, ns:NAMESPACE …")

    @property
    def table(self) -> Table:
        """The table."""
        return self.query_one(Table)

    def subject(self) -> DeploymentId | None:
        """The deployment under the cursor."""
        key = self.table.cursor if self.is_mounted else None
        return None if key is None else DeploymentId(key)

    def about(self) -> None:
        """All of them."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What acts upon a deployment needs one."""
        subject = self.subject()
        if action in ("open", "fix", "profile", "copy", "sort", "reverse") and subject is None:
            return False
        if action == "namespace" and not (subject in self._rows and self._rows[subject].namespace):
            return False
        return super().check_action(action, parameters)

    # Drawing

    def on_resize(self) -> None:
        """The findings are put where there is room for them."""
        self._divide()
        self.call_after_refresh(self.show_report)

    def _divide(self) -> None:
        found = room.divide(*self.size, len(self._rows))
        self.set_class(found.beside, "-large")
        self.set_class(found.full, "-medium")
        self.table.styles.height = len(self._rows) + 1 if found.snug else None
        self.query_one("#detail-box").styles.height = None if found.beside else "1fr" if found.snug else found.lines

    def turn_back(self) -> None:
        """Trends begin anew."""
        self._trends.clear()

    def show_report(self) -> None:
        """Draws the lines that differ."""
        before, self._rows = self._rows, self._fleet.update(self.report)
        for identity, row in self._rows.items():
            if before.get(identity) is not row and row.memory_bytes is not None:
                trend = self._trends.setdefault(identity, deque(maxlen=TREND_POINTS))
                trend.append(row.memory_bytes)
                self._made.pop(identity, None)
        for identity in before.keys() - self._rows.keys():
            self._trends.pop(identity, None)
            self._made.pop(identity, None)
        if before.keys() != self._rows.keys():
            self._longest = None
            self._divide()
        if not rows.same_order(before, self._rows, self._sort):
            self._keys = None
        self._arrange()

    def _arrange(self) -> None:
        wanted = (self._sort, self._reverse, self._needle)
        if self._keys is None or self._arranged != wanted:
            self._arranged, self._keys = wanted, rows.arrange(self._rows.values(), *wanted)
        keys = self._keys
        if self.has_class("-empty") == bool(keys):
            self.set_class(not keys, "-empty")
            self.call_after_refresh(self.refresh_bindings)
        if not keys:
            self.query_one("#empty", Static).update(empty.explain(self.report, self._needle))
        if self._longest is None:
            self._longest = columns.longest(self._rows.values())
        table = self.table
        width = max(40, (table.size.width or self.app.size.width) - 1)
        shown = columns.columns(width, self._longest, self._sort, self._reverse)
        if shown != self._columns:
            self._columns = shown
            self._made.clear()
        table.set_columns(shown)
        table.show_rows(keys)
        self._show_detail()
        self.query_one(FilterBar).count(len(keys), len(self._rows))

    def _cells(self, key: str) -> tuple[Cell, ...]:
        row = self._rows[DeploymentId(key)]
        made = self._made.get(key)
        if made is None or made[0] is not row:
            made = self._made[key] = (row, columns.cells(row, self._columns, self._spark))
        return made[1]

    def _spark(self, deployment: DeploymentId, width: int) -> str:
        trend = self._trends.get(deployment)
        return "" if trend is None or len(trend) < 2 else sparkline(list(trend), width)

    def _show_detail(self) -> None:
        """The findings of the selected deployment, as many lines as there is room for."""
        subject = self.subject()
        if subject is None:
            return
        found, now, tone = self.report.of(subject), self.report.snapshot.taken_at, self._rows[subject].tone
        if self.has_class("-large") or self.has_class("-medium"):
            text = Text(end="")
            text.append(f"{subject}\n\n" if self.has_class("-large") else "", "bold")
            box = self.query_one("#detail-box").size
            opens = self.report.undecided.get(subject, ())
            text.append_text(findings.pane(found, opens, now, width=max(20, box.width - 3), tone=tone))
            # As many lines whatever is found: where their number changes, the whole screen is laid out anew.
            text.append("\n" * (box.height - 1 - text.plain.count("\n")))
        else:
            text = findings.brief(found, now, tone)
        detail = self.query_one("#detail", Static)
        if self._detail != (text.plain, text.spans):
            lines = -1 if self._detail is None else self._detail[0].count("\n")
            self._detail = (text.plain, text.spans)
            detail.update(text, layout=lines != text.plain.count("\n"))  # a layout of the screen costs 2 ms

    # What a person does

    def on_table_moved(self) -> None:
        """The cursor moved: other findings are shown, other measurements are wanted."""
        self._show_detail()
        writable = self.mode.writable(self.subject())
        if writable != self._writable:
            self._writable = writable
            self.refresh_bindings()
        self._look()

    def _look(self) -> None:
        """Says what is looked at, once the cursor rests."""
        if self._looking is not None:
            self._looking.stop()
        self._looking = self.set_timer(LOOK_SECONDS, self._looked)

    def _looked(self) -> None:
        visible = frozenset(DeploymentId(key) for key in self.table.in_view)
        self.post_message(messages.Looked(Interest(focused=self.subject(), visible=visible)))

    def on_screen_resume(self) -> None:
        """Back from another screen."""
        self.show_report()
        self._look()

    def on_table_chosen(self) -> None:
        """A double click opens."""
        self.action_open()

    def on_table_header_clicked(self, event: Table.HeaderClicked) -> None:
        """Sorts by the column, then the other way."""
        if event.column == self._sort:
            self._reverse = not self._reverse
        elif event.column in rows.SORTS:
            self._sort, self._reverse = event.column, False
        self._arrange()

    def on_filter_bar_changed(self, event: FilterBar.Changed) -> None:
        """Typing narrows."""
        self._needle = event.text
        self._arrange()

    def on_filter_bar_closed(self) -> None:
        """The keys are the table's again."""
        self.table.focus()

    def action_open(self, pane: str | None = None) -> None:
        """The deployment under the cursor."""
        subject = self.subject()
        if subject is not None:
            self.post_message(messages.DeploymentOpened(subject, pane))

    def finding(self) -> Finding | None:
        """The finding that a fix would answer."""
        subject = self.subject()
        return findings.answerable(self.report.of(subject)) if subject else None

    def action_fix(self) -> None:
        """The answer to the worst finding, diff first."""
        finding = self.finding()
        if finding is None:
            self.notify("Nothing is found to be wrong here.", markup=False)
        else:
            self.post_message(messages.FixOpened(finding))

    def action_undo(self) -> None:
        """The latest change, taken back."""
        self.post_message(messages.UndoOpened())

    def action_profile(self) -> None:
        """Where the workers spend their time."""
        subject = self.subject()
        if subject is not None:
            self.post_message(messages.ProfileOpened(subject))

    def action_filter(self) -> None:
        """Opens the line to type into."""
        self.query_one(FilterBar).open()

    def action_namespace(self) -> None:
        """Only what is in the namespace of the deployment under the cursor; once more: all again."""
        subject = self.subject()
        if subject is not None:
            bar, wanted = self.query_one(FilterBar), f"{rows.NAMESPACE}{self._rows[subject].namespace}"
            if bar.text == wanted:
                bar.clear()
            else:
                bar.open(wanted)
                self.table.focus()

    def action_clear(self) -> None:
        """All rows again."""
        self.query_one(FilterBar).clear()

    def action_sort(self, step: int) -> None:
        """The next column."""
        shown = {column.key for column in self._columns}
        names = [name for name in rows.SORTS if name in shown]
        self._sort = names[(names.index(self._sort) + step) % len(names)] if self._sort in names else names[0]
        self._reverse = False
        self._arrange()

    def action_reverse(self) -> None:
        """The other way round."""
        self._reverse = not self._reverse
        self._arrange()

    def action_copy(self) -> None:
        """The deployment and its findings, as text."""
        subject = self.subject()
        if subject is not None:
            text = findings.plain(subject, self.report.of(subject), self.report.snapshot.taken_at)
            self.post_message(messages.Copied(text, f"findings of {subject}"))
