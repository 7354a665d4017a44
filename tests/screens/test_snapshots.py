"""What the screens look like, as pictures.

``FASTOPS_SNAPSHOTS=write pytest tests/screens/test_snapshots.py`` writes them anew; look at them before a commit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot

from fixes.model import Report
from screens.fleet import FleetScreen
from screens.widgets.chart import Chart
from screens.widgets.logview import LogView
from tests.screens import clusters as k
from tests.screens import reports as r
from tests.screens.fake import FakeSession
from tests.screens.harness import LARGE, SMALL, opened, press, seen, until
from tests.screens.test_fix import entry

FOLDER = Path(__file__).parent / "snapshots"
MEDIUM = (130, 34)


def comparable(svg: str) -> str:
    """A picture without the name that rich makes up for each."""
    return re.sub(r"terminal-\d+", "terminal", svg)


def compare(pilot: Pilot[None], name: str, tmp_path: Path) -> None:
    """Fails where the screen differs from the picture that was committed."""
    now = comparable(pilot.app.export_screenshot(title="fastops"))
    kept = FOLDER / f"{name}.svg"
    if os.environ.get("FASTOPS_SNAPSHOTS") == "write":
        FOLDER.mkdir(exist_ok=True)
        kept.write_text(now, encoding="utf-8")
    if now != kept.read_text(encoding="utf-8"):
        differs = tmp_path / f"{name}.svg"
        differs.write_text(now, encoding="utf-8")
        pytest.fail(f"{name} looks different: see {differs} beside {kept}")


def growing(step: int) -> Report:
    """The usual fleet while checkout's memory grows."""
    checkout = r.deployment("checkout", used=300 + 7 * step, cores=0.42, restarts=3, probes=(0.02, 0.05, 0.31))
    orders = r.deployment("shop/orders", used=200 + step * 7 % 13, cores=0.02, probes=(5.0, 5.0, 5.0))
    return r.report(
        r.state(r.DOCKER, (checkout, orders, r.GATEWAY, r.BILLING, r.SEARCH, r.AUTH)), r.state(r.LOCAL, (r.REPORTS,))
    )


async def grow(pilot: Pilot[None]) -> None:
    screen = pilot.app.screen
    assert isinstance(screen, FleetScreen)
    for step in range(30):
        screen.report = growing(step)
    await pilot.pause()


@pytest.mark.parametrize(("size", "name"), [(SMALL, "fleet-80"), (MEDIUM, "fleet-130"), (LARGE, "fleet-200")])
async def test_the_fleet(size: tuple[int, int], name: str, tmp_path: Path) -> None:
    async with opened(FakeSession(), size) as pilot:
        await grow(pilot)
        await press(pilot, "down")
        compare(pilot, name, tmp_path)


async def test_the_fleet_with_everything_to_warn_of(tmp_path: Path) -> None:
    down = r.state(r.DOCKER, (r.CHECKOUT, r.AUTH), "down", why="connection refused", hint="is the engine running?")
    session = FakeSession(r.report(down, r.state(r.LOCAL, (r.REPORTS,)), pending=("20260301-1200-ab",)), read_only=True)
    async with opened(session) as pilot:
        await press(pilot, "space")
        compare(pilot, "fleet-banners", tmp_path)


async def test_an_empty_fleet(tmp_path: Path) -> None:
    hint = "add yourself to the group docker, or set DOCKER_HOST"
    forbidden = r.state(r.DOCKER, (), "forbidden", why="permission denied on /var/run/docker.sock", hint=hint)
    async with opened(FakeSession(r.report(forbidden, r.state(r.LOCAL, ())))) as pilot:
        compare(pilot, "fleet-empty", tmp_path)


def charted(pilot: Pilot[None]) -> Callable[[], bool]:
    return lambda: all(chart._plot.lines for chart in pilot.app.screen.query(Chart).results())


async def test_a_deployment_at_once(tmp_path: Path) -> None:
    async with opened(FakeSession(), LARGE) as pilot:
        await press(pilot, "down", "enter")
        await until(pilot, charted(pilot))
        await until(pilot, lambda: pilot.app.screen.query_one(LogView).total == 400)
        await pilot.pause()
        compare(pilot, "deployment-200", tmp_path)


async def test_a_deployment_in_tabs(tmp_path: Path) -> None:
    async with opened(FakeSession(), SMALL) as pilot:
        await press(pilot, "down", "enter")
        compare(pilot, "deployment-80-findings", tmp_path)
        await press(pilot, "4")
        await until(pilot, lambda: pilot.app.screen.query_one(LogView).total == 400)
        await press(pilot, "N", "slash", *"worker", "enter")
        compare(pilot, "deployment-80-log", tmp_path)


async def test_a_workload_in_production(tmp_path: Path) -> None:
    session = FakeSession(k.report(second=True))
    session.production = frozenset({k.PROD})
    async with opened(session, LARGE) as pilot:
        await press(pilot, "enter")
        await until(
            pilot, lambda: all(chart._plot.lines for chart in list(pilot.app.screen.query(Chart).results())[1:])
        )
        await until(pilot, lambda: pilot.app.screen.query_one(LogView).total == 400)
        await pilot.pause()
        compare(pilot, "workload-200", tmp_path)


async def test_a_fix_and_its_question(tmp_path: Path) -> None:
    async with opened(FakeSession(), LARGE) as pilot:
        await press(pilot, "down", "f")
        compare(pilot, "fix-200", tmp_path)
    async with opened(FakeSession(), SMALL) as pilot:
        await press(pilot, "down", "f", "enter")
        compare(pilot, "fix-80-question", tmp_path)
        await press(pilot, "y")
        await until(pilot, lambda: "✓ gone" in seen(pilot))
        compare(pilot, "fix-80-done", tmp_path)


async def test_the_journal(tmp_path: Path) -> None:
    session = FakeSession()
    session.entries = (entry("20260301-1141-11", "applied", 60), entry("20260301-1111-22", "applying", 90))
    session.entries += (entry("20260228-0900-33", "undone", timedelta(days=1).total_seconds() / 60),)
    async with opened(session, SMALL) as pilot:
        await press(pilot, "h")
        await until(pilot, lambda: "interrupted" in seen(pilot))
        compare(pilot, "history-80", tmp_path)


async def test_help(tmp_path: Path) -> None:
    async with opened(FakeSession(), SMALL) as pilot:
        await press(pilot, "question_mark")
        compare(pilot, "help-80", tmp_path)
