"""Keys in turn: each finds the screen and the focus that the one before it left."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.widget import Widget

LONGEST_SECONDS = 2.0
"""How long the effect of one key holds up the next ones: a screen that does not answer takes no keys away."""
KEPT = 4096
"""Keys that wait at most; what comes in beyond that is dropped."""
AT_ONCE = "ctrl+c"
"""The key that waits for no other."""


class Turns(App[None]):
    """An App that hands out keys one by one.

    Textual queues a key where the focus is when the key is read. Many keys that are read at once (over SSH, from a
    clipboard, from somebody who types fast) would thus all go where the first one goes: of ``/frontdesk`` the ``f``
    would open a fix.
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed: deque[events.Key | events.Paste] = deque()
        self._turn: asyncio.Task[None] | None = None
        self._acted_at = 0.0

    def acted_since(self, moment: float) -> bool:
        """Whether the key or click that has its effect now was made after ``moment``, on Textual's clock (monotonic).

        A key that was typed before its question was on the screen answers another one, or none.
        """
        return self._acted_at > moment

    async def on_event(self, event: events.Event) -> None:
        """Hands a key or a paste out when those before it have had their effect, everything else at once."""
        if isinstance(event, (events.MouseDown, events.MouseUp, events.Click)):
            self._acted_at = event.time
        if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded or _at_once(event):
            await super().on_event(event)
        elif self._turn is not None:
            if len(self._typed) < KEPT:
                self._typed.append(event)
        else:
            await self._hand_out(event)

    async def _hand_out(self, event: events.Key | events.Paste) -> None:
        """Lets one event have its effect; what waits comes after it."""
        self._acted_at = event.time
        self._turn = asyncio.create_task(self._settle(self.focused or self.screen))
        await super().on_event(event)

    async def _settle(self, taker: Widget) -> None:
        """Waits until everybody from who took the key up to the App has worked off what followed from it.

        Twice: what a widget says to itself when it gets the key comes behind the first round, and a screen that
        opened has yet to say where its focus is.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SECONDS):
                for pump in taker.ancestors_with_self:
                    await _worked_off(pump)
                for pump in (*taker.ancestors_with_self, *(self.focused or self.screen).ancestors_with_self):
                    await _worked_off(pump)
        self.call_later(self._next)

    async def _next(self) -> None:
        self._turn = None
        if self._typed:
            await self._hand_out(self._typed.popleft())


def _at_once(event: events.Key | events.Paste) -> bool:
    return isinstance(event, events.Key) and event.key == AT_ONCE


async def _worked_off(pump: MessagePump) -> None:
    """Waits until a part has seen all that was posted to it so far; one that was left is not waited for."""
    seen = asyncio.Event()
    if pump.call_later(seen.set):
        await seen.wait()


class Asked:
    """When a question was on the screen, and whether a yes was meant for it."""

    def __init__(self, pump: MessagePump) -> None:
        self._pump = pump
        self._seen_at = math.inf

    def again(self) -> None:
        """The question is put: it counts as seen once it is painted."""
        self._seen_at = math.inf
        self._pump.call_after_refresh(self._painted)

    def _painted(self) -> None:
        self._seen_at = time.monotonic()

    def answered(self) -> bool:
        """Whether the key or click that has its effect now was made by somebody who could see the question."""
        app = self._pump.app
        return isinstance(app, Turns) and app.acted_since(self._seen_at)
