"""Performs changes of local services: a file and a HUP, limits, restarts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from probes.intent import RestorePoint, Step
from probes.procfs import ProcFs
from probes.target import Refused
from probes.targets.local.find import Finder, Master
from probes.targets.local.reload import Reloader
from probes.targets.local.rerun import Restarter
from probes.targets.local.rlimits import Limiter

Progress = Callable[[str], None]


class LocalWriter:
    """Implements :class:`probes.target.Writer`."""

    def __init__(self, procfs: ProcFs, changed: Callable[[], Awaitable[None]]) -> None:
        """``changed`` is awaited after each change: it measures again, so that nobody judges what was before."""
        self._procfs = procfs
        self._changed = changed
        self._reload = Reloader(procfs, self._masters)
        self._restart = Restarter(procfs, self._masters)
        self._limits = Limiter(procfs, self._masters)

    async def perform(self, step: Step, change: str, progress: Progress) -> RestorePoint:
        """Performs or completes a step."""
        if step.action == "reload":
            point = await self._reload.perform(step, change, progress)
        elif step.action == "set-limits":
            point = self._limits.perform(step, progress)
        elif step.action == "restart":
            point = await self._restart.perform(step, progress)
        else:
            raise Refused(f"a local service knows no {step.action}")
        await self._changed()
        return point

    async def restore(self, point: RestorePoint, change: str, progress: Progress) -> None:
        """Takes a performed step back."""
        del change
        if point.action == "reload":
            await self._reload.restore(point, progress)
        elif point.action == "set-limits":
            self._limits.restore(point, progress)
        elif point.action == "restart":
            await self._restart.restore(point, progress)
        await self._changed()

    async def check(self, point: RestorePoint, change: str) -> None:
        """Raises :class:`Refused` where ``restore`` would, for what can be told without a change."""
        del change
        if point.action == "reload":
            self._reload.check(point)
        elif point.action == "set-limits":
            self._limits.check(point)
        elif point.action == "restart":
            await self._restart.check(point)

    async def abandon(self, step: Step, change: str, progress: Progress) -> None:
        """Takes back what an interrupted step left."""
        if step.action == "reload":
            await self._reload.abandon(step, change, progress)
        elif step.action == "set-limits":
            self._limits.abandon(step, progress)
        elif step.action == "restart":
            await self._restart.abandon(step, progress)

    async def discard(self, point: RestorePoint) -> None:
        """Removes a backup."""
        if point.action == "reload":
            self._reload.discard(point)

    def _masters(self) -> Mapping[str, Master]:
        """What runs now, by replica."""
        found = Finder(self._procfs, unknown=True).masters(self._procfs.tree())
        return {one.replica: one for one in found}
