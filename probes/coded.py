"""Servers that a program starts by a call of its own (``uvicorn.run("main:app", port=80)``), read from its source."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Mapping

from probes import gunicorn_config
from probes.app_module import Module
from probes.app_runs import Run
from probes.server_defaults import UVICORN_DEFAULTS
from probes.server_settings import Known
from probes.servers import ServerCommand

# uvicorn.Config's arguments that are not called as fastops calls them.
_NAMES = {
    "limit_max_requests": "max_requests",
    "limit_max_requests_jitter": "max_requests_jitter",
    "timeout_keep_alive": "keepalive",
    "timeout_graceful_shutdown": "graceful_timeout",
    "access_log": "accesslog",
}
_SAME = frozenset({"host", "port", "uds", "workers", "reload", "limit_concurrency", "log_config", "root_path"})


def command(run: Run, module: Module, environment: Mapping[str, str]) -> ServerCommand:
    """The server that a call starts, with the settings that its arguments plainly say; the source is the file.

    uvicorn's variables do not count for a server that is started by a call, but ``WEB_CONCURRENCY`` does. What
    hypercorn and granian are given in code is not read.
    """
    known = Known()
    if run.server == "uvicorn" and not run.open_ended:
        for name, value in UVICORN_DEFAULTS.items():
            known.put(name, value, "default")
        if environment.get("WEB_CONCURRENCY"):
            known.put("workers", environment["WEB_CONCURRENCY"], "WEB_CONCURRENCY")
    if run.server == "uvicorn":
        for keyword, node in run.keywords.items():
            name = _NAMES.get(keyword, keyword)
            if name in _SAME or keyword in _NAMES:
                known.put(name, _value(node, module, environment), module.path)
    app = _app(run, module)
    if app is not None:
        known.put("app", app, module.path)
    known.finish("/")
    workers, reload = known.settings.get("workers"), known.settings.get("reload")
    return ServerCommand(
        server=run.server,
        app=app,
        asgi=True if run.server != "granian" else None,
        settings=known.settings,
        manager=bool(
            (workers is not None and isinstance(workers.value, int) and workers.value > 1)
            or (reload is not None and reload.value)
        ),
        via=f"{run.server} called in {module.path}",
    )


def _value(node: ast.expr, module: Module, environment: Mapping[str, str]) -> object:
    """A plain value, or ``None``: names of the module count where they are plain themselves."""
    scope = gunicorn_config.top_level(module.tree, environment).values
    return gunicorn_config.plain(node, scope, environment)


def _app(run: Run, module: Module) -> str | None:
    if isinstance(run.app, str):
        return run.app if ":" in run.app else None
    if not isinstance(run.app, ast.Name):
        return None
    name = posixpath.basename(module.path).removesuffix(".py") if module.name.startswith("<") else module.name
    return f"{name}:{run.app.id}"
