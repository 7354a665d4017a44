"""The journal: every change, what became of it, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from fixes.model import Entry, Outcome, Report
from probes.base import DeploymentId, target_of
from screens import messages, verdict, words
from screens.base import OpsScreen
from screens.messages import Problem
from screens.mode import Mode
from screens.widgets import diff
from screens.widgets.table import Cell, Column, Table

INTERRUPTED = ("applying", "undoing")
LEAST_NAME, LEAST_TITLE = 18, 24
"""Cells of a deployment's name, and of what was changed, before the other gets more."""
READ_SECONDS = 3.0
"""Between two looks at the journal while it is shown: other programs write it, too."""


class HistoryScreen(OpsScreen):
    """All changes, the newest first; those that were interrupted stand out."""

    CSS_PATH = "history.tcss"
    AUTO_FOCUS = "#entries"
    JOURNAL = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "undo", "undo", id="undo"),
        Binding("r", "resume('finish')", "finish", id="resume"),
        Binding("b", "resume('back')", "take back", id="take_back"),
        Binding("y", "copy", "copy diff", id="copy"),
        Binding("escape", "back", "back", id="back"),
    ]

    def __init__(self, report: Report, mode: Mode) -> None:
        super().__init__(report, mode)
        self._entries: dict[str, Entry] = {}
        self._taken: tuple[Entry, ...] | None = None
        self._doing: str | None = None
        self._name_width = LEAST_NAME

    def body(self) -> Iterable[Widget]:
        """The list, and the diff of the selected change."""
        yield Container(
            Table(self._cells, id="entries"),
            VerticalScroll(Static(id="entry"), id="entry-box", can_focus=True),
            id="main",
        )

    def on_mount(self) -> None:
        """Reads the journal."""
        self.query_one("#entry", Static).update(Text("reading the journal …", "dim"))
        self._read()
        self.set_interval(READ_SECONDS, self._read_again)

    def on_screen_resume(self) -> None:
        """Back from an undo: the journal has changed."""
        self._read()

    def _read_again(self) -> None:
        if self.is_current:
            self._read()

    def _read(self) -> None:
        self.post_message(messages.HistoryWanted(self._take))

    def _take(self, entries: tuple[Entry, ...] | Problem) -> None:
        if not self.alive:
            return
        if isinstance(entries, Problem):
            self.query_one("#entry", Static).update(Text(entries.text, "yellow"))
            self._taken = None
            return
        if entries == self._taken:
            return
        self._taken = entries
        ordered = sorted(entries, key=lambda e: e.at, reverse=True)
        ordered.sort(key=lambda e: e.state not in INTERRUPTED)
        self._entries = {str(e.id): e for e in ordered}
        self._divide()
        self.query_one(Table).show_rows(list(self._entries))
        self._show()

    def about(self) -> None:
        """All changes."""

    def subject(self) -> DeploymentId | None:
        """The deployment of the selected change."""
        entry = self.current
        return None if entry is None else entry.deployment

    @property
    def current(self) -> Entry | None:
        """The selected change."""
        return self._entries.get(self.query_one(Table).cursor or "") if self.is_mounted else None

    def on_resize(self, event: events.Resize) -> None:
        """The columns fill the width."""
        self.set_class(event.size.width >= 150, "-wide")
        self._divide()

    def _divide(self) -> None:
        """A name gets what the title of its change can do without."""
        width = self.size.width
        room = (width * 55 // 100 if width >= 150 else width) - 28
        longest = max((len(_named(entry)) for entry in self._entries.values()), default=0)
        self._name_width = max(LEAST_NAME, min(longest, room - LEAST_TITLE))
        self.query_one(Table).set_columns(
            (
                Column("at", "WHEN", 11),
                Column("state", "STATE", 11),
                Column("deployment", "DEPLOYMENT", self._name_width),
                Column("title", "CHANGE", max(10, room - self._name_width)),
            )
        )

    def _cells(self, key: str) -> Sequence[Cell]:
        entry = self._entries[key]
        state, style = _state(entry)
        return (
            Cell(entry.at.strftime("%m-%d %H:%M"), "dim"),
            Cell(state, style),
            Cell(words.middle(_named(entry), self._name_width)),
            Cell(entry.title, "" if entry.state != "undone" else "dim"),
        )

    def on_table_moved(self) -> None:
        """Another change."""
        self._show()
        self.refresh_bindings()

    def _show(self) -> None:
        entry = self.current
        text = Text(end="")
        if entry is None:
            text.append("No change was made from here yet.", "bold")
            text.append("\n\nThe fix of a finding shows what would be changed, and asks first.", "dim")
        else:
            state, style = _state(entry)
            text.append(f"{entry.title}\n", "bold")
            text.append(state, style)
            text.append(f"  {entry.id} · {entry.deployment} · {entry.signature} · {entry.remedy}", "dim")
            for name, value in (("why", entry.why), ("by", entry.by), ("evidence kept in", entry.evidence)):
                if value:
                    text.append(f"\n{name} ", "dim")
                    text.append(value)
            for done in entry.steps:
                mark, tone = {"done": ("✓", "green"), "begun": ("…", "yellow")}.get(done.state, ("·", "dim"))
                text.append(f"\n{mark} ", tone)
                text.append(f"{done.summary} ({done.state})", "" if done.state == "done" else "dim")
            text.append("\n\n")
            text.append_text(diff.render(entry.diff))
        self.query_one("#entry", Static).update(text)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what the selected change allows."""
        entry = self.current
        if action == "undo" and (entry is None or entry.state != "applied"):
            return False
        if action == "resume" and (entry is None or entry.state not in INTERRUPTED or self._doing is not None):
            return False
        if action == "copy" and entry is None:
            return False
        return super().check_action(action, parameters)

    def action_undo(self) -> None:
        """Takes the change back, after a diff and a question."""
        entry = self.current
        if entry is not None:
            self.post_message(messages.UndoOpened(entry.id))

    def action_resume(self, how: str) -> None:
        """Asks, then finishes an interrupted change or takes it back."""
        from screens.question import QuestionScreen  # noqa: PLC0415 - seldom asked

        entry = self.current
        if entry is None:
            return
        finish = how == "finish"
        text = f"{'Finish' if finish else 'Take back'} the interrupted change “{entry.title}” of {entry.deployment}?"

        def answered(yes: bool | None) -> None:
            if yes:
                self._doing = entry.id
                back = not finish or entry.state == "undoing"
                self.post_message(
                    messages.ResumeWanted(entry.id, finish, self._progress, lambda became: self._resumed(became, back))
                )
                self.refresh_bindings()

        self.app.push_screen(QuestionScreen(text), answered)

    def _progress(self, line: str) -> None:
        self.notify(line, markup=False, timeout=4)

    def _resumed(self, outcome: Outcome | Problem, back: bool) -> None:
        self._doing = None
        app = self.app
        problem = isinstance(outcome, Problem)
        text = outcome.text if isinstance(outcome, Problem) else _said(outcome, back=back)
        app.notify(text, markup=False, severity="warning" if problem else "information", timeout=10)
        if self.alive:
            self._read()

    def action_copy(self) -> None:
        """The diff."""
        entry = self.current
        if entry is not None:
            self.post_message(messages.Copied(diff.plain(entry.diff), "the diff"))

    def action_back(self) -> None:
        """Back to where it was opened."""
        self.app.pop_screen()


def _named(entry: Entry) -> str:
    return entry.deployment.removeprefix(f"{target_of(entry.deployment)}/")


def _said(outcome: Outcome, *, back: bool) -> str:
    return (verdict.reverted(outcome) if back else verdict.outcome(outcome)).plain


def _state(entry: Entry) -> tuple[str, str]:
    if entry.state in INTERRUPTED:
        return "interrupted", words.STYLES["critical"]
    if entry.state == "applied":
        return {
            "gone": ("✓ gone", "green"),
            "present": ("◆ present", "red"),
            "untested": ("? untested", "yellow"),
        }.get(entry.verified or "", ("applied", "green"))
    return {"failed": ("✗ failed", "red"), "undone": ("↶ undone", "dim")}.get(entry.state, (entry.state, ""))
