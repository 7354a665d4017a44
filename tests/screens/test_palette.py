"""What the palette finds."""

from __future__ import annotations

from tests.screens.fake import FakeSession
from tests.screens.harness import LARGE, opened, press, seen, until
from tests.screens.reports import report as incident


async def test_a_remedy_without_a_finding_is_asked_for_there_and_shows_its_plan() -> None:
    session = FakeSession(incident())
    async with opened(session, LARGE) as pilot:
        await press(pilot, "ctrl+p", *"telemetry")
        await until(pilot, lambda: "Let FastAPI send telemetry: docker/" in seen(pilot))
        await press(pilot, "down", "enter")
        await until(pilot, lambda: any(one[0] == "plan" for one in session.asked))
        plan = next(one for one in session.asked if one[0] == "plan")
        assert plan[2:4] == ("enable-telemetry", "enable-telemetry")
        assert "Let FastAPI send telemetry" in seen(pilot)


async def test_where_nothing_may_be_changed_it_is_not_offered() -> None:
    session = FakeSession(incident())
    session.read_only = True
    async with opened(session, LARGE) as pilot:
        await press(pilot, "ctrl+p", *"telemetry")
        await until(pilot, lambda: "No matches" in seen(pilot))
        assert "Let FastAPI" not in seen(pilot)
