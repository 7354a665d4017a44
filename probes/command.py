"""Rewriting a server's command so that it has the settings that are wanted, and every other one as before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probes import command_move, command_production, invocation, server_settings
from probes.base import Frozen, Value
from probes.command_edit import CannotRewrite, Editor
from probes.intent import Desired
from probes.server_options import Given, Program
from probes.servers import ReadFile, ServerCommand, command_of, no_files, parse

__all__ = ["CannotRewrite", "Rewritten", "rewrite"]

# gunicorn's names → its options, the last one is what is appended. docs.gunicorn.org/en/stable/settings.html
_GUNICORN: Mapping[str, tuple[str, ...]] = {
    "config": ("-c", "--config"),
    "bind": ("-b", "--bind"),
    "workers": ("-w", "--workers"),
    "worker_class": ("-k", "--worker-class"),
    "threads": ("--threads",),
    "worker_connections": ("--worker-connections",),
    "max_requests": ("--max-requests",),
    "max_requests_jitter": ("--max-requests-jitter",),
    "timeout": ("-t", "--timeout"),
    "graceful_timeout": ("--graceful-timeout",),
    "keepalive": ("--keep-alive",),
    "backlog": ("--backlog",),
    "worker_tmp_dir": ("--worker-tmp-dir",),
    "accesslog": ("--access-logfile",),
    "access_log_format": ("--access-logformat",),
    "errorlog": ("--log-file", "--error-logfile"),
    "loglevel": ("--log-level",),
    "forwarded_allow_ips": ("--forwarded-allow-ips",),
}
_SWITCHES: Mapping[str, str] = {"preload_app": "--preload", "reload": "--reload", "capture_output": "--capture-output"}
_OURS = {"preload_app": "preload"}
_WORKERS = "WEB_CONCURRENCY"
# What the other servers have of it.
_COUNTERPARTS: Mapping[Program, Mapping[str, tuple[str, ...]]] = {
    "uvicorn": {
        "workers": ("--workers",),
        "max_requests": ("--limit-max-requests",),
        "max_requests_jitter": ("--limit-max-requests-jitter",),
        "keepalive": ("--timeout-keep-alive",),
        "graceful_timeout": ("--timeout-graceful-shutdown",),
    },
    "fastapi": {"workers": ("--workers",)},
    "hypercorn": {
        "workers": ("-w", "--workers"),
        "max_requests": ("--max-requests",),
        "max_requests_jitter": ("--max-requests-jitter",),
        "keepalive": ("--keep-alive",),
        "graceful_timeout": ("--graceful-timeout",),
    },
    "granian": {"workers": ("--workers",)},
}


class Rewritten(Frozen, frozen=True):
    """A command as it should be."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    """The whole environment; differs only where a setting stood in a variable (``GUNICORN_CMD_ARGS``, …)."""
    notes: tuple[str, ...] = ()
    """What a person should know, one sentence each: ``gunicorn is not installed: uvicorn's own workers are used``."""


def rewrite(
    argv: Sequence[str],
    environment: Mapping[str, str],
    want: Desired,
    packages: Mapping[str, str],
    read_file: ReadFile = no_files,
    working_dir: str = "/",
) -> Rewritten:
    """The command with what ``want`` says of the server; other limits are not its business.

    That is ``want.bind_host``, ``want.gunicorn``, ``want.server`` and ``want.production``.

    ``packages`` are the distributions that the service can import. With ``want.server`` (or settings of
    ``want.gunicorn`` for a service under uvicorn) the manager changes; where gunicorn is not among ``packages``,
    ``workers`` goes to uvicorn's own ``--workers`` and a note says so. Rewriting twice changes nothing more.
    Raises :class:`CannotRewrite`.
    """
    made = _rewritten(argv, environment, want, packages, read_file, working_dir)
    if want.production:
        command_production.check(parse(made.argv, made.environment, read_file, working_dir))
    return made


def _rewritten(
    argv: Sequence[str],
    environment: Mapping[str, str],
    want: Desired,
    packages: Mapping[str, str],
    read_file: ReadFile,
    working_dir: str,
) -> Rewritten:
    found = invocation.find(argv, environment, read_file, working_dir)
    command = None if found is None else command_of(found, read_file)
    if found is None or command is None or found.server is None:
        raise CannotRewrite("the command starts no server that is known: its settings stand in the program's own code")
    editor = Editor(found, found.server, environment)
    if want.production:
        command_production.drop(editor, command, found.server, want)
    if found.server == "gunicorn":
        if want.server == "uvicorn":
            raise CannotRewrite("a service under gunicorn is not moved to uvicorn's own workers")
        _gunicorn(editor, command, want)
    elif found.server in ("uvicorn", "fastapi") and (want.server == "gunicorn" or (want.gunicorn and not want.server)):
        if "gunicorn" in packages:
            moved = command_move.to_gunicorn(editor, command, found.server, want, packages)
            return Rewritten(argv=moved, environment=editor.environment, notes=tuple(editor.notes))
        editor.notes.append("gunicorn is not installed, so uvicorn's own workers are used.")
        _others(editor, command, found.server, want)
    elif want.server is not None and want.server != command.server:
        raise CannotRewrite(
            f"a service under {found.server} is not moved to {want.server}: their options differ too much"
        )
    else:
        _others(editor, command, found.server, want)
    return Rewritten(argv=editor.result(), environment=editor.environment, notes=tuple(editor.notes))


