"""Performs steps on a Kubernetes API server, and takes them back."""

from __future__ import annotations

from collections.abc import Callable

from probes.intent import RestorePoint, Step
from probes.target import Refused
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.dryrun import Objects
from probes.targets.kubernetes.made import Made
from probes.targets.kubernetes.offered import Offering
from probes.targets.kubernetes.patched import Patched
from probes.targets.kubernetes.rollout import Patience

Progress = Callable[[str], None]


class KubernetesWriter:
    """The writer of one API server; see :class:`probes.target.Writer`.

    A patch is in force when its rollout is complete: where a replica was ready before and none gets ready afterwards,
    ``perform`` puts the former template back and raises :class:`Refused` with what the new pods said. Where none was
    ready before, the change stays (another cause may be left), and what the pods say is told as progress.
    """

    def __init__(self, client: ApiClient, patience: Patience | None = None) -> None:
        """``patience``: how long rollouts are waited for."""
        objects = Objects(client)
        self._patched = Patched(objects, patience or Patience())
        self._made = Made(objects)
        self._offering = Offering()

    async def perform(self, step: Step, change: str, progress: Progress) -> RestorePoint:
        """Performs or completes a step; raises :class:`Refused` after having put back what it had begun."""
        if step.action in {"patch", "restart"}:
            return await self._patched.perform(step, change, progress)
        if step.action == "create":
            return await self._made.perform(step, change)
        if step.action == "offer-file":
            return self._offering.perform(step, progress)
        raise Refused(f"Kubernetes knows no step of the kind {step.action}.")

    async def abandon(self, step: Step, change: str, progress: Progress) -> None:
        """Takes back what an interrupted ``perform`` of this step left, whatever that is."""
        if step.action == "patch":
            await self._patched.abandon(step, change, progress)
        elif step.action == "create":
            await self._made.remove(step.subject, change, progress)
        elif step.action == "offer-file":
            self._offering.remove(step.subject, step.after.version, progress)

    async def restore(self, point: RestorePoint, change: str, progress: Progress) -> None:
        """Takes a performed step back; raises :class:`Refused` when what is there is not what the step left."""
        if point.action == "patch":
            await self._patched.restore(point, change, progress)
        elif point.action == "create":
            await self._made.remove(point.subject, change, progress)
        elif point.action == "offer-file":
            self._offering.remove(point.subject, point.left, progress)
        else:
            progress("a restart leaves nothing to take back")

    async def check(self, point: RestorePoint, change: str) -> None:
        """Raises :class:`Refused` where ``restore`` would, for what can be told without a change."""
        if point.action == "patch":
            await self._patched.check(point, change)
        elif point.action == "offer-file":
            self._offering.is_there(point.subject, point.left)

    async def discard(self, point: RestorePoint) -> None:
        """Removes what was kept for an undo that will not come: the Secret that held former values of a change."""
        if point.action == "patch":
            await self._patched.discard(point)
