"""What server a command starts, and with which settings: gunicorn, uvicorn (and ``fastapi run``), hypercorn, granian."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from probes.model import Frozen, Server, Setting

ReadFile = Callable[[str], bytes | None]
"""Reads a file as the service sees it, by absolute path; ``None`` when it is not there or cannot be read. Never raises."""


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
    """app, host, port, bind (comma-separated), uds, workers, worker_class, threads, timeout, graceful_timeout, keepalive (seconds),
    max_requests, max_requests_jitter, preload, reload, limit_concurrency, worker_tmp_dir, accesslog, access_log_format,
    errorlog, config_file, log_config, root_path. Only what is known; a documented default has the source ``default``."""
    config_file: str | None = None
    """Absolute path of the configuration file in force (gunicorn, hypercorn), also when it could not be read."""
    manager: bool = False
    """A master process with workers: gunicorn and granian always; uvicorn and hypercorn with several workers or reload."""
    via: str | None = None
    """How the server is started where that is not its own program: ``fastapi run``, ``python -m uvicorn``, ``sh -c``, …"""
    app_dir: str | None = None
    """Directory put first on the import path (``--app-dir``, ``--chdir``, ``--pythonpath``, ``fastapi run``'s own), absolute."""
    factory: bool = False
    """``app`` names a function that returns the application."""

    def binds(self) -> tuple[tuple[str, int], ...]:
        """The TCP addresses that the settings name, host and port; no Unix sockets."""
        raise NotImplementedError


def parse(
    argv: Sequence[str], environment: Mapping[str, str], read_file: ReadFile = no_files, working_dir: str = "/"
) -> ServerCommand | None:
    """The server that ``argv`` starts, through shells and wrappers; ``None`` when it is none of the four. Never raises.

    ``argv`` is what the engine runs (entry point and command) or what ``/proc/PID/cmdline`` says, gunicorn's own process
    titles (``gunicorn: master [app:app]``) included.
    """
    raise NotImplementedError
