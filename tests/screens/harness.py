"""Runs the application without a terminal, at a fixed size and a fixed time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from console.app import FastopsApp
from tests.screens.fake import FakeSession
from tests.screens.reports import NOW

SMALL, LARGE = (80, 24), (200, 50)


@asynccontextmanager
async def opened(
    session: FakeSession, size: tuple[int, int] = SMALL, keymap: dict[str, str] | None = None
) -> AsyncIterator[Pilot[None]]:
    """The application on a session, painted once."""
    app = FastopsApp(session, keymap=keymap, clock=lambda: NOW)
    app.theme = "fastops"
    app.animation_level = "none"
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: bool(session.listeners))
        await pilot.pause()
        yield pilot


async def until(pilot: Pilot[None], holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        await pilot.pause(0.01)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Presses keys and lets the screen settle after each."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


def seen(pilot: Pilot[None]) -> str:
    """The text on the screen, without colours."""
    height = pilot.app.size.height
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in lines[:height])


async def burst(pilot: Pilot[None], *keys: str) -> None:
    """Has keys come in with one read, as over SSH or from a clipboard, then lets the screen settle."""
    driver = pilot.app._driver
    assert driver is not None
    for key in keys:
        event = events.Key(_character_to_key(key) if len(key) == 1 else key, key if len(key) == 1 else None)
        event.set_sender(pilot.app)
        driver.send_message(event)
    await pilot.pause()
