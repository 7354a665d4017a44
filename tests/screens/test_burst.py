"""Keys that come in with one read act as if they were typed one after another."""

from __future__ import annotations

import asyncio
import time

import pytest
from textual import events
from textual.widgets import Input

from screens.deployment import DeploymentScreen
from screens.fix import FixScreen
from screens.fleet import FleetScreen
from screens.help import HelpScreen
from screens.question import QuestionScreen
from screens.widgets.filterbar import FilterBar
from screens.widgets.logview import LogView
from tests.screens.fake import FakeSession
from tests.screens.harness import burst, opened, press, seen, until
from tests.screens.test_fleet import names


@pytest.mark.parametrize("word", ["orders", "frontdesk", "jjqfffuuu?hs", "a/b c"])
async def test_what_follows_a_slash_goes_into_the_filter(word: str) -> None:
    async with opened(FakeSession()) as pilot:
        screen = pilot.app.screen
        before = screen.subject() if isinstance(screen, FleetScreen) else None
        await burst(pilot, "/", *word)
        await until(pilot, lambda: screen.query_one(FilterBar).text == word)
        assert pilot.app.screen is screen, "no letter acted as a key"
        await burst(pilot, "escape")
        await until(pilot, lambda: len(names(screen)) == 7)
        assert screen.subject() == before, "no letter moved the cursor"


async def test_keys_behind_the_enter_of_a_filter_are_the_tables_again() -> None:
    async with opened(FakeSession()) as pilot:
        await burst(pilot, "/", *"search", "enter", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DeploymentScreen))
        assert pilot.app.screen.subject() == "docker/search"


async def test_a_filter_is_opened_and_typed_into_once_more() -> None:
    async with opened(FakeSession()) as pilot:
        screen = pilot.app.screen
        await burst(pilot, "/", *"orders", "enter", "/", *"auth", "enter", "j")
        await until(pilot, lambda: screen.query_one(FilterBar).text == "auth")
        assert names(screen) == ["auth"]


async def test_keys_go_to_the_screen_that_the_key_before_them_opened() -> None:
    async with opened(FakeSession()) as pilot:
        await burst(pilot, "down", "enter", "l", "/", *"fill")
        await until(pilot, lambda: isinstance(pilot.app.screen, DeploymentScreen))
        await until(pilot, lambda: pilot.app.screen.query_one(LogView).needle == "fill")
        await burst(pilot, "escape", "escape", "?")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))


async def test_a_paste_behind_a_slash_goes_into_the_filter() -> None:
    async with opened(FakeSession()) as pilot:
        screen = pilot.app.screen
        await burst(pilot, "/")
        driver = pilot.app._driver
        assert driver is not None
        for event in (events.Key("escape", None), events.Key("slash", "/"), events.Paste("orders")):
            event.set_sender(pilot.app)
            driver.send_message(event)
        await until(pilot, lambda: screen.query_one(FilterBar).text == "orders")


async def test_a_yes_that_was_typed_before_the_diff_was_seen_changes_nothing() -> None:
    session = FakeSession()
    async with opened(session) as pilot:
        await burst(pilot, "down", "f", "enter", "y")
        await until(pilot, lambda: isinstance(pilot.app.screen, FixScreen) and pilot.app.screen.stage == "asking")
        await burst(pilot, "x")  # what waited before it has had its effect
        assert session.calls("apply") == []
        await pilot.pause()
        await press(pilot, "y")
        await until(pilot, lambda: session.calls("apply") != [])


async def test_a_yes_that_was_typed_before_its_question_was_seen_is_none() -> None:
    answers: list[bool | None] = []
    async with opened(FakeSession()) as pilot:

        def ask() -> None:
            pilot.app.push_screen(QuestionScreen("May it?"), answers.append)

        pilot.app.call_later(ask)
        await burst(pilot, "y", "y")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuestionScreen))
        assert answers == []
        await pilot.pause()
        await press(pilot, "y")
        await until(pilot, lambda: answers == [True])


async def test_a_screen_that_does_not_answer_holds_up_the_keys_for_a_moment_alone() -> None:
    async with opened(FakeSession()) as pilot:
        free = asyncio.Event()
        pilot.app.screen.call_later(asyncio.wait_for, free.wait(), 20)
        driver = pilot.app._driver
        assert driver is not None
        for key in ("?", "ctrl+c"):
            driver.send_message(events.Key(key, None))
        end = time.monotonic() + 10
        while pilot.app._exit is False:
            assert time.monotonic() < end, "the key that leaves waits for a screen"
            await asyncio.sleep(0.01)
        free.set()


async def test_all_keys_of_a_long_burst_arrive_in_order() -> None:
    async with opened(FakeSession()) as pilot:
        text = "".join(chr(97 + n % 26) for n in range(150))
        await burst(pilot, "/", *text)
        await until(pilot, lambda: pilot.app.screen.query_one(Input).value == text)
        assert "Nothing matches" in seen(pilot)
        await press(pilot, "escape")
