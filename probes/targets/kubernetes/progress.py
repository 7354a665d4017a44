"""How far each kind of object was read, and the little that reading them together needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from probes.base import Failure
from probes.targets.kubernetes.listed import Listed
from probes.targets.kubernetes.views import ObjectView


class Source(Protocol):
    """What is needed of an :class:`ApiClient`."""

    def pages(self, path: str, params: Mapping[str, object] | None = None, *, size: int = 500) -> AsyncIterator[bytes]:
        """The pages of a list."""

    def watch(self, path: str, params: Mapping[str, object] | None = None) -> AsyncIterator[bytes]:
        """The events of a watch."""


class Progress:
    """One kind and how far it was read."""

    def __init__(self, listed: Listed) -> None:
        self.listed = listed
        self.objects: dict[str, ObjectView] = {}
        self.namespace: str | None = None
        self.version: str | None = None
        """Where its watch goes on; ``None``: to be listed."""
        self.narrowed = False
        """It is read in one namespace because reading all is forbidden."""
        self.watchable = listed.watched
        self.failure: Failure | None = None
        self.left_out = 0
        self.tried = False
        self.rest_until = 0.0
        """By the loop's clock: it is not asked for before."""


async def together(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Waits for all; the first failure ends the others and is raised."""
    try:
        if tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
