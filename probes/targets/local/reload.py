"""Writes gunicorn's configuration file and has the running master read it (HUP), or neither."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from probes import atomic
from probes.http import LOOP_PATH, user_agent
from probes.intent import RestorePoint, Step
from probes.procfs import ProcFs
from probes.target import Refused
from probes.targets.local import documents, trial
from probes.targets.local.find import Master

Masters = Callable[[], Mapping[str, Master]]
Progress = Callable[[str], None]
RELOAD_SECONDS = 180.0
"""For new workers to come up and answer after a HUP; a start-up that loads a model takes its time."""
BACK_SECONDS = 60.0
"""The same for a configuration that is put back: what did not answer before does not answer then."""
ANSWER_SECONDS = 2.0
"""For one request: a worker that is still starting says nothing."""
STEADY_SECONDS = 2.0
"""Workers that live that long did not fail to import the application; whether it started up is asked."""
_POLL_SECONDS = 0.1
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a listener says, not what is bound


class _NoAnswer(Refused):
    """New workers live, and none has answered in time."""


class Reloader:
    """``reload``: the file and the signal are one step, because either alone would be half a change."""

    def __init__(self, procfs: ProcFs, masters: Masters) -> None:
        self._procfs = procfs
        self._masters = masters

    async def perform(self, step: Step, change: str, progress: Progress) -> RestorePoint:
        """Tries the new configuration, then writes and reloads; puts all back where that fails."""
        path = _place(step)
        created = step.arguments.get("created") is True
        master = self._masters().get(step.subject)
        if master is None:
            raise Refused("gunicorn was restarted since the diff was made; plan again.")
        present = documents.read_file(path)
        version = documents.sha256(present or "")
        backup = _backup(path, change)
        if version == step.after.version and (backup.exists() or created):
            progress("the file is written already")
        elif version != step.before.version or (present is None) != created:
            raise Refused(f"{path} was changed since the diff was made; plan again.")
        elif documents.sha256(step.after.text) != step.after.version:
            raise Refused(f"It was interrupted before {path} was written; nothing was changed.")
        else:
            await self._try(master, path, step, change, progress)
            if present is not None:
                _write(backup, present, None)
            _write(path, step.after.text, path if present is not None else None, readable_by=master.key.uid)
        data = {"path": str(path), "backup": None if created else str(backup), "created": created}
        point = RestorePoint(action="reload", subject=step.subject, left=step.after.version, data=data)
        try:
            await self._hang_up(master, progress)
        except BaseException:
            self._put_back(point)
            await self._hang_up_again(step.subject, progress)
            raise
        return point

    async def restore(self, point: RestorePoint, progress: Progress) -> None:
        """Puts the former file back and reloads."""
        path = Path(str(point.data["path"]))
        if not self.check(point):
            return
        master = self._reading(path, point.subject)
        self._put_back(point)
        if master is None:
            progress("gunicorn does not run with this file now; nothing to reload")
        else:
            await self._hang_up_as_before(master, progress)

    def check(self, point: RestorePoint) -> bool:
        """Whether there is something to put back; raises as :meth:`restore`, changes nothing."""
        path = Path(str(point.data["path"]))
        present = documents.read_file(path)
        backup = point.data.get("backup")
        if documents.sha256(present or "") == point.left:
            if isinstance(backup, str) and not _exists(backup):
                raise Refused(f"{backup} is gone: the former text of {path} is not kept any more.")
            return True
        if backup is None and present is None:
            return False
        if isinstance(backup, str) and present is not None and not _exists(backup):
            return False  # put back already
        raise Refused(f"{path} was changed since; it is left as it is.")

    async def abandon(self, step: Step, change: str, progress: Progress) -> None:
        """Takes back what an interrupted ``perform`` left: the trial's file, and the new one where it was written."""
        path = _place(step)
        _trial(path, change).unlink(missing_ok=True)
        created, backup = step.arguments.get("created") is True, _backup(path, change)
        present = documents.read_file(path)
        if documents.sha256(present or "") != step.after.version or not (created or backup.exists()):
            backup.unlink(missing_ok=True)
            return
        data = {"path": str(path), "backup": None if created else str(backup), "created": created}
        point = RestorePoint(action="reload", subject=step.subject, left=step.after.version, data=data)
        await self.restore(point, progress)

    @staticmethod
    def discard(point: RestorePoint) -> None:
        """Removes the backup."""
        backup = point.data.get("backup")
        if isinstance(backup, str):
            Path(backup).unlink(missing_ok=True)

    async def _try(self, master: Master, path: Path, step: Step, change: str, progress: Progress) -> None:
        progress("checking the new configuration and importing the application")
        environment = self._procfs.environ(master.pid)
        if environment is None:
            raise Refused("Its environment cannot be read, so the new configuration could not be tried first.")
        candidate = _trial(path, change)
        worker_class = master.command.settings.get("worker_class") if master.command is not None else None
        former = str(worker_class.value) if worker_class is not None else None
        wanted = _string_setting(step.after.text, "worker_class", environment)
        _write(candidate, step.after.text, path if _exists(path) else None, readable_by=master.key.uid)
        try:
            await trial.check(master, environment, candidate, wanted if wanted != former else None)
        finally:
            candidate.unlink(missing_ok=True)

    def _reading(self, path: Path, replica: str) -> Master | None:
        """The master that runs with this file now: the one of then, or the one that came after it."""
        masters = self._masters()
        if replica in masters:
            return masters[replica]
        same = [m for m in masters.values() if m.command is not None and m.command.server == "gunicorn"]
        return next((m for m in same if m.command is not None and m.command.config_file == str(path)), None)

    @staticmethod
    def _put_back(point: RestorePoint) -> None:
        path, backup = Path(str(point.data["path"])), point.data.get("backup")
        if isinstance(backup, str):
            _write(path, Path(backup).read_bytes().decode(), path)  # bytes: reading text would change its line ends
            Path(backup).unlink(missing_ok=True)
        elif point.data.get("created") is True:
            path.unlink(missing_ok=True)

    async def _hang_up(self, master: Master, progress: Progress, deadline_seconds: float | None = None) -> None:
        """Sends HUP and waits until new workers live and, where it listens on a port, answer.

        A worker answers once the application's start-up is over, and the former workers leave the socket at once.
        Raises :class:`Refused` where none does.
        """
        before = {pid for pid, _, role in self._alive(master) if role == "worker"}
        if not self._alive(master):
            raise Refused("gunicorn has ended.")
        progress(f"HUP to gunicorn {master.pid}")
        try:
            os.kill(master.pid, signal.SIGHUP)
        except OSError as error:
            raise Refused(f"gunicorn {master.pid} cannot be signalled: {error.strerror}") from None
        since: dict[int, float] = {}
        ports = self._ports(master)
        within = RELOAD_SECONDS if deadline_seconds is None else deadline_seconds
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            alive = self._alive(master)
            if not alive:
                raise Refused("gunicorn ended after the HUP; its log says why. Start it again with its own command.")
            now = time.monotonic()
            new = {pid for pid, _, role in alive if role == "worker"} - before
            since = {pid: since.get(pid, now) for pid in new}
            steady = since and min(since.values()) <= now - STEADY_SECONDS
            if steady and await _answered(ports):
                progress(f"{len(new)} new workers")
                return
        raise _NoAnswer(f"no new worker answered within {within:g} s")

    def _ports(self, master: Master) -> tuple[tuple[str, int], ...]:
        """Where its workers are asked."""
        found = self._procfs.listeners(master.pid, (master.pid, *self._procfs.tree().descendants(master.pid))) or ()
        return tuple((_ANY.get(one.address, one.address), one.port) for one in found)

    async def _hang_up_again(self, replica: str, progress: Progress) -> None:
        """After the former file was put back; that the first reload failed is what is told."""
        master = self._masters().get(replica)
        if master is None:
            progress("the former configuration is back; gunicorn does not run")
            return
        try:
            await self._hang_up(master, progress, BACK_SECONDS)
        except Refused as error:
            progress(str(error))

    async def _hang_up_as_before(self, master: Master, progress: Progress) -> None:
        """With the former file, which is back: that nobody answers with it is told; it may have been so before."""
        try:
            await self._hang_up(master, progress, BACK_SECONDS)
        except _NoAnswer as error:
            progress(str(error))

    def _alive(self, master: Master) -> tuple[tuple[int, int, str], ...]:
        return documents.processes(self._procfs, self._procfs.tree(), master)


