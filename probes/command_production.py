"""Taking the flags away that are meant for development: reloading of code, ``fastapi dev``, debug pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from probes.command_edit import CannotRewrite, Editor
from probes.intent import Desired
from probes.server_options import Program
from probes.servers import ServerCommand

# As their documentation lists them: docs.gunicorn.org/en/stable/settings.html, uvicorn.dev/settings,
# hypercorn.readthedocs.io, `granian --help`, fastapi.tiangolo.com/fastapi-cli; --debug was uvicorn's until 0.19.
_FLAGS: Mapping[Program, tuple[str, ...]] = {
    "gunicorn": ("--reload", "--reload-engine", "--reload-extra-file"),
    "uvicorn": ("--reload", "--debug", "--reload-dir", "--reload-include", "--reload-exclude", "--reload-delay"),
    "fastapi": ("--reload", "--reload-dir"),
    "hypercorn": ("--reload", "--debug"),
    "granian": (
        "--reload",
        "--reload-paths",
        "--reload-ignore-dirs",
        "--reload-ignore-patterns",
        "--reload-ignore-paths",
        "--reload-tick",
        "--reload-ignore-worker-failure",
        "--no-reload-ignore-worker-failure",
    ),
}
_VARIABLES: Mapping[Program, str] = {"uvicorn": "UVICORN_RELOAD", "granian": "GRANIAN_RELOAD"}
_ONE_WORKER = {"uvicorn", "fastapi"}
"""These run one worker while they reload, whatever number they are given."""


def drop(editor: Editor, command: ServerCommand, program: Program, want: Desired) -> None:
    """Edits the command so that nothing reloads; raises :class:`CannotRewrite` where something else asks for that.

    ``want.bind_host`` is what ``fastapi run`` shall listen on where nothing says it; its default differs from
    ``fastapi dev``'s. The number of workers that ``want`` may have is written by others, and told of here.
    """
    host = want.bind_host
    reload = command.settings.get("reload")
    _refuse_ambiguous(editor, program)
    for given in editor.given(_FLAGS[program]):
        editor.remove(given)
    if program == "fastapi" and editor.texts[:1] == ["dev"]:
        editor.replace_argument(0, "run")
        told = command.settings.get("host")
        if told is not None and told.source == "default":
            if host is None:
                editor.notes.append("fastapi run listens on all interfaces; fastapi dev listened on 127.0.0.1.")
            else:
                editor.append("--host", host)
    if reload is None or reload.value is not True:
        return
    variable = _VARIABLES.get(program)
    own = variable is not None and editor.own_variable(variable)
    if variable is not None and own:
        editor.set_variable(variable, "false")
    if program == "gunicorn":
        editor.drop_from_variable("GUNICORN_CMD_ARGS", _FLAGS[program])
    if reload.source not in {"command line", "default", "GUNICORN_CMD_ARGS", variable if own else None}:
        raise CannotRewrite(f"reload is switched on by {reload.source}, and no option switches it off: change it there")
    configured = command.settings.get("workers")
    workers = want.gunicorn.get("workers", configured.value if configured is not None else 1)
    if program in _ONE_WORKER and isinstance(workers, int) and workers > 1:
        editor.notes.append(f"Its {workers} workers start now: while it reloaded code it ran one.")


def _refuse_ambiguous(editor: Editor, program: Program) -> None:
    """Raises where a beginning of several options may be one of those that have to go (argparse takes a clear one)."""
    known = editor.table.values | editor.table.flags
    for given in editor.scan.given if editor.table.abbreviates else ():
        meant = [flag for flag in _FLAGS[program] if given.flag.startswith("--") and flag.startswith(given.flag)]
        if meant and given.flag not in known:
            raise CannotRewrite(f"{given.flag} may stand for {meant[0]} or for another option: write it out first")


def check(command: ServerCommand | None) -> None:
    """Raises where the command still reloads after it was rewritten: no edit reached what asks for that."""
    reload = None if command is None else command.settings.get("reload")
    if reload is not None and reload.value is True:
        raise CannotRewrite(f"it would still reload by {reload.source}, which cannot be edited where it stands")
