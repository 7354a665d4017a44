"""What the servers do when nothing is said."""

from __future__ import annotations

from collections.abc import Mapping

from probes.base import Value

# Documented: docs.gunicorn.org/en/stable/settings.html, uvicorn.dev/settings, hypercorn.readthedocs.io (configuring),
# `granian --help`, fastapi.tiangolo.com/fastapi-cli. A test compares them with the installed packages.
GUNICORN_DEFAULTS: Mapping[str, Value] = {
    "bind": "127.0.0.1:8000",
    "workers": 1,
    "worker_class": "sync",
    "threads": 1,
    "timeout": 30,
    "graceful_timeout": 30,
    "keepalive": 2,
    "max_requests": 0,
    "max_requests_jitter": 0,
    "preload": False,
    "reload": False,
    "errorlog": "-",
}
UVICORN_DEFAULTS: Mapping[str, Value] = {
    "host": "127.0.0.1",
    "port": 8000,
    "workers": 1,
    "keepalive": 5,
    "max_requests": 0,
    "max_requests_jitter": 0,
    "reload": False,
    "accesslog": True,
}
HYPERCORN_DEFAULTS: Mapping[str, Value] = {
    "bind": "127.0.0.1:8000",
    "workers": 1,
    "worker_class": "asyncio",
    "graceful_timeout": 3,
    "keepalive": 5,
    "max_requests": 0,
    "max_requests_jitter": 0,
    "reload": False,
    "errorlog": "-",
}
GRANIAN_DEFAULTS: Mapping[str, Value] = {
    "host": "127.0.0.1",
    "port": 8000,
    "workers": 1,
    "reload": False,
    "accesslog": False,
}
