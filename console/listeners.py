"""Who is told of each new report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from fixes.model import Report

Listener = Callable[[Report], None]


class Listeners:
    """May come and go from any thread, also while they are told."""

    def __init__(self) -> None:
        self._all: list[Listener] = []

    def __iter__(self) -> Iterator[Listener]:
        return iter(tuple(self._all))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Adds one; the returned function takes it out again."""
        self._all.append(listener)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._all.remove(listener)

        return unsubscribe
