"""Performs steps on a Docker Engine and on the Compose files of this machine, and takes them back."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes import text
from probes.intent import Desired, RestorePoint, Step
from probes.target import Refused, Unreadable
from probes.targets.docker.atomic import FileWriter
from probes.targets.docker.client import EngineClient, EngineError
from probes.targets.docker.containers import Containers, grace_of
from probes.targets.docker.documents import name_of
from probes.targets.docker.guards import refuse_joined, refuse_recreate
from probes.targets.docker.keep import discard
from probes.targets.docker.ready import READY_SECONDS, SETTLE_SECONDS, Expected, NotReady, wait_ready
from probes.targets.docker.recreate import Recreate
from probes.targets.docker.remake import Remade, remake
from probes.targets.docker.update import Update

Progress = Callable[[str], None]


class DockerWriter:
    """The writer of one engine; see :class:`probes.target.Writer`.

    Beside :class:`Refused` it raises ``Unreadable`` and ``EngineError`` where the engine did not answer while something
    was put back: then the same call completes it later.
    """

    def __init__(
        self, client: EngineClient, ready_seconds: float = READY_SECONDS, settle_seconds: float = SETTLE_SECONDS
    ) -> None:
        """``ready_seconds`` until a new container must be in service, ``settle_seconds`` that it must stay up."""
        self._client = client
        self._containers = Containers(client)
        self._ready_seconds = ready_seconds
        self._settle_seconds = settle_seconds
        self._recreate = Recreate(self._containers, self._draft, self._wait)
        self._update = Update(self._containers)
        self._files = FileWriter()

    async def perform(self, step: Step, change: str, progress: Progress) -> RestorePoint:
        """Performs or completes a step; raises :class:`Refused` after having put back what it had begun."""
        if step.action == "recreate":
            return await self._recreate.perform(step, change, progress)
        if step.action == "update":
            return await self._update.perform(step, progress)
        if step.action == "write-file":
            return self._files.perform(step, change, progress)
        if step.action == "restart":
            return await self._restart(step, progress)
        raise Refused(f"Docker knows no step of the kind {step.action}.")

    async def abandon(self, step: Step, change: str, progress: Progress) -> None:
        """Takes back what an interrupted ``perform`` of this step left, whatever that is."""
        if step.action == "recreate":
            await self._recreate.abandon(step, change, progress)
        elif step.action == "update":
            await self._update.abandon(step, progress)
        elif step.action == "write-file":
            self._files.abandon(step, change, progress)
        elif step.action == "restart":
            await self._started(step.subject)

    async def restore(self, point: RestorePoint, change: str, progress: Progress) -> None:
        """Takes a performed step back; raises :class:`Refused` when what is there is not what the step left."""
        if point.action == "recreate":
            await self._recreate.restore(point, change, progress)
        elif point.action == "update":
            await self._update.restore(point, progress)
        elif point.action == "write-file":
            self._files.restore(point, progress)
        else:
            progress("a restart leaves nothing to take back")

    async def check(self, point: RestorePoint, change: str) -> None:
        """Raises :class:`Refused` where ``restore`` would, for what can be told without a change."""
        if point.action == "recreate":
            await self._recreate.check(point, change)
        elif point.action == "update":
            await self._update.check(point)
        elif point.action == "write-file":
            self._files.check(point)

    async def discard(self, point: RestorePoint) -> None:
        """Removes what was kept for an undo that will not come; raises :class:`Refused` for the only copy of files."""
        if point.action == "recreate":
            await discard(self._containers, point)
        elif point.action == "write-file":
            self._files.discard(point)

    async def _draft(self, step: Step) -> Remade:
        """What the step would make now; raises :class:`Refused` unless that is what was shown."""
        inspect = await self._containers.inspect(step.subject)
        if inspect is None:
            raise Refused("The container is gone; plan again.")
        refuse_recreate(inspect)
        await refuse_joined(self._containers, inspect)
        said = step.arguments
        packages, hard = said["packages"], said["known_hard"]
        assert isinstance(packages, dict)
        want = msgspec.convert(said["want"], type=Desired)
        made = await remake(self._client, inspect, want, packages, hard if isinstance(hard, int) else None)
        if (made.before.version, made.after.version) != (step.before.version, step.after.version):
            raise Refused(f"{text.clean(name_of(inspect), 200)} was changed since the diff was made; plan again.")
        return made

    async def _wait(self, container: str, step: Step, progress: Progress) -> None:
        ports, healthy = step.arguments["answers"], step.arguments["healthy"]
        assert isinstance(ports, (list, tuple))
        expected = Expected(ports=tuple(ports), healthy=bool(healthy))
        await wait_ready(self._containers, container, expected, progress, self._ready_seconds, self._settle_seconds)

    async def _restart(self, step: Step, progress: Progress) -> RestorePoint:
        """Once: a container that a request started since the plan was made is only waited for.

        Such a start sets the engine's count of restarts to zero, one by the restart policy raises it: so a container
        that came back by itself between the diff and the yes is restarted all the same.
        """
        inspect = await self._containers.inspect(step.subject)
        if inspect is None:
            raise Refused("The container is gone; plan again.")
        name = text.clean(name_of(inspect), 200)
        state = inspect["State"]
        try:
            asked_for = state["StartedAt"] != step.arguments["started_at"] and not inspect.get("RestartCount")
            if not (state["Running"] and asked_for):
                progress(f"restarting {name}")
                await self._containers.restart(step.subject, grace_of(inspect))
            await self._wait(step.subject, step, progress)
        except (EngineError, NotReady, Unreadable) as error:
            raise Refused(f"{name} did not come back: {text.line(str(error), 500).rstrip('. ')}.") from None
        return RestorePoint(action="restart", subject=step.subject, left=step.after.version)

    async def _started(self, container: str) -> None:
        """A restart that was cut off between stop and start is completed: that is the state before it."""
        inspect = await self._containers.inspect(container)
        if inspect is not None and not inspect["State"].get("Running"):
            await self._containers.start(container)
