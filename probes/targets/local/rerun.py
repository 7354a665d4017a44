"""Restarts a local service through whoever started it: its supervisor, or systemd."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

from probes.intent import RestorePoint, Step
from probes.procfs import ProcFs
from probes.target import Refused
from probes.targets.local import capabilities, documents, supervised
from probes.targets.local.find import Master
from probes.text import line

Masters = Callable[[], Mapping[str, Master]]
Progress = Callable[[str], None]
UP_SECONDS = 60.0
"""For a restarted service to listen."""
_POLL_SECONDS = 0.2


class Restarter:
    """``restart``, with another command where the step has one."""

    def __init__(self, procfs: ProcFs, masters: Masters) -> None:
        self._procfs = procfs
        self._masters = masters

    async def perform(self, step: Step, progress: Progress) -> RestorePoint:
        """Restarts; goes back to the former command where the service does not listen with the new one."""
        master = self._masters().get(step.subject)
        if master is None:
            raise Refused("It was restarted since the diff was made; plan again.")
        point = RestorePoint(action="restart", subject=step.subject, left=step.after.version)
        ports = {one.port for one in self._procfs.listeners(master.pid, (master.pid, *self._below(master.pid))) or ()}
        if master.supervised is None:
            await self._unit(master, ports, progress)
            return point
        whom = master.supervised
        former = (await supervised.ask(whom, "describe")).argv
        wanted = documents.command_of(step.after.text)
        if wanted and documents.sha256(documents.command_text(former)) != step.before.version:
            raise Refused("Its command was changed since the diff was made; plan again.")
        progress(f"restarting {whom.service}")
        try:
            await self._supervised(whom, wanted, ports)
        except Refused as error:
            if wanted:
                progress("it does not listen: going back to the former command")
                with contextlib.suppress(Refused):
                    await self._supervised(whom, former, ports)
            raise error from None
        if not wanted:
            return point
        data = {"socket": whom.socket, "service": whom.service, "former": list(former)}
        return RestorePoint(action="restart", subject=step.subject, left=step.after.version, data=data)

    async def restore(self, point: RestorePoint, progress: Progress) -> None:
        """Restarts with the former command; a mere restart has nothing to take back."""
        await self._back(point.data, point.left, progress)

    async def check(self, point: RestorePoint) -> None:
        """Raises as :meth:`restore`, changes nothing."""
        await self._former_in_force(point.data, point.left)

    async def abandon(self, step: Step, progress: Progress) -> None:
        """Goes back to the former command where the new one is in force; another command is somebody else's."""
        whom, _ = _former(step.arguments)
        if whom is None:
            return
        described = await supervised.ask(whom, "describe")
        if documents.sha256(documents.command_text(described.argv)) == step.after.version:
            await self._back(step.arguments, step.after.version, progress)

    async def _back(self, data: Mapping[str, object], left: str, progress: Progress) -> None:
        whom, argv = _former(data)
        if whom is None or await self._former_in_force(data, left):
            return
        progress(f"restarting {whom.service} with the former command")
        await self._supervised(whom, argv, set())

    @staticmethod
    async def _former_in_force(data: Mapping[str, object], left: str) -> bool:
        """Whether nothing is to be put back; raises :class:`Refused` where the command is somebody else's."""
        whom, argv = _former(data)
        if whom is None:
            return True
        described = await supervised.ask(whom, "describe")
        if described.argv != argv and documents.sha256(documents.command_text(described.argv)) != left:
            raise Refused("Its command was changed since; it is left as it is.")
        return described.argv == argv

    async def _supervised(self, whom: supervised.Supervised, argv: tuple[str, ...], ports: set[int]) -> None:
        reply = await supervised.ask(whom, "restart", argv)
        if reply.pid is None:
            raise Refused(f"{whom.service} ended right after its start; its log says why.")
        pid = reply.pid
        await self._listening(lambda: pid, ports, whom.service)

    async def _unit(self, master: Master, ports: set[int], progress: Progress) -> None:
        command = capabilities.restart_command(master)
        if command is None:
            raise Refused(capabilities.capabilities(master)["restart"] or "It cannot be restarted from here.")
        progress(" ".join(command))
        try:
            async with asyncio.timeout(UP_SECONDS):
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                )
                _, errors = await process.communicate()
        except (OSError, TimeoutError) as error:
            raise Refused(f"systemctl did not restart it: {str(error) or 'time-out'}") from None
        if process.returncode:
            raise Refused(f"systemctl did not restart it: {line(errors, 300)}")
        unit = master.origin.unit

        def first() -> int | None:
            return next((m.pid for m in self._masters().values() if m.origin.unit == unit), None)

        await self._listening(first, ports, unit or "it")

    async def _listening(self, first: Callable[[], int | None], ports: set[int], name: str) -> None:
        """Waits until the service listens again (on a port that it had, where it had any)."""
        deadline = time.monotonic() + UP_SECONDS
        seen = False
        while time.monotonic() < deadline:
            pid = await asyncio.to_thread(first)
            alive = pid is not None and self._procfs.stat(pid)
            if pid is not None and alive and alive.state != "Z":
                seen = True
                found = self._procfs.listeners(pid, (pid, *self._below(pid))) or ()
                if found and (not ports or ports & {one.port for one in found}):
                    return
            elif seen:
                raise Refused(f"{name} ended after its start; its log says why.")
            await asyncio.sleep(_POLL_SECONDS)
        raise Refused(f"{name} does not listen {UP_SECONDS:g} s after its start; its log says why.")

    def _below(self, pid: int) -> tuple[int, ...]:
        return self._procfs.tree().descendants(pid)


def _former(data: Mapping[str, object]) -> tuple[supervised.Supervised | None, tuple[str, ...]]:
    """Whom to ask for the former command, and the command; nobody where the command was not changed."""
    former = data.get("former")
    if not isinstance(former, list | tuple) or not former:
        return None, ()
    whom = supervised.Supervised(socket=str(data["socket"]), service=str(data["service"]))
    return whom, tuple(str(one) for one in former)
