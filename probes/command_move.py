"""Moving a service from uvicorn (or ``fastapi run``) to gunicorn with an ASGI worker: its command, option by option."""

from __future__ import annotations

import re
from collections.abc import Mapping

from probes.command_edit import CannotRewrite, Editor
from probes.intent import Desired
from probes.server_options import Given, Program
from probes.servers import ServerCommand
from probes.shell import quote

# uvicorn's option → gunicorn's. Sources: both programs' --help; uvicorn_worker passes these of gunicorn's settings on.
_SAME: Mapping[str, str] = {
    "--workers": "--workers",
    "--limit-max-requests": "--max-requests",
    "--limit-max-requests-jitter": "--max-requests-jitter",
    "--timeout-keep-alive": "--keep-alive",
    "--timeout-graceful-shutdown": "--graceful-timeout",
    "--backlog": "--backlog",
    "--log-level": "--log-level",
    "--forwarded-allow-ips": "--forwarded-allow-ips",
    "--ssl-keyfile": "--keyfile",
    "--ssl-certfile": "--certfile",
    "--ssl-ca-certs": "--ca-certs",
    "--ssl-ciphers": "--ciphers",
    "--app-dir": "--pythonpath",
}
_BINDS = frozenset({"--host", "--port", "--uds", "--fd"})
# Options whose effect the worker has anyway, or that gunicorn decides itself.
_NEEDLESS = frozenset(
    {
        "--proxy-headers",
        "--server-header",
        "--date-header",
        "--access-log",
        "--no-access-log",
        "--use-colors",
        "--no-use-colors",
        "--factory",
        "--no-reload",
        "--app",
        "-e",
        "--entrypoint",
        "-v",
        "--verbose",
        "--timeout-worker-healthcheck",
    }
)
_NEEDLESS_VALUES: Mapping[str, frozenset[str]] = {
    "--loop": frozenset({"auto", "uvloop"}),
    "--http": frozenset({"auto", "httptools"}),
    "--ws": frozenset({"auto"}),
    "--lifespan": frozenset({"auto", "on"}),
    "--interface": frozenset({"auto", "asgi3"}),
}
_VARIABLES = {
    "UVICORN_WORKERS": "--workers",
    "UVICORN_LIMIT_MAX_REQUESTS": "--max-requests",
    "UVICORN_LIMIT_MAX_REQUESTS_JITTER": "--max-requests-jitter",
    "UVICORN_TIMEOUT_KEEP_ALIVE": "--keep-alive",
    "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN": "--graceful-timeout",
    "UVICORN_LOG_LEVEL": "--log-level",
    "UVICORN_FORWARDED_ALLOW_IPS": "--forwarded-allow-ips",
}
_FLAGS = {
    "workers": "--workers",
    "worker_class": "--worker-class",
    "threads": "--threads",
    "timeout": "--timeout",
    "graceful_timeout": "--graceful-timeout",
    "keepalive": "--keep-alive",
    "max_requests": "--max-requests",
    "max_requests_jitter": "--max-requests-jitter",
    "worker_tmp_dir": "--worker-tmp-dir",
    "accesslog": "--access-logfile",
    "errorlog": "--error-logfile",
    "access_log_format": "--access-logformat",
    "bind": "--bind",
    "backlog": "--backlog",
    "loglevel": "--log-level",
}


def worker_class(packages: Mapping[str, str], notes: list[str]) -> str:
    """The ASGI worker that the service can import: uvicorn's, else gunicorn's own (25 and newer)."""
    if "uvicorn-worker" in packages:
        return "uvicorn_worker.UvicornWorker"
    major = re.match(r"[0-9]+", packages.get("gunicorn", ""))
    if major is not None and int(major[0]) >= 25:
        return "asgi"
    if "uvicorn" in packages:
        notes.append("uvicorn.workers.UvicornWorker is deprecated: install uvicorn-worker.")
        return "uvicorn.workers.UvicornWorker"
    raise CannotRewrite(
        "neither uvicorn-worker nor a gunicorn with an ASGI worker of its own (25 or newer) is installed"
    )


