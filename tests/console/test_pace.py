"""Reports come soon where there is nothing to show yet, and seldom where much changes."""

from __future__ import annotations

from msgspec.structs import replace

from console import pace
from probes.base import DeploymentId
from tests.screens.reports import CHECKOUT, DOCKER, report, state


def test_the_first_rows_do_not_wait_and_a_large_fleet_is_told_less_often() -> None:
    few = report(state(DOCKER, (CHECKOUT,)))
    empty = report(state(DOCKER, ()))
    many = report(
        state(DOCKER, tuple(replace(CHECKOUT, id=DeploymentId(f"{DOCKER}/{n}")) for n in range(pace.MANY + 1)))
    )
    assert pace.pause_seconds(empty, settled=False) < pace.pause_seconds(few, settled=False)
    assert pace.pause_seconds(few, settled=False) < pace.pause_seconds(few, settled=True)
    assert pace.pause_seconds(few, settled=True) < pace.pause_seconds(many, settled=True)
    assert pace.pause_seconds(many, settled=False) == pace.pause_seconds(few, settled=False)
