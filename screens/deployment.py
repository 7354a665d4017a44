"""One deployment: plots, findings, replicas, workers, log, settings; all at once where there is room, else as tabs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal, get_args

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from fixes.model import Report
from probes.base import DeploymentId
from probes.loghits import LogLine
from probes.model import Deployment, Interest, Worker
from screens import facts, findings, hints, messages, plots, rows, words
from screens.base import OpsScreen
from screens.messages import Problem
from screens.mode import Mode
from screens.widgets.askbar import AskBar, askable
from screens.widgets.chart import Chart
from screens.widgets.filterbar import FilterBar
from screens.widgets.findinglist import FindingList
from screens.widgets.logview import LogView
from screens.widgets.replicapane import ReplicaPane
from screens.widgets.table import Cell, Table

Pane = Literal["findings", "plots", "workers", "log", "settings", "replicas"]
PANES: tuple[Pane, ...] = get_args(Pane)
_FOCUS: dict[Pane, str] = {pane: f"#{pane}" for pane in PANES if pane != "plots"}
LOG_SECONDS = 0.5
"""Between two looks for new log lines while the log is on the screen; nothing is drawn when there are none."""


class DeploymentScreen(OpsScreen):
    """Everything about one deployment."""

    CSS_PATH = "deployment.tcss"
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "fix", "fix", id="fix"),
        Binding("u", "undo", "undo", id="undo"),
        Binding("l", "pane('log')", "log", id="logs"),
        Binding("p", "profile", "profile", id="profile"),
        Binding("slash", "filter", "filter log", key_display="/", id="filter"),
        Binding("y", "copy", "copy", id="copy"),
        Binding("d", "database", "database", id="database"),
        *(Binding(str(n), f"pane('{pane}')", pane, show=False, id=f"pane_{pane}") for n, pane in enumerate(PANES, 1)),
        Binding("z", "zoom", "zoom", show=False, id="zoom"),
        Binding("escape", "back", "back", id="back"),
    ]

    def __init__(self, deployment: DeploymentId, report: Report, mode: Mode, pane: str | None = None) -> None:
        super().__init__(report, mode)
        self._deployment = deployment
        self._pane: Pane = pane if pane in PANES else "findings"
        self._workers: dict[str, Worker] = {}
        self._seen: Deployment | None = None
        self._asked_lines = self._asked_series = False
        self._series: plots.Series = {}

    def body(self) -> Iterable[Widget]:
        """All panes; the size decides which are seen."""
        yield Static(id="head")
        yield AskBar(self._deployment)
        yield Static(id="tabs")
        with_title = (
            Horizontal(
                Chart("memory", words.size, id="memory"),
                Chart("cpu, cores", lambda value: f"{value:.2g}", id="cpu"),
                Chart("probe latency", words.duration, id="latency"),
                id="plots",
            ),
            Horizontal(
                self._titled(FindingList(id="findings"), "findings"),
                Vertical(
                    self._titled(ReplicaPane(id="replicas-pane"), "replicas"),
                    self._titled(
                        Vertical(Static(id="workers-why"), Table(self._worker_cells, id="workers"), id="workers-pane"),
                        "workers",
                    ),
                    self._titled(VerticalScroll(Static(id="settings-text"), id="settings"), "settings"),
                    id="facts",
                ),
                id="middle",
            ),
            self._titled(Vertical(LogView(id="log"), FilterBar("a part of a line …"), id="log-pane"), "log"),
        )
        yield Vertical(*with_title, id="panes")

    @staticmethod
    def _titled(widget: Widget, title: str) -> Widget:
        widget.border_title = title
        widget.add_class("pane")
        return widget

    def subject(self) -> DeploymentId | None:
        """The deployment that is shown."""
        return self._deployment

    # Drawing

    def on_mount(self) -> None:
        """Begins to read what the report does not hold."""
        self.query_one("#workers", Table).set_columns(facts.WORKER_COLUMNS)
        self.set_interval(LOG_SECONDS, self._ask_lines)
        self.post_message(messages.Looked(Interest(focused=self._deployment, visible=frozenset({self._deployment}))))
        self.action_pane(self._pane)

    def on_resize(self, event: events.Resize) -> None:
        """All panes at once, or tabs."""
        self.set_class(event.size.width < 140 or event.size.height < 36, "-tabs")
        self.show_report()
        self.call_after_refresh(self._draw_settings)

    def turn_back(self) -> None:
        """The log is read anew."""
        self.query_one(LogView).clear()

    def show_report(self) -> None:
        """Draws the panes that differ."""
        now = self.report.snapshot.taken_at
        deployment = self.report.snapshot.find(self._deployment)
        tone: words.Tone = "unknown"
        if deployment is not None:
            tone = rows.calm(deployment, self.report.snapshot.targets[deployment.target].link.state)
        opens = self.report.undecided.get(self._deployment, ())
        self.query_one(FindingList).show(self.report.of(self._deployment), opens, now, tone)
        self._show_tabs()
        if deployment is None:
            gone = Text(f"{self._deployment} is not listed any more; this was its last state", "yellow")
            self.query_one("#head", Static).update(gone)
            return
        width = max(40, (self.size.width or self.app.size.width) - 2)
        head = facts.head(deployment, now, width)
        self.set_class("\n" in head.plain, "-long-name")
        self.query_one("#head", Static).update(head)
        if deployment is not self._seen:
            self._seen = deployment
            self._workers = facts.worker_keys(deployment)
            workers = self.query_one("#workers", Table)
            workers.show_rows(list(self._workers))
            why = self.query_one("#workers-why", Static)
            why.update(facts.no_workers(deployment))
            why.display = not self._workers
            self.set_class(len(deployment.replicas) > 1 or deployment.orchestrated is not None, "-several")
            self.query_one(ReplicaPane).show(deployment, now)
            self._draw_settings()
            self._ask_series()
            self._draw_plots()

    def _draw_settings(self) -> None:
        if self._seen is not None:
            width = self.query_one("#settings").size.width - 3
            self.query_one("#settings-text", Static).update(facts.settings(self._seen, max(30, width)))

    def _worker_cells(self, key: str) -> Sequence[Cell]:
        return facts.worker_cells(self._workers[key])

    def _show_tabs(self) -> None:
        self.query_one("#tabs", Static).update(facts.tabs(PANES, self._pane, self.report.of(self._deployment)))

    def _shown(self, pane: Pane) -> bool:
        return not self.has_class("-tabs") or self._pane == pane

    # Series and log lines come from the session

    def _ask_series(self) -> None:
        if not self._asked_series and self._shown("plots"):
            self._asked_series = True
            self.post_message(messages.SeriesWanted(self._deployment, plots.METRICS, self._take_series))

    def _take_series(self, series: plots.Series | Problem) -> None:
        self._asked_series = False
        if not isinstance(series, Problem) and self.is_mounted:
            self._series = series
            self._draw_plots()

    def _draw_plots(self) -> None:
        if self._seen is not None and self._shown("plots"):
            self.query_one("#memory", Chart).show(plots.memory(self._seen, self._series))
            self.query_one("#cpu", Chart).show(plots.cpu(self._seen, self._series))
            chart = self.query_one("#latency", Chart)
            chart.name_it(plots.latency_title(self._seen))
            chart.show(plots.latency(self._seen, self._series))

    def _ask_lines(self) -> None:
        if not self._asked_lines and self._shown("log") and self.mode.paused_at is None and self.is_current:
            self._asked_lines = True
            newest = self.query_one(LogView).newest
            self.post_message(messages.LinesWanted(self._deployment, newest, self._take_lines))

    def _take_lines(self, lines: Sequence[LogLine] | Problem) -> None:
        self._asked_lines = False
        if self.is_mounted and not isinstance(lines, Problem):
            self.query_one(LogView).extend(lines)

    def on_log_view_changed(self) -> None:
        """Says what the log shows."""
        log = self.query_one(LogView)
        follow, onward, backward = (hints.key(self, f"log_{name}") for name in ("follow", "next", "previous"))
        self.query_one("#log-pane").border_title = log.title(follow, onward, backward)
        self.query_one(FilterBar).count(log.matching, log.total)

    def on_descendant_focus(self) -> None:
        """The log's keys are told while it has them."""
        self.on_log_view_changed()

    # What a person does

    def action_pane(self, pane: str) -> None:
        """Shows a pane and gives it the keys."""
        for each in PANES:
            self.set_class(each == pane, f"-{each}")
            if each == pane:
                self._pane = each
        self._show_tabs()
        if self._pane in _FOCUS:
            self.query_one(_FOCUS[self._pane]).focus(scroll_visible=False)
        else:
            self.set_focus(None)
        self._ask_series()
        self.call_after_refresh(self._draw_plots)
        self.call_after_refresh(self._draw_settings)
        self._ask_lines()
        self.refresh_bindings()

    def action_zoom(self) -> None:
        """The pane that has the keys fills the screen, or leaves it."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            around = (w for w in self.focused.ancestors_with_self if isinstance(w, Widget))
            pane = next((w for w in around if w.has_class("pane")), None)
            if pane is not None:
                self.maximize(pane, container=False)

    def action_back(self) -> None:
        """Out of the filter, then out of here."""
        bar = self.query_one(FilterBar)
        if bar.display:
            bar.clear()
        else:
            self.app.pop_screen()

    def action_fix(self) -> None:
        """The answer to the selected finding."""
        finding = self.query_one(FindingList).current
        if finding is None:
            self.notify("Nothing is found to be wrong here.", markup=False)
        else:
            self.post_message(messages.FixOpened(finding))

    def action_undo(self) -> None:
        """The latest change, taken back."""
        self.post_message(messages.UndoOpened())

    def action_profile(self) -> None:
        """Where the workers spend their time."""
        self.post_message(messages.ProfileOpened(self._deployment))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The databases' key is there where there is something to answer."""
        if action == "database":
            return askable(self.report.snapshot.find(self._deployment), self.mode)
        return super().check_action(action, parameters)

    def action_database(self) -> None:
        """The question whether databases may be asked, in full."""
        self.query_one(AskBar).ask()

    def action_filter(self) -> None:
        """A filter for the log."""
        if self.has_class("-tabs"):
            self.action_pane("log")
        self.query_one(FilterBar).open()

    def on_filter_bar_changed(self, event: FilterBar.Changed) -> None:
        """Typing narrows the log."""
        self.query_one(LogView).filter(event.text)

    def on_filter_bar_closed(self) -> None:
        """The keys are the log's again."""
        self.query_one(LogView).focus()

    def action_copy(self) -> None:
        """The log line under the cursor, or the selected finding with its evidence."""
        line, finding = self.query_one(LogView).current, self.query_one(FindingList).current
        if isinstance(self.focused, LogView) and line is not None:
            self.post_message(messages.Copied(line.text, "a log line"))
        elif finding is not None:
            text = findings.plain(self._deployment, (finding,), self.report.snapshot.taken_at)
            self.post_message(messages.Copied(text, "the finding and its evidence"))
