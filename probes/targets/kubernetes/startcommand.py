"""The command by which a container starts its server, with the settings that are certain from here. Pure."""

from __future__ import annotations

import posixpath
from functools import lru_cache
from typing import Literal

import msgspec

from probes import servers, text
from probes.model import Server, Setting
from probes.servers import ServerCommand
from probes.targets.kubernetes.told import Told
from probes.targets.kubernetes.views import ContainerView

FIRST_DIRECTORY = "/proc/1/cwd"
"""Where relative paths begin in a container whose working directory only its image tells."""
_READ_BY_SERVERS = ("UVICORN_", "GUNICORN_", "GRANIAN_", "HYPERCORN_", "WEB_CONCURRENCY", "PORT")
# Variables that give a setting, by server; ``*`` is every server.
_BY_VARIABLE: tuple[tuple[Server | Literal["*"], str, tuple[str, ...]], ...] = (
    ("*", "WEB_CONCURRENCY", ("workers",)),
    ("gunicorn", "PORT", ("bind", "host", "port")),
    ("uvicorn", "PORT", ("port",)),
    ("uvicorn", "UVICORN_HOST", ("host",)),
    ("uvicorn", "UVICORN_PORT", ("port",)),
)


def command(found: ContainerView, told: Told) -> ServerCommand | None:
    """The server's command with the settings that are certain: much that decides the others is not seen from here.

    Where the description has none, the one that was found inside.
    """
    directory = found.working_dir or FIRST_DIRECTORY
    if told.files:
        known = {path: body for path, body in told.files.items() if body is not None}
        given = shown(servers.parse(found.argv, found.environment, known.get, directory))
    else:
        given = _parsed(found.argv, _relevant(found), directory)
    if given is None:
        inside = told.inside.get(found.name)
        return inside.command if inside is not None else None
    certain = given.server != "gunicorn" or _config(found, given) in told.files
    unknown = _by_other_variables(found, given)
    settings = {
        name: setting
        for name, setting in given.settings.items()
        if not (setting.source == "default" and (name in unknown or not certain))
        and not (isinstance(setting.value, str) and "$(" in setting.value)
    }
    return _without_directory(msgspec.structs.replace(given, settings=settings))


def _without_directory(command: ServerCommand) -> ServerCommand:
    """Paths in a directory that is not known by name, as they are given."""
    if not any(one and one.startswith(FIRST_DIRECTORY) for one in (command.config_file, command.app_dir)):
        return command
    head = f"{FIRST_DIRECTORY}/"
    settings = {
        name: Setting(str(one.value).removeprefix(head), one.source.removeprefix(head))
        if isinstance(one.value, str)
        else Setting(one.value, one.source.removeprefix(head))
        for name, one in command.settings.items()
    }
    config = command.config_file.removeprefix(head) if command.config_file else None
    app_dir = command.app_dir.removeprefix(head) if command.app_dir else None
    return msgspec.structs.replace(command, settings=settings, config_file=config, app_dir=app_dir)


@lru_cache(maxsize=2048)
def _parsed(argv: tuple[str, ...], environment: tuple[tuple[str, str], ...], directory: str) -> ServerCommand | None:
    """Many services start by the same words."""
    return shown(servers.parse(argv, dict(environment), servers.no_files, directory))


def _relevant(found: ContainerView) -> tuple[tuple[str, str], ...]:
    """The variables that a command may read: all of them where a shell fills them in."""
    items = found.environment.items()
    if any("$" in one for one in found.argv):
        return tuple(items)
    return tuple(one for one in items if one[0].startswith(_READ_BY_SERVERS))


def shown(command: ServerCommand | None) -> ServerCommand | None:
    """Cleaned and redacted."""
    if command is None:
        return None
    settings = {
        name: Setting(text.line(one.value, 500), one.source) if isinstance(one.value, str) else one
        for name, one in command.settings.items()
    }
    app = text.line(command.app, 300) if command.app is not None else None
    return msgspec.structs.replace(command, settings=settings, app=app)


def config_path(found: ContainerView) -> str | None:
    """The configuration file that decides gunicorn's settings, by absolute path; ``None`` for other servers.

    Where only the image tells the working directory, it is that of the container's first process.
    """
    given = _parsed(found.argv, _relevant(found), found.working_dir or FIRST_DIRECTORY)
    return _config(found, given) if given is not None and given.server == "gunicorn" else None


def _config(found: ContainerView, command: ServerCommand) -> str:
    return command.config_file or posixpath.join(found.working_dir or FIRST_DIRECTORY, "gunicorn.conf.py")


def _by_other_variables(found: ContainerView, command: ServerCommand) -> set[str]:
    """Settings whose default does not hold for certain: a variable gives them whose value is not seen from here."""
    elsewhere = found.environment_from.keys()
    unseen = {name for name in elsewhere if not name.endswith("*")}
    if any(name.endswith("*") for name in elsewhere):
        unseen |= {"WEB_CONCURRENCY", "PORT", "GUNICORN_CMD_ARGS"} - found.environment.keys()
    names: set[str] = set()
    for server, variable, given in _BY_VARIABLE:
        if variable in unseen and server in {"*", command.server}:
            names.update(given)
    if command.server == "gunicorn" and "GUNICORN_CMD_ARGS" in unseen:
        names.update(command.settings)
    return names
