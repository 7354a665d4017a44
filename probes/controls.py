"""Asks the masters of gunicorn by their control sockets: once each, and again while their loops are in question.

The configuration of a master changes with a reload alone, which replaces its workers: when none of those lives any more
that it had, it is asked again. Who does not answer is asked ever more seldom.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from probes import control
from probes.aside import Aside
from probes.base import ReplicaId
from probes.control import Control
from probes.model import HttpSample, StackSample, Worker
from probes.procfs import ProcFs
from probes.target import Access, Unreadable

QUESTIONED_SECONDS = 5.0
"""Between two questions to one whose loop is in question."""
SILENT_SECONDS = (2.0, 60.0)
"""Before one is asked again that has no socket or did not answer: it may be starting, so first soon, then seldom."""
AT_ONCE = 16
"""So many are asked of those whose time has come, before others may come first: the longest unasked."""
SLOW_SECONDS = 0.5
_WITHIN_SECONDS = 2 * control.SECONDS
_LOOKED_AT = 2


class Subject(NamedTuple):
    """A replica that gunicorn serves, on this machine."""

    replica: ReplicaId
    workers: Sequence[Worker]
    """The master among them."""
    questioned: bool
    """Whether it is looked at, in trouble, or answered late."""


class _Asked(NamedTuple):
    master: tuple[int, object]
    workers: frozenset[int]
    at: float
    unanswered: int
    """How often in a row it said nothing."""


class Controls:
    """Asks one master at a time, in a thread of its own, and hands on what it told."""

    def __init__(self, procfs: ProcFs, access: Access, told: Callable[[ReplicaId, Control], None]) -> None:
        self._procfs = procfs
        self._access = access
        self._told = told
        self._aside = Aside("fastops-control")
        self._asked: dict[ReplicaId, _Asked] = {}
        self._task: asyncio.Task[None] | None = None

    def look(self, subjects: Iterable[Subject]) -> None:
        """Begins to ask whose time has come, unless somebody is being asked."""
        if self._task is not None and not self._task.done():
            return
        every = list(subjects)
        now = time.monotonic()
        due = [one for one in every if self._due(one, now)]
        self._asked = {one.replica: self._asked[one.replica] for one in every if one.replica in self._asked}
        if due:
            due.sort(key=lambda one: self._asked[one.replica].at if one.replica in self._asked else 0.0)
            self._task = asyncio.create_task(self._ask(due[:AT_ONCE]))

    async def end(self) -> None:
        """Ends what is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _due(self, subject: Subject, now: float) -> bool:
        master, serving = _known(subject)
        if master is None or not serving:
            return False
        before = self._asked.get(subject.replica)
        if before is None or before.master != master:
            return True
        age = now - before.at
        if before.unanswered:
            return age >= min(SILENT_SECONDS[1], SILENT_SECONDS[0] * (1 << min(before.unanswered - 1, 8)))
        return age >= QUESTIONED_SECONDS and (subject.questioned or before.workers.isdisjoint(serving))

    async def _ask(self, subjects: Sequence[Subject]) -> None:
        for one in subjects:
            workers = tuple(one.workers)
            try:
                found = await self._aside.call(
                    lambda workers=workers: control.ask(self._procfs, workers),  # type: ignore[misc]
                    within_seconds=_WITHIN_SECONDS,
                )
            except TimeoutError:
                found = None
            master, serving = _known(one)
            assert master is not None
            before = self._asked.get(one.replica)
            tries = before.unanswered if before is not None and before.master == master else 0
            self._asked[one.replica] = _Asked(master, serving, time.monotonic(), 0 if found is not None else tries + 1)
            if found is not None:
                self._told(one.replica, await self._looked_at(one.replica, found))

    async def _looked_at(self, replica: ReplicaId, found: Control) -> Control:
        """With a look at the stacks of workers that are late: it tells what holds them, or that nothing does."""
        stacks: list[StackSample] = []
        for beat in [one for one in found.heartbeats if one.late][:_LOOKED_AT]:
            try:
                stacks.append(await self._access.stacks(replica, beat.pid))
            except Unreadable:
                break
        return replace(found, stacks=tuple(stacks)) if stacks else found


def _known(subject: Subject) -> tuple[tuple[int, object] | None, frozenset[int]]:
    master = next(((one.pid, one.started_at) for one in subject.workers if one.role == "master"), None)
    return master, frozenset(one.pid for one in subject.workers if one.role == "worker")


def in_question(probes: Iterable[HttpSample]) -> bool:
    """Whether one of the latest answers was late."""
    latest = list(probes)[-3:]
    return any(one.error == "timeout" or (one.error is None and one.took_seconds >= SLOW_SECONDS) for one in latest)
