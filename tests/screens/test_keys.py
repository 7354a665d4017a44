"""What can be configured of the keys is what the screens bind; what cannot work is said."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from console.app import FastopsApp
from console.recording.app import ReplayApp
from screens import keys
from screens.advice import ProfileScreen
from screens.change import ChangeScreen
from screens.deployment import DeploymentScreen
from screens.fix import FixScreen
from screens.fleet import FleetScreen
from screens.history import HistoryScreen
from screens.question import QuestionScreen
from screens.widgets.findinglist import FindingList
from screens.widgets.logview import LogView
from screens.widgets.table import Table

CLASSES: Mapping[str, type[DOMNode]] = {
    "app": FastopsApp,
    "replay": ReplayApp,
    "fleet": FleetScreen,
    "deployment": DeploymentScreen,
    "change": ChangeScreen,
    "fix": FixScreen,
    "history": HistoryScreen,
    "profile": ProfileScreen,
    "question": QuestionScreen,
    "table": Table,
    "findings": FindingList,
    "log": LogView,
}


def test_the_keys_are_those_that_the_screens_bind() -> None:
    bound = {
        name: {each.id: each.key for each in of.BINDINGS if isinstance(each, Binding) and each.id}
        for name, of in CLASSES.items()
    }
    assert bound == {name: dict(group) for name, group in keys.GROUPS.items()}


def test_what_is_bound_by_default_is_no_clash() -> None:
    assert keys.problem({}) is None


@pytest.mark.parametrize(
    "configured",
    [{"fix": "F"}, {"fix": "x", "open": "o"}, {"fix": "s", "sort": "f"}, {"sort": "comma"}, {"up": "w,up"}],
)
def test_keys_that_differ_are_fine(configured: Mapping[str, str]) -> None:
    assert keys.problem(configured) is None


@pytest.mark.parametrize(
    ("configured", "says"),
    [
        ({"fxi": "F"}, "there is no key 'fxi'"),
        ({"fix": "s"}, "fix and sort are both on s"),
        ({"fix": "x", "open": "x"}, "open and fix are both on x"),
        ({"undo": "/"}, "both on slash"),
        ({"fix": "k"}, "fix and up are both on k"),
        ({"fix": ""}, "names no key"),
        ({"fix": "ctrl+c"}, "always leaves the console"),
    ],
)
def test_keys_that_cannot_work_are_said(configured: Mapping[str, str], says: str) -> None:
    assert says in (keys.problem(configured) or "")
