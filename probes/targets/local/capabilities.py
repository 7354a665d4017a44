"""What fixes can be made to a local service, and where not, what a person can run instead."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from functools import lru_cache

from probes import stack, text
from probes.command import CannotRewrite, rewrite
from probes.intent import Desired
from probes.model import Capability
from probes.targets.local.find import Master

_LOOPBACK = "127.0.0.1"


def capabilities(master: Master) -> Mapping[Capability, str | None]:
    """By capability: ``None`` where it can be done here, else one sentence."""
    foreign = _foreign(master)
    return {
        "memory-limit": foreign or _memory(master),
        "nofile": foreign
        or (None if sys.platform == "linux" else "Limits of a running process can be set on Linux only."),
        "gunicorn": foreign or _gunicorn(master),
        "bind": "A local process that listens on loopback is meant to: everything on this machine reaches it.",
        "restart": foreign or _restart(master),
        "command": foreign or _command(master),
        "log-rotation": _log_rotation(master),
        "variables": "A process keeps the environment that it was started with: change it where it is started.",
        "profile": None if stack.program() is not None else "py-spy is not installed beside fastops.",
    }


def command_line(argv: tuple[str, ...], working_dir: str | None) -> str:
    """What a person types to start a service, secrets redacted."""
    shown = shlex.join(text.arguments(argv))
    return f"cd {shlex.quote(text.clean(working_dir))} && {shown}" if working_dir else shown


def restart_command(master: Master) -> tuple[str, ...] | None:
    """The command that restarts its systemd unit; ``None`` where that cannot be done."""
    of = master.origin
    if of.unit is None or shutil.which("systemctl") is None or (not of.user_unit and os.geteuid() != 0):
        return None
    return ("systemctl", "--user", "restart", of.unit) if of.user_unit else ("systemctl", "restart", of.unit)


def _foreign(master: Master) -> str | None:
    if master.origin.container is not None:
        return f"It runs in {master.origin.text()}: change it there."
    uid = master.key.uid
    if os.geteuid() not in (0, uid):
        return f"It belongs to another user (uid {uid}): run fastops as that user or as root."
    return None


def _log_rotation(master: Master) -> str:
    if master.origin.unit is not None:
        return "The journal keeps its output within bounds of its own (SystemMaxUse= in journald.conf)."
    return "Its output goes where whoever started it sends it: rotate that file with logrotate."


def _memory(master: Master) -> str:
    unit = master.origin.unit
    if unit is not None:
        user = "--user " if master.origin.user_unit else ""
        return f"systemd holds the limit of this service; run: systemctl {user}set-property {unit} MemoryMax=1G"
    return (
        "A limit of a running process cannot be raised safely from outside: start it under systemd with MemoryMax=, or "
        "in a container with --memory."
    )


def _gunicorn(master: Master) -> str | None:
    command = master.command
    if command is None:
        return "Its server is started by its own program: change the number of workers there."
    if command.server == "gunicorn":
        preload = command.settings.get("preload")
        if preload is not None and preload.value is True:
            return "gunicorn preloads the application here, so a HUP loads neither code nor workers anew: restart it."
        if not master.argv[0].startswith("/") and ":" in master.argv[0]:
            return "Its process title hides its command, so a new configuration could not be checked first."
        module = command.settings.get("config_file")
        if module is not None and str(module.value).startswith("python:"):
            return f"Its configuration is the module {text.clean(str(module.value))}: change it there."
        return None if master.working_dir is not None else "Its directory cannot be read by this user."
    if master.supervised is not None:
        return None
    if master.origin.unit is not None:
        return (
            f"Its command stands in {master.origin.unit}: change ExecStart= with systemctl edit, and restart the unit."
        )
    return (
        "It cannot be restarted from here because nobody supervises it. Stop it and start it under gunicorn: "
        + command_line(_under_gunicorn(master), master.working_dir)
    )


def _under_gunicorn(master: Master) -> tuple[str, ...]:
    command = master.command
    assert command is not None
    binds = command.binds()
    bind = ("-b", f"{binds[0][0]}:{binds[0][1]}") if binds else ()
    worker = "uvicorn_worker.UvicornWorker" if "uvicorn-worker" in master.recognition.packages else "asgi"
    return ("gunicorn", command.app or "main:app", "-w", "2", "-k", worker, *bind)


def _command(master: Master) -> str | None:
    if master.command is None:
        return "Its server is started by its own program: change it there."
    if master.supervised is not None:
        return None
    if master.origin.unit is not None:
        return (
            f"Its command stands in {master.origin.unit}: change ExecStart= with systemctl edit, and restart the unit."
        )
    return "It cannot be restarted from here because nobody supervises it. Stop it and start it with: " + command_line(
        _for_production(master.argv, _host(master) == _LOOPBACK), master.working_dir
    )


def _host(master: Master) -> object:
    host = master.command.settings.get("host") if master.command is not None else None
    return None if host is None else host.value


@lru_cache(maxsize=256)
def _for_production(argv: tuple[str, ...], on_loopback: bool) -> tuple[str, ...]:
    """A command without what is meant for development, as far as that can be taken away; asked in every sweep."""
    try:
        return rewrite(argv, {}, Desired(production=True, bind_host=_LOOPBACK if on_loopback else None), {}).argv
    except CannotRewrite:
        return argv


def _restart(master: Master) -> str | None:
    if master.supervised is not None or restart_command(master) is not None:
        return None
    if master.origin.unit is not None:
        user = "--user " if master.origin.user_unit else ""
        return f"Restarting the unit needs more rights; run: sudo systemctl {user}restart {master.origin.unit}"
    return (
        f"Nobody supervises it, so nobody would start it again. Stop it with: kill {master.pid} - and start it with: "
        + command_line(master.argv, master.working_dir)
    )
