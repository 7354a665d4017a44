"""Keeps the collector of cycles from going through what stays.

Of a large fleet that takes 0.1 s, and a key waits for it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fixes.model import Report


class Reporting(Protocol):
    """What is needed of a session."""

    def subscribe(self, listener: Callable[[Report], None]) -> Callable[[], None]:
        """Calls the listener with each new report."""


def begin() -> None:
    """Lets the collector begin, where the program has kept it off since its start, and leaves out what was loaded.

    What is loaded stays. Going through it again and again took a tenth of a start.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def spare(session: Reporting) -> None:
    """Leaves out, once every target was read whole, all that lives then; what of it is replaced is freed as ever.

    Only a cycle that ends later is never freed, once. To be called by a program that has the process to itself.
    """
    spared = False

    def listener(report: Report) -> None:
        nonlocal spared
        states = report.snapshot.targets.values()
        if not spared and states and all(state.complete for state in states):
            spared = True
            gc.freeze()

    session.subscribe(listener)