def to_gunicorn(
    editor: Editor, command: ServerCommand, program: Program, want: Desired, packages: Mapping[str, str]
) -> tuple[str, ...]:
    """The argument vector under gunicorn; raises :class:`CannotRewrite` where an option has no counterpart."""
    if command.app is None:
        raise CannotRewrite(f"which application {program} serves cannot be told")
    if any(token.locked for token in editor.found.arguments):
        raise CannotRewrite(f"{program}'s arguments come out of a variable of the shell, where they cannot be edited")
    text = editor.found.line.text is not None
    options: dict[str, str | None] = {"--worker-class": worker_class(packages, editor.notes)}
    options["--bind"] = _bind(editor, command, want)
    for given in editor.scan.given:
        _translate(editor, given, options, program)
    _inherit(editor, command, options, program)
    if program == "fastapi" and command.app_dir and command.app_dir.rstrip("/") != editor.found.working_dir.rstrip("/"):
        options["--pythonpath"] = _quoted(command.app_dir, text=text)
    for name, wanted in want.gunicorn.items():
        if name not in _FLAGS and name != "preload_app":
            raise CannotRewrite(f"gunicorn has no command-line option for {name}")
        if name in _FLAGS:
            options[_FLAGS[name]] = _quoted(str(wanted), text=text)
    if want.gunicorn.get("preload_app"):
        options["--preload"] = None
    app = command.app + ("()" if command.factory else "")
    words = [*_program(editor, text=text)]
    for flag, shown in options.items():
        words += [flag] if shown is None else [flag, shown]
    return editor.rebuild([*words, _quoted(app, text=text)])


def _inherit(editor: Editor, command: ServerCommand, options: dict[str, str | None], program: Program) -> None:
    """What uvicorn's variables say, and what it does unasked: it keeps idle connections for 5 s and logs requests."""
    text = editor.found.line.text is not None
    if program == "uvicorn":
        for variable, flag in _VARIABLES.items():
            if editor.found.environment.get(variable):
                options.setdefault(flag, _quoted(editor.found.environment[variable], text=text))
    options.setdefault("--keep-alive", "5")
    access = command.settings.get("accesslog")
    if access is None or access.value is not False:
        options.setdefault("--access-logfile", "-")


def _quoted(value: str, *, text: bool) -> str:
    return quote(value) if text else value


def _program(editor: Editor, *, text: bool) -> list[str]:
    """``uvicorn`` → ``gunicorn`` in whatever way it is named: a path, ``python -m``, a script after ``python``."""
    first, end = editor.found.program
    line = editor.found.line
    words = [line.raw(at) for at in range(first, end)]
    words[-1] = re.sub(r"(?:uvicorn(?:\.main)?|fastapi_cli|fastapi)(?=['\"]?$)", "gunicorn", words[-1])
    if not words[-1].endswith(("gunicorn", "gunicorn'", 'gunicorn"')):
        raise CannotRewrite(f"how to call gunicorn in the place of {' '.join(words)} cannot be told")
    return words if text else [line.words[at].value for at in range(first, end - 1)] + words[-1:]


def _raw(editor: Editor, given: Given) -> str:
    """A value as written: ``$PORT`` stays ``$PORT``."""
    raw = editor.found.line.raw(editor.found.arguments[given.first + given.words - 1].at)
    if given.words == 2:
        return raw
    if editor.found.line.text is None or raw.startswith(given.prefix):
        return raw[len(given.prefix) :]
    raise CannotRewrite(f"the value of {given.flag} cannot be told apart in {raw}")


def _bind(editor: Editor, command: ServerCommand, want: Desired) -> str:
    text = editor.found.line.text is not None
    uds = editor.given(("--uds",))
    if uds:
        return "unix:" + _raw(editor, uds[-1])
    if editor.given(("--fd",)):
        return "fd://" + _raw(editor, editor.given(("--fd",))[-1])
    given = editor.given(("--port",))
    port = command.settings.get("port")
    if not given and port is None:
        raise CannotRewrite("the port that the server binds cannot be told")
    shown_port = _raw(editor, given[-1]) if given else str(port.value if port is not None else "")
    hosts = editor.given(("--host",))
    host = command.settings.get("host")
    if want.bind_host is not None:
        shown_host = _bracketed(want.bind_host, text=text)
    elif host is not None:
        shown_host = _bracketed(str(host.value), text=text)
    elif hosts:
        shown_host = _raw(editor, hosts[-1])
    else:
        raise CannotRewrite("the address that the server binds cannot be told")
    return f"{shown_host}:{shown_port}"


def _bracketed(host: str, *, text: bool) -> str:
    return _quoted(f"[{host}]" if ":" in host else host, text=text)


def _translate(editor: Editor, given: Given, options: dict[str, str | None], program: Program) -> None:
    flag = given.flag
    if flag in _BINDS or flag in _NEEDLESS:
        return
    if flag in _SAME:
        options[_SAME[flag]] = _raw(editor, given)
    elif flag == "--reload":
        options["--reload"] = None
    elif flag == "--root-path" and options["--worker-class"] == "asgi":
        options["--root-path"] = _raw(editor, given)
    elif str(given.value) not in _NEEDLESS_VALUES.get(flag, frozenset()):
        raise CannotRewrite(f"{program}'s {flag} has no counterpart in gunicorn")
