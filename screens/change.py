"""A change from its diff to its verification: shown, asked about, applied, judged. Fixes and undos share it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar, Literal

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from fixes.model import Entry, Outcome, Plan, Report
from probes.base import DeploymentId
from screens import hints, messages, verdict
from screens.base import OpsScreen
from screens.messages import Problem
from screens.mode import Mode
from screens.turns import Asked
from screens.widgets import diff
from screens.widgets.namefield import NameField
from screens.widgets.progressbox import ProgressBox

Stage = Literal["waiting", "planned", "asking", "typing", "applying", "done", "failed"]


class ChangeScreen(OpsScreen):
    """One plan and what becomes of it. Subclasses say where the plan comes from and who carries it out."""

    CSS_PATH = "change.tcss"
    AUTO_FOCUS = "#diff-box"
    VERB: ClassVar[str] = "Apply"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "apply", "apply…", id="apply"),
        Binding("y", "yes", "yes", id="yes"),
        Binding("n", "no", "no", id="no"),
        Binding("y", "copy", "copy", id="copy"),
        Binding("u", "take_back", "undo", id="undo"),
        Binding("tab", "app.focus_next", "on to the diff", show=False, id="focus_next"),
        Binding("pageup,ctrl+b", "page_diff(-1)", "page the diff up", show=False, id="page_up"),
        Binding("pagedown,ctrl+f", "page_diff(1)", "page the diff down", show=False, id="page_down"),
        Binding("escape", "back", "back", id="back"),
    ]

    def __init__(self, report: Report, mode: Mode) -> None:
        super().__init__(report, mode)
        self.plan: Plan | None = None
        self.outcome: Outcome | None = None
        self._undone: verdict.Undone = None
        self.stage: Stage = "waiting"
        self._asked, self._warned = 0, False
        self._question = Asked(self)

    def body(self) -> Iterable[Widget]:
        """What it is about, the choices of a subclass, the diff, the question and the answer."""
        yield Static(id="what")
        yield from self.choices()
        yield Static(id="plan")
        box = VerticalScroll(Static(id="diff"), id="diff-box", can_focus=True)
        box.border_title = "what will change"
        yield box
        yield ProgressBox(id="progress-box")
        yield Vertical(Static(id="question"), NameField(id="typed"), id="ask")

    def choices(self) -> Iterable[Widget]:
        """Widgets between the head line and the plan."""
        return ()

    def what(self) -> Text:
        """The head line."""
        raise NotImplementedError

    def request(self) -> None:
        """Asks for the plan."""
        raise NotImplementedError

    def perform(self, plan: Plan, confirm: str | None) -> None:
        """Has the plan carried out."""
        raise NotImplementedError

    def subject(self) -> DeploymentId | None:
        """The deployment that is changed."""
        return None if self.plan is None else self.plan.deployment

    def on_mount(self) -> None:
        """Asks for the plan at once."""
        self.query_one("#what", Static).update(self.what())
        self.request()

    def on_resize(self, event: events.Resize) -> None:
        """A low screen keeps its lines for the diff; an advice is made for the width."""
        self.set_class(event.size.height < 34, "-small")
        self.call_after_refresh(self._draw_diff)

    # The plan

    def waiting(self, text: str) -> int:
        """Shows that a plan is made; returns the number that its answer must carry."""
        self._asked += 1
        self.plan = self.outcome = self._undone = None
        self._enter("waiting")
        self.query_one("#plan", Static).update(Text(text, "dim"))
        self.query_one("#diff", Static).update("")
        return self._asked

    def take_plan(self, asked: int, plan: Plan | Problem) -> None:
        """Shows the plan, unless another one was asked for since."""
        if asked != self._asked or not self.alive:
            return
        if isinstance(plan, Problem):
            self._enter("failed")
            self.query_one("#plan", Static).update(Text(plan.text, "yellow"))
            return
        self.plan = plan
        box = self.query_one("#diff-box")
        box.border_title = Content("what will change" if plan.advice is None else plan.advice.title)  # never markup
        self._draw_diff()
        box.scroll_home(animate=False)
        self._enter("planned")
        self.show_frame()
        self.planned(plan)

    def _draw_diff(self) -> None:
        if self.plan is None:
            return
        advice, width = self.plan.advice, self.query_one("#diff-box").scrollable_content_region.width
        text = diff.render(self.plan.changes) if advice is None else verdict.advice(advice, width)
        small, room = self.has_class("-small"), max(20, self.size.width - 2)
        told, above = verdict.told(self.plan, self.app.console, room, hints.key(self, "page_down"), small=small)
        self._warned = bool(above.plain)
        self.query_one("#plan", Static).update(told)
        self.query_one("#diff", Static).update(above.append_text(text))

    def planned(self, plan: Plan) -> None:
        """A subclass may show more of the plan."""

    def _enter(self, stage: Stage) -> None:
        self.stage = stage
        self.set_class(stage in ("asking", "typing"), "-asking")
        self.set_class(stage in ("asking", "typing", "applying", "done"), "-decided")
        self.set_class(self.query_one(ProgressBox).begun or stage == "applying", "-progress")
        self.set_class(
            self.plan is not None and not (self.plan.changes or self.plan.advice or self._warned), "-no-diff"
        )
        question = self.query_one("#question", Static)
        key = partial(hints.key, self)
        question.update(
            verdict.question(self.VERB, self.plan, stage, self.outcome, key, self._undone, undo=self.can_undo)
        )
        question.display = stage in ("asking", "typing", "applying", "done") or self._ready()
        self.refresh_bindings()

    def _ready(self) -> bool:
        return self.stage == "planned" and self.plan is not None and self.plan.advice is None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what fits the stage."""
        fits = {
            "yes": self.stage == "asking",
            "no": self.stage in ("asking", "typing"),
            "apply": self._ready(),
            "copy": self.stage not in ("asking", "typing") and self.plan is not None,
            "take_back": self._applied() and self._undone is None and self.can_undo,
        }
        if not fits.get(action, True):
            return False
        return super().check_action(action, parameters)

    can_undo: ClassVar[bool] = True

    # The question

    def action_apply(self) -> None:
        """Asks: yes or no, or the name where a yes is not enough."""
        if self.plan is None:
            return
        self.set_focus(None)
        if self.plan.confirm is None:
            self._enter("asking")
            self._question.again()
            return
        self._enter("typing")
        self.query_one(NameField).ask()

    def on_name_field_typed(self, event: NameField.Typed) -> None:
        """The name was typed."""
        if self.plan is not None and self.stage == "typing":
            subject = self.plan.deployment
            found = self.report.snapshot.find(subject)
            name = found.name if found is not None else subject.rsplit("/", 1)[-1]
            if event.text in (name, subject):
                self._start(name)
            else:
                self.notify(f"That is not {name}; nothing was changed.", severity="warning", markup=False)

    def action_yes(self) -> None:
        """Goes ahead."""
        if self.stage == "asking" and self._question.answered():
            self._start(None)

    def action_no(self) -> None:
        """Changes nothing."""
        if self.stage in ("asking", "typing"):
            self._enter("planned")
            self.query_one("#diff-box").focus()

    def _start(self, confirm: str | None) -> None:
        if self.plan is None or not self.mode.writable(self.plan.deployment):
            return
        self.query_one(ProgressBox).start()
        self._enter("applying")
        self.query_one("#diff-box").focus()
        self.perform(self.plan, confirm)

    # What becomes of it

    def show_progress(self, line: str) -> None:
        """One more thing was done."""
        if not self.alive:
            return
        self.query_one(ProgressBox).say(line)
        self.set_class(True, "-progress")

    def take_outcome(self, outcome: Outcome | Problem) -> None:
        """Says what became of it."""
        if not self.alive:
            said = verdict.outcome if self.can_undo else verdict.reverted
            text = outcome.text if isinstance(outcome, Problem) else said(outcome).plain
            self.app.notify(text, markup=False, timeout=15)
            return
        if isinstance(outcome, Problem) and outcome.outdated:
            self.notify("It was changed since: this is the plan as it is now.", severity="warning", markup=False)
            self.request()
            return
        if isinstance(outcome, Problem):
            self._enter("failed")
            self.query_one("#plan", Static).update(Text(outcome.text, "yellow"))
            return
        self.outcome = outcome
        self._enter("done")
        self.query_one(ProgressBox).finish()

    def _applied(self) -> bool:
        return self.stage == "done" and self.outcome is not None and self.outcome.applied

    def on_screen_resume(self) -> None:
        """Back from another screen: what was applied here may have been taken back there."""
        super().on_screen_resume()
        self.look_again()

    def look_again(self) -> None:
        """Reads in the journal whether what was applied here was taken back since."""
        if self._applied() and self.can_undo:
            self.post_message(messages.HistoryWanted(self._take_entries))

    def _take_entries(self, entries: tuple[Entry, ...] | Problem) -> None:
        if isinstance(entries, Problem) or self.outcome is None or not self.alive:
            return
        state = next((entry.state for entry in entries if entry.id == self.outcome.change), None)
        states: dict[str | None, verdict.Undone] = {"undoing": "undoing", "undone": "undone"}
        self._undone = states.get(state)
        self._enter(self.stage)

    def action_take_back(self) -> None:
        """Undoes what was just done."""
        if self.outcome is not None:
            self.post_message(messages.UndoOpened(self.outcome.change))

    def action_copy(self) -> None:
        """The diff, or the code of an advice."""
        if self.plan is not None:
            self.post_message(messages.Copied(*verdict.copied(self.plan)))

    def action_page_diff(self, step: int) -> None:
        """A screenful of the diff, also while it is asked about."""
        box = self.query_one("#diff-box", VerticalScroll)
        box.scroll_relative(y=step * max(1, box.scrollable_content_region.height - 1), animate=False)

    def action_back(self) -> None:
        """Out of the question, then out of here; what is being applied goes on."""
        if self.stage in ("asking", "typing"):
            self.action_no()
            return
        if self.stage == "applying":
            history = hints.key(self, "history")
            self.app.notify(f"It goes on; the journal ({history}) shows how it ends.", markup=False)
        self.app.pop_screen()
