"""The replicas of a deployment, and below them what an orchestrator knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from probes.model import Deployment, Replica
from screens import around, replicas
from screens.widgets.table import Cell, Column, Table


class ReplicaPane(Vertical):
    """A table of replicas that takes the keys, and text that scrolls."""

    DEFAULT_CSS = """
    ReplicaPane {
        & > Table { height: auto; max-height: 8; }
        & > VerticalScroll { height: auto; max-height: 1fr; margin: 1 0 0 0; scrollbar-size-vertical: 1; }
        & > VerticalScroll > Static { height: auto; }
    }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._deployment: Deployment | None = None
        self._now: datetime | None = None
        self._rows: dict[str, Replica] = {}
        self._columns: tuple[Column, ...] = ()

    def compose(self) -> ComposeResult:
        """The table and the text."""
        yield Table(self._cells, id="replicas")
        yield VerticalScroll(Static(id="around"), can_focus=False)

    def show(self, deployment: Deployment, now: datetime) -> None:
        """Draws what differs."""
        self._deployment, self._now = deployment, now
        self._draw()

    def on_resize(self) -> None:
        """Columns and lines are made for the width."""
        self._draw()

    def _draw(self) -> None:
        if self._deployment is None or self._now is None or not self.size.width:
            return
        width = self.size.width - 1
        self._rows = replicas.keys(self._deployment)
        self._columns = replicas.columns(self._deployment, width)
        table = self.query_one(Table)
        table.set_columns(self._columns)
        table.show_rows(list(self._rows))
        text = around.text(self._deployment, self._now, max(30, width))
        self.query_one("#around", Static).update(text)
        self.query_one(VerticalScroll).display = bool(text.plain)

    def _cells(self, key: str) -> Sequence[Cell]:
        assert self._now is not None
        assert self._deployment is not None
        return replicas.cells(self._rows[key], self._deployment, self._columns, self._now)