def _gunicorn(editor: Editor, command: ServerCommand, want: Desired) -> None:
    for name, value in want.gunicorn.items():
        if name in _SWITCHES:
            _switch(editor, command, name, value)
        elif name not in _GUNICORN:
            raise CannotRewrite(f"gunicorn has no command-line option for {name}")
        elif not _has(command, name, value, editor):
            flags = _GUNICORN[name]
            text = str(value)
            setting = command.settings.get(name)
            if setting is not None and setting.source == _WORKERS and editor.own_variable(_WORKERS):
                editor.set_variable(_WORKERS, text)
                continue
            if editor.given(flags) or not editor.in_variable("GUNICORN_CMD_ARGS", flags, lambda _old, new=text: new):  # type: ignore[misc]
                editor.set(flags, text)
    if want.bind_host is not None and "bind" not in want.gunicorn:
        _bind(editor, command, want.bind_host)


def _has(command: ServerCommand, name: str, value: Value, editor: Editor) -> bool:
    setting = command.settings.get(_OURS.get(name, name))
    if setting is not None:
        return str(setting.value) == str(value)
    given = editor.given(_GUNICORN.get(name, ()))
    return bool(given) and str(given[-1].value) == str(value)


def _switch(editor: Editor, command: ServerCommand, name: str, value: Value) -> None:
    flag = _SWITCHES[name]
    given = editor.given((flag,))
    if value and not given:
        setting = command.settings.get(_OURS.get(name, name))
        if setting is None or setting.value is not True:
            editor.append(flag)
    elif not value:
        for one in given:
            editor.remove(one)
        setting = command.settings.get(_OURS.get(name, name))
        if setting is not None and setting.value is True and setting.source != "command line":
            raise CannotRewrite(f"{name} is switched on in {setting.source} and no option switches it off")


def _rehosted(bind: str, host: str) -> str:
    found = server_settings.address(bind)
    if found is None or found[0] == host:
        return bind
    return f"[{host}]:{found[1]}" if ":" in host else f"{host}:{found[1]}"


def _bind(editor: Editor, command: ServerCommand, host: str) -> None:
    """The same ports on another address; sockets and descriptors stay."""
    setting = command.settings.get("bind")
    if setting is None:
        raise CannotRewrite("the address that the server binds is computed where it cannot be read")
    binds = str(setting.value).split(",")
    if not any(server_settings.address(one) for one in binds):
        raise CannotRewrite(f"the server listens on {setting.value}, which is no TCP address")
    if all(_rehosted(one, host) == one for one in binds):
        return
    given = editor.given(_GUNICORN["bind"])
    for one in given:
        _rehost(editor, one, host)
    if not given and not editor.in_variable("GUNICORN_CMD_ARGS", _GUNICORN["bind"], lambda old: _rehosted(old, host)):
        for bind in binds:
            editor.append("--bind", _rehosted(bind, host))


def _rehost(editor: Editor, given: Given, host: str) -> None:
    old = str(given.value)
    new = _rehosted(old, host)
    if new != old:
        before = server_settings.address(old)
        shown = f"[{host}]" if ":" in host else host
        editor.replace_part(given, before[0] if before else "", shown if "[" not in old else host, new)


def _others(editor: Editor, command: ServerCommand, program: Program, want: Desired) -> None:
    """uvicorn, ``fastapi run``, hypercorn and granian: the options that they have themselves."""
    for name, value in want.gunicorn.items():
        flags = _COUNTERPARTS[program].get(name)
        if flags is None:
            editor.notes.append(f"{program} has no counterpart of gunicorn's {name}.")
            continue
        reload = command.settings.get("reload")
        if (
            name == "workers"
            and program in ("uvicorn", "fastapi")
            and reload is not None
            and reload.value
            and not want.production
        ):
            raise CannotRewrite(f"{program} ignores workers while it reloads code: take --reload away first")
        setting = command.settings.get(name)
        if setting is None or str(setting.value) != str(value):
            _put(editor, command, name, flags, str(value))
    if want.bind_host is None:
        return
    if program == "hypercorn":
        _bind(editor, command, want.bind_host)
        return
    host = command.settings.get("host")
    if "uds" in command.settings:
        raise CannotRewrite("the server listens on a Unix socket, which has no address")
    if host is None or host.value != want.bind_host:
        _put(editor, command, "host", ("--host",), want.bind_host)


def _put(editor: Editor, command: ServerCommand, name: str, flags: tuple[str, ...], value: str) -> None:
    setting = command.settings.get(name)
    if setting is not None and setting.source != "PORT" and editor.own_variable(setting.source):
        editor.set_variable(setting.source, value)
    else:
        editor.set(flags, value)
