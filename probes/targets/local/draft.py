"""Drafts changes of local services; reads only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from probes import command as commands
from probes import text
from probes.base import DeploymentId, Value
from probes.intent import Desired, Intent, Restart, Step
from probes.model import Deployment
from probes.procfs import ProcFs
from probes.target import Refused
from probes.targets.local import capabilities, documents, settings_file, supervised
from probes.targets.local.find import Master

DEFAULT_FILE = "gunicorn.conf.py"
_OVERRIDING = {"command line": "on the command line", "GUNICORN_CMD_ARGS": "in GUNICORN_CMD_ARGS"}
# Names of the configuration file that the rest of fastops calls otherwise.
_OTHER_NAMES = {"preload_app": "preload"}


class LocalDrafter:
    """Implements :class:`probes.target.Drafter`."""

    def __init__(self, procfs: ProcFs, master: Callable[[DeploymentId], Master | None]) -> None:
        self._procfs = procfs
        self._master = master

    async def draft(self, deployment: Deployment, want: Intent) -> Sequence[Step]:
        """The steps that make ``want`` true; raises :class:`Refused`."""
        master = self._master(deployment.id)
        if master is None:
            raise Refused(f"{deployment.name} does not run now, so there is nothing to change.")
        able = capabilities.capabilities(master)
        if isinstance(want, Restart):
            _permit(able["restart"])
            return (await self._restart(master),)
        if not isinstance(want, Desired):
            raise Refused("Local processes are neither scaled nor rolled back from here.")
        steps: list[Step] = []
        if want.memory_limit_bytes is not None:
            raise Refused(able["memory-limit"] or "")
        if want.bind_host is not None:
            raise Refused(able["bind"] or "")
        if want.open_files_limit is not None:
            _permit(able["nofile"])
            steps += await asyncio.to_thread(self._limits, master, want.open_files_limit)
        if want.gunicorn or want.server is not None:
            _permit(able["gunicorn"])
            if master.command is not None and master.command.server == "gunicorn" and want.server != "uvicorn":
                steps += self._configuration(master, want.gunicorn)
            else:
                steps += await self._command(master, want)
        if want.production:
            _permit(able["command"])
            steps += await self._command(master, want)
        return tuple(steps)

    async def _restart(self, master: Master) -> Step:
        if master.supervised is not None:
            summary = f"restart {master.supervised.service} through its supervisor"
        else:
            summary = " ".join(capabilities.restart_command(master) or ())
        nothing = documents.document(f"restart:{master.replica}", "none", summary, "")
        return Step(
            action="restart", summary=summary, before=nothing, after=nothing, subject=master.replica, restarts=True
        )

    def _limits(self, master: Master, wanted: int) -> list[Step]:
        found = documents.processes(self._procfs, self._procfs.tree(), master)
        now = documents.open_file_limits(found)
        if not now:
            raise Refused(f"process {master.pid} has ended.")
        raised = [(role, max(soft, min(wanted, hard)), hard) for role, soft, hard in now]
        if raised == now:
            return []
        title = f"limits of process {master.pid} and its workers"
        identity = f"limits:{master.replica}"
        lasting = (
            f"LimitNOFILE={wanted} in {master.origin.unit}"
            if master.origin.unit is not None
            else f"ulimit -n {wanted} before the command that starts it"
        )
        notes = [f"It lasts until the service is restarted; for good: {lasting}."]
        if wanted > min(hard for _, _, hard in now):
            notes.append(f"The hard limit allows {min(hard for _, _, hard in now)}.")
        return [
            Step(
                action="set-limits",
                summary=f"prlimit --nofile={min(soft for _, soft, _ in raised)}: for {master.pid} and its workers",
                before=documents.document(identity, "process-limits", title, documents.limits_text(now)),
                after=documents.document(identity, "process-limits", title, documents.limits_text(raised)),
                subject=master.replica,
                arguments={
                    "soft": wanted,
                    "former": {role: [soft, hard] for role, soft, hard in reversed(now)},
                    "notes": notes,
                    "resumable": True,
                },
            )
        ]

    def _configuration(self, master: Master, wanted: Mapping[str, Value]) -> list[Step]:
        command = master.command
        assert command is not None
        settings: dict[str, Value] = {}
        for name, value in wanted.items():
            present = command.settings.get(_OTHER_NAMES.get(name, name))
            if present is not None and present.value == value:
                continue
            if present is not None and present.source in _OVERRIDING:
                place = _OVERRIDING[present.source]
                raise Refused(f"{name} = {present.value} stands {place}, which outranks the file: change it there.")
            settings[name] = value
        if not settings:
            return []
        path = _config_path(master)
        before = documents.read_file(path)
        directory = path.parent
        if not os.access(path if before is not None else directory, os.W_OK) or not os.access(directory, os.W_OK):
            raise Refused(f"{path} cannot be written by this user.")
        environment = self._procfs.environ(master.pid) or {}
        after = settings_file.edited(before or "", settings, environment)
        if after == before:  # written since it was read last: what its master told of itself may be newer
            return []
        identity, title = f"file:{path}", str(path)
        notes = [] if before is not None else [f"Every gunicorn that starts in {directory} without --config reads it."]
        return [
            Step(
                action="reload",
                summary=f"write {path} and send HUP to gunicorn {master.pid}, after checking both",
                before=documents.document(identity, "gunicorn-config", title, before or ""),
                after=documents.document(identity, "gunicorn-config", title, after),
                subject=master.replica,
                arguments={"path": str(path), "created": before is None, "resumable": True, "notes": notes},
            )
        ]

    async def _command(self, master: Master, want: Desired) -> list[Step]:
        whom = master.supervised
        if whom is None:
            raise Refused("It cannot be restarted with another command from here.")
        described = await supervised.ask(whom, "describe")
        environment = self._procfs.environ(master.pid) or {}
        try:
            found = commands.rewrite(
                described.argv,
                environment,
                want,
                master.recognition.packages,
                lambda path: self._procfs.read_file(master.pid, path),
                master.working_dir or "/",
            )
        except commands.CannotRewrite as error:
            raise Refused(str(error)) from None
        if dict(found.environment) != environment:
            raise Refused("Its settings stand in its environment, which cannot be changed from here.")
        if text.arguments(described.argv) != described.argv:
            raise Refused("Its command line holds a secret, which the journal could not keep for an undo.")
        if found.argv == described.argv:
            return []
        identity, title = f"command:{whom.service}", f"command of {whom.service}"
        return [
            Step(
                action="restart",
                summary=f"restart {whom.service} with the new command through its supervisor",
                before=documents.document(identity, "none", title, documents.command_text(described.argv)),
                after=documents.document(identity, "none", title, documents.command_text(found.argv)),
                subject=master.replica,
                arguments={
                    "notes": list(found.notes),
                    "socket": whom.socket,
                    "service": whom.service,
                    "former": list(described.argv),
                },
                restarts=True,
            )
        ]


def _permit(why_not: str | None) -> None:
    if why_not is not None:
        raise Refused(why_not)


def _config_path(master: Master) -> Path:
    """The configuration file in force, else the one that gunicorn would read: ``./gunicorn.conf.py``."""
    command = master.command
    assert command is not None
    found = command.config_file
    if found is not None:
        return Path(found)
    if master.working_dir is None:
        raise Refused("Its directory cannot be read by this user.")
    return Path(master.working_dir) / DEFAULT_FILE
