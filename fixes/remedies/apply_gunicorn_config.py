"""Runs the service under gunicorn with a configuration made for it.

What it does: writes these settings, each computed for this deployment and open to change before the diff is made:

    bind                 0.0.0.0:<the port in use> in a container; a local process keeps its host; Unix sockets stay
    workers              2 × CPU + 1, where CPU is the cgroup's quota; as many as fit into 80 % of the memory limit
                         and as the database's server has connections for, where both are known
    worker_class         the ASGI worker that the service can import
    timeout              60 s without a sign of life of a worker's event loop
    graceful_timeout     30 s, or 2 s less than the grace period between SIGTERM and SIGKILL (Docker gives 10 s)
    max_requests         1000, with a jitter of 100
    keepalive            5 s
    worker_tmp_dir       /dev/shm: heartbeats never wait for a disk
    accesslog, errorlog  standard output and standard error

Where gunicorn or an ASGI worker for it cannot be imported, uvicorn's own ``--workers`` is used, and the plan says so.

On Kubernetes a service that runs under gunicorn already gets ``GUNICORN_CMD_ARGS`` where the image has the command,
else other options; one that moves from uvicorn gets a ConfigMap with the configuration, mounted, and the command that
reads it.

When it is right: one process serves everything (one core, and one blocked or dead process is the whole service), or
the worker class in use is deprecated or wrong.

Risk: the service is started anew. Several processes share nothing: caches, rate limits and WebSockets in memory are
per worker, and each worker opens a database pool of its own.

Guard: the deployment's name must be typed where one process becomes several and a scheduler, SQLite, Socket.IO or
single-process metrics are loaded. Refused where two workers would not fit into the memory limit, or their pools into
what the database's server lets in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _budget, _facts, _several
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node

UVICORN_WORKER = "uvicorn_worker.UvicornWorker"
DEPRECATED_WORKER = "uvicorn.workers.UvicornWorker"
SHM = "/dev/shm"  # noqa: S108 - gunicorn's own advice for its heartbeat files in containers
ANY = "0.0.0.0"  # noqa: S104 - in a container the engine decides who reaches the port


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    if deployment.server in {"hypercorn", "granian"}:
        return f"It runs under {deployment.server}, which manages workers itself: start it with --workers."
    if deployment.server is None:
        return "Its command starts no server that can be told apart, so it cannot be rewritten safely."
    fit = _facts.fitting_workers(deployment)
    if fit is not None and fit < 2 and finding.signature == "single-process":
        return _facts.no_room(deployment, 2)
    connected = _budget.workers(deployment, finding)
    if connected is not None and connected < 2 and finding.signature == "single-process":
        return "The database's server has no connections left for another worker's pool: make the pool smaller first."
    return None


def _parameters(deployment: Deployment, finding: Finding, node: Node | None) -> tuple[Parameter, ...]:
    bounds = (_facts.fitting_workers(deployment), _budget.workers(deployment, finding))
    fit = min((bound for bound in bounds if bound is not None), default=None)
    by_cpu = 2 * (_facts.cores(deployment, node) or 1) + 1
    most = max(1, fit) if fit is not None else max(64, math.floor(by_cpu))
    workers = Parameter(
        "workers", "Workers", max(1, min(math.floor(by_cpu), most)), minimum=1, maximum=most, unit="processes"
    )
    worker_class = _worker_class(deployment)
    if worker_class is None:
        return (workers,)
    grace = _facts.grace_seconds(deployment)
    graceful = 30 if grace is None else max(1, min(30, math.floor(grace) - 2))
    longest = None if grace is None else max(1, math.ceil(grace) - 1)
    return (
        workers,
        Parameter("worker_class", "Worker class", worker_class),
        Parameter("timeout", "Worker time-out", 60, "seconds", minimum=1, maximum=600),
        Parameter("graceful_timeout", "Time to finish requests", graceful, "seconds", minimum=1, maximum=longest),
        Parameter("max_requests", "Requests per worker", 1000, minimum=0, maximum=10_000_000),
        Parameter("max_requests_jitter", "Spread between workers", 100, minimum=0, maximum=1_000_000),
        Parameter("keepalive", "Keep-alive", 5, "seconds", minimum=1, maximum=3600),
    )


def _intend(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    bind_host = ANY if _facts.in_container(deployment) and _on_loopback(deployment) else None
    if _worker_class(deployment) is None:
        return Desired(gunicorn={"workers": values["workers"]}, server="uvicorn", bind_host=bind_host)
    settings = dict(values)
    bind = _bind(deployment)
    if bind is not None:
        settings = {"bind": bind, **settings}
    if _facts.in_container(deployment) or Path(SHM).is_dir():
        settings["worker_tmp_dir"] = SHM
    settings |= {"accesslog": "-", "errorlog": "-"}
    return Desired(gunicorn=settings, server="gunicorn")


def _cautions(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = []
    if not _facts.imports(deployment, "gunicorn"):
        said.append("gunicorn is not installed in this service: uvicorn's own --workers is used instead.")
    elif _worker_class(deployment) is None:
        said.append("gunicorn has no ASGI worker in this service: uvicorn's own --workers is used instead.")
    elif values.get("worker_class") == DEPRECATED_WORKER:
        said.append(f"{DEPRECATED_WORKER} is deprecated: install uvicorn-worker when the image is built next.")
    if _becomes_several(deployment, values):
        if deployment.drivers:
            drivers = ", ".join(deployment.drivers)
            said.append(
                f"Each worker opens its own database pool ({drivers}): the connections multiply by {values['workers']}."
            )
        said += (*_several.objections(deployment), *_several.conditions(deployment))
    return tuple(said)


def _confirm(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> str | None:
    if _becomes_several(deployment, values):
        return " ".join(_several.objections(deployment)) or None
    return None


def _becomes_several(deployment: Deployment, values: Mapping[str, Value]) -> bool:
    return (_facts.worker_count(deployment) or 1) < 2 <= int(values["workers"])


def _worker_class(deployment: Deployment) -> str | None:
    """The ASGI worker that this service can import, the one in use first; ``None`` when there is none."""
    gunicorn = _facts.version(deployment.packages, "gunicorn")
    if gunicorn is None:
        return None
    current = str(deployment.setting("worker_class") or "") if deployment.server == "gunicorn" else ""
    if current and current != DEPRECATED_WORKER and _facts.serves_asgi(deployment):
        return current
    if _facts.imports(deployment, "uvicorn-worker"):
        return UVICORN_WORKER
    if gunicorn >= (25,):  # 24.0 brought the worker `asgi` as a beta
        return "asgi"
    return DEPRECATED_WORKER if _facts.imports(deployment, "uvicorn") else None


def _bind(deployment: Deployment) -> str | None:
    """The addresses in use, comma-separated as gunicorn reads them, open to all interfaces in a container."""
    told = str(deployment.setting("bind") or "")
    if not told:
        port, host = _facts.port(deployment), str(deployment.setting("host") or "127.0.0.1")
        if port is None:
            return None
        told = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ",".join(_opened(deployment, one.strip()) for one in told.split(",") if one.strip())


def _opened(deployment: Deployment, address: str) -> str:
    host, colon, port = address.rpartition(":")
    if not _facts.in_container(deployment) or address.startswith(("unix:", "fd:", "/")) or not colon:
        return address
    return f"[::]:{port}" if host.startswith("[") else f"{ANY}:{port}"


def _on_loopback(deployment: Deployment) -> bool:
    host = str(deployment.setting("host") or "")
    return host in {"", "localhost", "::1"} or host.startswith("127.")


REMEDY = Remedy(
    id=RemedyId("apply-gunicorn-config"),
    title="Run several workers under gunicorn",
    capability="gunicorn",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
    confirm=_confirm,
)