async def _answered(places: Sequence[tuple[str, int]]) -> bool:
    """Whether a worker said anything on one of these (a refusal of plain HTTP, too); true where there is none."""
    request = f"GET {LOOP_PATH} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {user_agent()}\r\nConnection: close\r\n\r\n"
    for host, port in places:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(request.encode())
                    if await reader.read(1):
                        return True
                finally:
                    writer.close()
    return not places


def _place(step: Step) -> Path:
    """The file itself where the path is a link."""
    return Path(str(step.arguments["path"])).resolve()


def _exists(path: str | Path) -> bool:
    return Path(path).exists()


def _backup(path: Path, change: str) -> Path:
    return path.with_name(f".{path.name}.{change}.backup")


def _trial(path: Path, change: str) -> Path:
    """Beside the file, so that what it reads relative to itself is found; gunicorn wants the ending."""
    return path.with_name(f".{path.stem}.{change}.py")


def _write(path: Path, text: str, like: Path | None, readable_by: int | None = None) -> None:
    """Writes a file as a whole or not at all; mode and owner as ``like``'s, else only its user's."""
    try:
        atomic.replace(path, text.encode(), path.with_name(f"{path.name}.partial"), like=like, reader=readable_by)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from None


def _string_setting(text: str, name: str, environment: Mapping[str, str]) -> str | None:
    from probes import gunicorn_config

    value = gunicorn_config.read(text.encode(), environment).values.get(name)
    return value if isinstance(value, str) else None
