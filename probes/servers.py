"""What server a command starts and with which settings: gunicorn, uvicorn (``fastapi run``), hypercorn, granian."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from probes import invocation, server_settings
from probes.base import Frozen
from probes.command_line import Invocation
from probes.model import Server, Setting
from probes.server_options import Program
from probes.server_settings import Known

ReadFile = Callable[[str], bytes | None]
"""Reads a file as the service sees it, by absolute path; ``None`` when it is absent or unreadable. Never raises."""

_TITLE = re.compile(r"gunicorn: (?P<role>master|worker|dirty-\w+) \[(?P<name>[^\]]*)\]")
_SPEC = re.compile(r"[\w.]+:[\w.]+(?:\(.*\))?")
TITLE = "process title"
"""``via`` of a command that a title tells."""
_SEVERAL = 4
"""Servers of one script that are told of; more would be an accident."""
_NOT_ASGI = re.compile(
    r"(?i)(?:^|\.)(?:sync|gthread|gevent\w*|eventlet|tornado|\w*(?:sync|thread|gevent|eventlet|tornado)\w*worker)$"
)


def no_files(_path: str) -> bytes | None:
    """A :data:`ReadFile` of a service whose files cannot be read."""
    return None


class ServerCommand(Frozen, frozen=True):
    """A server's command, understood."""

    server: Server
    app: str | None
    """``package.module:attribute`` as it will be imported; ``None`` when it cannot be told."""
    asgi: bool | None
    """Whether it serves ASGI: ``None`` where the worker class or the interface cannot be told."""
    settings: Mapping[str, Setting] = {}
    """app, host, port, bind (comma-separated), uds, workers, worker_class, threads, timeout, graceful_timeout,
    keepalive (seconds), max_requests, max_requests_jitter, preload, reload, limit_concurrency, worker_tmp_dir,
    accesslog, access_log_format, errorlog, config_file, log_config, root_path.

    Only what is known; a documented default has the source ``default``."""
    config_file: str | None = None
    """Absolute path of the configuration file in force (gunicorn, hypercorn), also when it could not be read."""
    manager: bool = False
    """A master process with workers: gunicorn, granian and hypercorn (unless it has 0 workers) always; uvicorn with
    several workers or reload."""
    via: str | None = None
    """How the server is started where that is not its own program: ``fastapi run``, ``sh -c``, …"""
    app_dir: str | None = None
    """Directory put first on the import path (``--app-dir``, ``--chdir``, ``fastapi run``'s own), absolute."""
    factory: bool = False
    """``app`` names a function that returns the application."""

    def binds(self) -> tuple[tuple[str, int], ...]:
        """The TCP addresses that the settings name, host and port; no Unix sockets."""
        host, port, bind = (self.settings.get(name) for name in ("host", "port", "bind"))
        if bind is not None:
            found = (server_settings.address(one) for one in str(bind.value).split(","))
            return tuple(one for one in found if one is not None)
        if host is not None and port is not None and isinstance(port.value, int):
            return ((str(host.value), port.value),)
        return ()


def parse(
    argv: Sequence[str], environment: Mapping[str, str], read_file: ReadFile = no_files, working_dir: str = "/"
) -> ServerCommand | None:
    """The server that ``argv`` starts, through shells and wrappers; ``None`` when it is none of the four. Never raises.

    ``argv`` is what the engine runs (entry point and command) or what ``/proc/PID/cmdline`` says, gunicorn's process
    titles (``gunicorn: master [app:app]``) included. A ``gunicorn.conf.py`` that ``read_file`` does not have is absent.
    """
    title = _TITLE.match(argv[0]) if argv else None
    if title is not None:
        return _titled(title, environment)
    found = invocation.find(argv, environment, read_file, working_dir)
    return None if found is None else command_of(found, read_file)


def parse_all(
    argv: Sequence[str], environment: Mapping[str, str], read_file: ReadFile = no_files, working_dir: str = "/"
) -> tuple[ServerCommand, ...]:
    """Likewise all servers that a script starts side by side (or one of them): what :func:`parse` says comes first."""
    first = parse(argv, environment, read_file, working_dir)
    if first is None:
        return ()
    found = invocation.find_servers(argv, environment, read_file, working_dir)
    others = (command for one in found[1:_SEVERAL] if (command := command_of(one, read_file)) is not None)
    return (first, *others)


