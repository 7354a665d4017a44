"""Every key on every screen, and what an engine may have seen of it."""

from __future__ import annotations

import string
import time
from collections.abc import Sequence
from typing import Any

from textual.binding import Binding
from textual.pilot import Pilot

from tests.console._fastops import Done
from tests.proxy import Proxy

READS = {"GET", "HEAD"}
LEAVING = {"q", "ctrl+q", "ctrl+c"}
KEYS = [
    *string.ascii_letters,
    "enter",
    "space",
    "tab",
    "delete",
    "ctrl+s",
    "ctrl+r",
    "ctrl+d",
    "ctrl+x",
    "ctrl+k",
    "f5",
]
"""Pressed on every screen beside those that are bound there."""
WAYS = {
    "fleet": (),
    "deployment": ("enter",),
    "workers": ("enter", "3"),
    "log": ("l",),
    "history": ("h",),
    "profile": ("p",),
}
"""How each screen is reached from the fleet."""


def only_reads(proxy: Proxy) -> None:
    """What reached the engine were reads, and there were some."""
    assert proxy.requests, "nothing was asked at all"
    assert not proxy.writes
    assert {one.method for one in proxy.requests} <= READS


def refused(done: Done) -> None:
    """Ended with 4 and a sentence."""
    assert done.status == 4, done.said
    assert "read-only" in done.err, done.said
    assert "Traceback" not in done.err


async def waiting(pilot: Pilot[None], what: str, deadline_seconds: float, holds: Any) -> None:
    """Lets the application run until something holds."""
    end = time.monotonic() + deadline_seconds
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        await pilot.pause(0.05)


async def home(pilot: Pilot[None]) -> None:
    """Back to the fleet, with nothing typed into its filter."""
    app = pilot.app
    while len(app.screen_stack) > 1:
        app.pop_screen()
        await pilot.pause()
    await pilot.press("escape", "escape")
    await pilot.pause()


def bound(pilot: Pilot[None]) -> set[str]:
    """Every key that is bound where the application is."""
    keys: set[str] = set()
    for _, binding, *_ in pilot.app.screen.active_bindings.values():
        assert isinstance(binding, Binding)
        keys |= set(binding.key.split(","))
    return keys


async def press_everything(pilot: Pilot[None], needle: str, way: Sequence[str]) -> None:
    """Presses every key where ``way`` leads to from the deployment that ``needle`` leaves in the fleet."""
    app = pilot.app
    typed = [{"-": "minus", "/": "slash", ":": "colon", " ": "space"}.get(c, c) for c in needle]

    async def there() -> None:
        await home(pilot)
        await pilot.press("slash", *typed, "enter", *way)

    await there()
    screen, depth = type(app.screen), len(app.screen_stack)
    keys = dict.fromkeys([*KEYS, *sorted(bound(pilot))])
    for key in keys.keys() - LEAVING:
        await pilot.press(key)
        if type(app.screen) is not screen or len(app.screen_stack) != depth:
            await pilot.press("enter", "y")  # whoever asks gets a yes
            await there()
