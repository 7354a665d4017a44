"""What breaks when a service goes from one process to several: what tells it, and what happens then."""

from __future__ import annotations

from fixes.remedies import _facts
from probes.httpmetrics import SOURCE
from probes.model import Deployment

_SCHEDULERS = ("apscheduler", "rocketry", "fastapi-utils", "fastapi-utilities", "schedule")
_METRICS = ("prometheus-client", "prometheus-fastapi-instrumentator", "starlette-exporter")
_WEBSOCKETS = ("python-socketio", "fastapi-socketio")
_SQLITE = ("sqlite", "aiosqlite", "pysqlite")


def objections(deployment: Deployment, *, replicas: bool = False) -> tuple[str, ...]:
    """Why several processes may not behave as one did, one sentence each; empty where nothing speaks against it.

    ``replicas``: they are replicas of one process each, which are scraped one by one.
    """
    said = []
    schedulers = [name for name in _SCHEDULERS if _facts.imports(deployment, name)]
    if schedulers:
        each = "replica" if replicas else "worker"
        said.append(f"{schedulers[0]} is installed: scheduled jobs would run once in every {each}.")
    if not replicas and _tells_metrics(deployment) and not _collects_several(deployment):
        said.append("Its /metrics counts per process: each scrape would show one worker's numbers.")
    if _sqlite(deployment):
        said.append("SQLite is in use: several processes that write wait for, or fail at, each other's locks.")
    if any(_facts.imports(deployment, name) for name in _WEBSOCKETS):
        said.append(
            "Socket.IO is installed: without sticky sessions and a message queue its clients lose their session."
        )
    return tuple(said)


def conditions(deployment: Deployment) -> tuple[str, ...]:
    """What may break with several processes, where nothing shows that the service uses what it has installed."""
    installed = next((name for name in _METRICS if _facts.imports(deployment, name)), None)
    if installed is None or _tells_metrics(deployment) or _collects_several(deployment):
        return ()
    said = f"{installed} is installed: if the service counts with it, each scrape would show one worker's numbers, "
    return (f"{said}unless PROMETHEUS_MULTIPROC_DIR names a directory.",)


def _tells_metrics(deployment: Deployment) -> bool:
    """Whether its own ``/metrics`` was read, here or by a Prometheus: what is merely installed counts nothing."""
    source = "" if deployment.latency is None else deployment.latency.source
    return source.startswith((SOURCE, "Prometheus"))


def _collects_several(deployment: Deployment) -> bool:
    names = {
        name.upper() for replica in deployment.replicas for name in (*replica.environment, *replica.environment_from)
    }
    return "PROMETHEUS_MULTIPROC_DIR" in names


def _sqlite(deployment: Deployment) -> bool:
    """Whether it is loaded; where the memory maps cannot be read, whether it is installed."""
    if any(name.lower().startswith(_SQLITE) for name in deployment.drivers):
        return True
    maps_are_read = any(worker.pss_bytes is not None for worker in deployment.workers)
    return not maps_are_read and any(_facts.imports(deployment, name) for name in _SQLITE)