def command_of(found: Invocation, read_file: ReadFile) -> ServerCommand | None:
    """The server's command that was found, with its settings; ``None`` when it is not a server's."""
    program = found.server
    if program is None:
        return None
    texts = [token.text for token in found.arguments]
    known = server_settings.READERS[program](texts, found.environment, read_file, found.working_dir)
    for name in _untold(found, program):
        known.settings.pop(name, None)
    via = [*found.via, f"fastapi {texts[0]}"] if program == "fastapi" else [*found.via]
    server: Server = "uvicorn" if program == "fastapi" else program
    app, factory = _app(server, known)
    if app is not None:
        known.settings["app"] = Setting(value=app, source=known.settings["app"].source)
    return ServerCommand(
        server=server,
        app=app,
        asgi=_asgi(server, known),
        settings=known.settings,
        config_file=known.config_file,
        manager=_manager(server, known),
        via=", ".join(via) or None,
        app_dir=known.app_dir,
        factory=factory,
    )


def is_server_process(argv: Sequence[str]) -> bool:
    """Whether a process with this command line is the server itself, not a shell or a wrapper that waits for it."""
    if argv and _TITLE.match(argv[0]):
        return True
    found = invocation.find(argv, {}, no_files, "/")
    return found is not None and found.server is not None and found.line.text is None and found.program[0] == 0


def _titled(title: re.Match[str], environment: Mapping[str, str]) -> ServerCommand:
    """With setproctitle the command line is overwritten: nothing but the environment's settings is known."""
    name = title["name"]
    settings = server_settings.gunicorn_variables(environment)
    app = name if _SPEC.fullmatch(name) else None
    if app is not None:
        settings["app"] = Setting(value=app, source="process title")
    return ServerCommand(
        server="gunicorn",
        app=app,
        asgi=_asgi("gunicorn", Known(settings=settings)),
        settings=settings,
        manager=True,
        via=TITLE,
        factory=bool(app and app.endswith(")")),
    )


def _untold(found: Invocation, program: Program) -> set[str]:
    """Settings whose value on the command line is an expression of the shell (``--workers $(nproc)``)."""
    table = server_settings.TABLES[program]
    texts = [token.text for token in found.arguments]
    untold: set[str] = set()
    for given in server_settings.scan(texts, table).given:
        last = found.arguments[given.first + given.words - 1]
        if given.name is not None and not last.known:
            untold.add(given.name)
    return untold | ({"host", "port"} if "bind" in untold else set())


def _app(server: Server, known: Known) -> tuple[str | None, bool]:
    setting = known.settings.get("app")
    if setting is None:
        return None, False
    app = str(setting.value)
    if server == "hypercorn":
        app = re.sub(r"^(?:asgi|wsgi):(?=.*:)", "", app)
    module, colon, attribute = app.partition(":")
    if not colon:
        attribute = "application" if server == "gunicorn" else "app"
    name, call, _ = attribute.partition("(")
    return f"{module}:{name}", known.factory or bool(call)


def _asgi(server: Server, known: Known) -> bool | None:
    if server == "uvicorn":
        return known.interface != "wsgi"
    if server == "hypercorn":
        app = known.settings.get("app")
        return not (app is not None and str(app.value).startswith("wsgi:"))
    if server == "granian":
        return known.interface in ("asgi", "asginl") if known.interface is not None else None
    worker_class = known.settings.get("worker_class")
    if worker_class is None:
        return None
    name = str(worker_class.value)
    if name == "asgi" or "gasgi" in name or "uvicorn" in name.lower():
        return True
    return False if _NOT_ASGI.search(name) else None


def _manager(server: Server, known: Known) -> bool:
    workers = known.settings.get("workers")
    count = workers.value if workers is not None else None
    if server == "hypercorn":
        return count != 0
    if server != "uvicorn":
        return True
    reload = known.settings.get("reload")
    return (isinstance(count, int) and count > 1) or bool(reload is not None and reload.value)
