"""The answer to a finding: choose a remedy, set its parameters, read the diff, say yes, see whether it helped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from fixes.model import Finding, Parameter, Plan, RemedyId, Report
from fixes.values import shown
from probes.base import DeploymentId
from screens import findings, messages, words
from screens.change import ChangeScreen
from screens.mode import Mode
from screens.widgets.table import Cell, Column, Table

if TYPE_CHECKING:
    from textual.widgets import Input


class Remedies(Table):
    """A few lines that need no pages: the keys for them turn those of the diff."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup,ctrl+b", "screen.page_diff(-1)", "page the diff up", show=False, id="page_up"),
        Binding("pagedown,ctrl+f", "screen.page_diff(1)", "page the diff down", show=False, id="page_down"),
    ]


class FixScreen(ChangeScreen):
    """One finding and its remedies."""

    AUTO_FOCUS = "#remedies"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "edit values", id="edit"),
    ]

    def __init__(self, finding: Finding, report: Report, mode: Mode) -> None:
        super().__init__(report, mode)
        self._finding = finding
        self._offers = {str(o.id): o for o in sorted(finding.remedies, key=lambda offer: not offer.applicable)}
        self._remedy: RemedyId | None = None
        self._parameters: tuple[Parameter, ...] = ()
        self._typed: dict[str, str] = {}

    def choices(self) -> Iterable[Widget]:
        """The remedies, those that apply first, and the parameters of the chosen one."""
        yield Remedies(self._cells, id="remedies")
        yield Vertical(id="parameters")

    def what(self) -> Text:
        """The finding."""
        text = Text(end="")
        text.append("fix ", "dim")
        width = self.size.width or self.app.size.width
        text.append(f"{words.middle(self._finding.deployment, width * 2 // 5)}  ", "bold")
        text.append_text(findings.headline(self._finding, self.report.snapshot.taken_at))
        return text

    def about(self) -> DeploymentId:
        """The finding's."""
        return self._finding.deployment

    def on_mount(self) -> None:
        """Shows the remedies; the base class then asks for the plan of the first that applies."""
        self._fill()

    def _fill(self) -> None:
        table = self.query_one("#remedies", Table)
        widest = max((len(o.title) for o in self._offers.values()), default=10)
        room = max(20, (self.size.width or self.app.size.width) - 4)
        title = min(widest, room // 2)
        table.set_columns(
            (Column("mark", "", 1), Column("title", "REMEDY", title), Column("why", "", room - title - 4))
        )
        table.show_rows(list(self._offers))
        table.styles.height = len(self._offers) + 1

    def on_resize(self) -> None:  # type: ignore[override]  # Textual calls the base class's handler too
        """The columns fill the width."""
        self._fill()

    def _cells(self, key: str) -> Sequence[Cell]:
        offer = self._offers[key]
        if offer.applicable:
            mark = "▸" if offer.id == self._remedy else " "
            return (Cell(mark, "bold cyan"), Cell(offer.title), Cell(str(offer.id), "dim"))
        return (Cell("✗", "dim"), Cell(offer.title, "dim"), Cell(offer.why_not or "not possible here", "dim"))

    # The plan

    def request(self) -> None:
        """Asks for the plan of the remedy under the cursor."""
        table = self.query_one("#remedies", Table)
        offer = self._offers.get(table.cursor or "")
        if offer is None:
            self.waiting("There is no remedy for this finding yet; its evidence is all there is.")
            return
        if offer.id != self._remedy:
            self._typed = {}
        self._remedy = offer.id
        table.refresh()
        if not offer.applicable:
            asked = self.waiting("")
            self.take_plan(asked, messages.Problem(offer.why_not or "This is not possible here."))
            self._show_parameters(())
            return
        asked = self.waiting("reading what is there …")
        values = dict(self._typed)
        wish = messages.PlanWanted(self._finding, offer.id, values, lambda plan: self.take_plan(asked, plan))
        self.post_message(wish)

    def on_table_moved(self, event: Table.Moved) -> None:
        """Another remedy, another plan."""
        event.stop()
        if self.stage not in ("applying", "asking", "typing") and event.key != self._remedy:
            self.request()

    def planned(self, plan: Plan) -> None:
        """Shows the parameters with their values."""
        self._show_parameters(plan.parameters)
        for parameter, row in zip(plan.parameters, self._values(), strict=False):
            if parameter.name in plan.values and not row.has_focus:
                row.value = shown(plan.values[parameter.name], parameter.unit)

    def _values(self) -> list[Input]:
        from textual.widgets import Input  # noqa: PLC0415 - many remedies have nothing to set

        return list(self.query(".value").results(Input))

    def _show_parameters(self, parameters: tuple[Parameter, ...]) -> None:
        box = self.query_one("#parameters")
        box.set_class(bool(parameters), "-some")
        if parameters == self._parameters:
            return
        self._parameters = parameters
        box.remove_children()
        if not parameters:
            return
        from textual.widgets import Input  # noqa: PLC0415 - many remedies have nothing to set

        rows, widest = [], max(cell_len(p.title) for p in parameters)
        for p in parameters:
            default = self.plan.values.get(p.name, p.default) if self.plan else p.default
            title = Static(p.title, classes="title", markup=False)
            title.styles.width = widest + 1  # the values stand below each other
            rows.append(
                Horizontal(
                    title,
                    Input(shown(default, p.unit), compact=True, name=p.name, classes="value"),
                    Static(_range(p), classes="range", markup=False),
                    classes="parameter",
                )
            )
        box.mount_all(rows)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Values can be edited where there are some."""
        if action == "edit" and not (self._parameters and self.stage in ("planned", "failed")):
            return False
        return super().check_action(action, parameters)

    def action_edit(self) -> None:
        """Gives the keys to the first value."""
        self._values()[0].focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """A value was typed: another plan. A name that was asked for is the base class's."""
        if event.input.name is None:
            return
        event.stop()
        self._typed = {each.name or "": each.value for each in self._values()}
        self.query_one("#remedies").focus()
        self.request()

    def action_back(self) -> None:
        """Out of a value, then as always."""
        if self.focused is not None and self.focused.name in self._typed.keys() | {p.name for p in self._parameters}:
            self.query_one("#remedies").focus()
        else:
            super().action_back()

    def perform(self, plan: Plan, confirm: str | None) -> None:
        """Has the fix applied."""
        self.post_message(messages.ApplyWanted(plan, confirm, self.show_progress, self.take_outcome))


def _range(parameter: Parameter) -> str:
    low, high, unit = parameter.minimum, parameter.maximum, parameter.unit
    if low is not None and high is not None:
        return f"{shown(low, unit)} … {shown(high, unit)}"
    if low is not None:
        return f"at least {shown(low, unit)}"
    return f"at most {shown(high, unit)}" if high is not None else ""
