"""What several remedies ask about a deployment."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from fixes.model import Finding
from fixes.values import byte_text
from probes.model import Deployment, Node, Replica, Worker
from probes.text import clean

DEFAULT_GRACE_SECONDS = 10.0
"""How long Docker waits between SIGTERM and SIGKILL unless it was told otherwise (``docker stop``)."""
POD_GRACE_SECONDS = 30.0
"""The same for a pod: the default of ``terminationGracePeriodSeconds``."""
SHARE_OF_LIMIT = 0.8
"""Of a memory limit, for all workers together: the rest is for peaks, and for what is not theirs."""


def version(packages: Mapping[str, str], name: str) -> tuple[int, ...] | None:
    """The release of a distribution that the service can import, as numbers; ``None`` when it cannot."""
    for known, text in packages.items():
        if known.lower().replace("_", "-") == name:
            return tuple(int(part) for part in re.findall(r"\d+", text)[:3]) or (0,)
    return None


def imports(deployment: Deployment, name: str) -> bool:
    """Whether the service can import this distribution."""
    return version(deployment.packages, name) is not None


def whole(value: object) -> int | None:
    """The value as an integer where it is a number."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def in_container(deployment: Deployment) -> bool:
    """Whether the service has a network of its own, so that loopback reaches nobody."""
    return deployment.kind != "process"


def cores(deployment: Deployment, node: Node | None) -> float | None:
    """CPUs that one replica may use: the cgroup's quota, else the machine's; ``None`` when neither is known."""
    quotas = [r.cpu.limit.value for r in deployment.running if r.cpu.limit.limited and r.cpu.limit.value]
    if quotas:
        return min(quotas)
    return None if node is None or not node.cpus else float(node.cpus)


def memory_limit(deployment: Deployment) -> int | None:
    """The smallest memory limit of a replica in bytes; ``None`` when there is none or it is not known."""
    limits = [r.memory.limit.value for r in deployment.replicas if r.memory.limit.limited and r.memory.limit.value]
    return int(min(limits)) if limits else None


def memory_used(deployment: Deployment) -> int | None:
    """The largest working set of a replica now, in bytes."""
    return max((r.memory.used_bytes for r in deployment.running if r.memory.used_bytes is not None), default=None)


def memory_peak(deployment: Deployment, finding: Finding) -> int | None:
    """The most memory that a replica was seen to use, in bytes: by its cgroup, by its workers, by the finding."""
    seen = [m for r in deployment.replicas for m in (r.memory.peak_bytes, r.memory.used_bytes) if m is not None]
    fact = whole(finding.facts.get("peak_bytes"))
    return max([*seen, fact] if fact is not None else seen, default=None)


def worker_memory(deployment: Deployment) -> int | None:
    """The largest share of memory that one process takes, in bytes: PSS, else what is known of it.

    What it gave back of its peak counts, too: it may take that again.
    """
    return max((share + _given_back(w) for w in deployment.workers if (share := _share(w))), default=None)


def _share(worker: Worker) -> int | None:
    return worker.pss_bytes or worker.rss_bytes or worker.anonymous_bytes


def _given_back(worker: Worker) -> int:
    return max(0, worker.peak_rss_bytes - worker.rss_bytes) if worker.peak_rss_bytes and worker.rss_bytes else 0


def other_memory(deployment: Deployment) -> int:
    """What others in a replica's memory limit use beside its workers, in bytes: the most of any replica.

    0 where it is not known.
    """
    return max((_others(replica) for replica in deployment.running), default=0)


def _others(replica: Replica) -> int:
    shares = [share for worker in replica.workers if (share := _share(worker))]
    return max(0, (replica.memory.used_bytes or 0) - sum(shares)) if shares else 0


def fitting_workers(deployment: Deployment) -> int | None:
    """How many fit into 80 % of the memory limit beside what others use there.

    ``None`` where there is no limit, or a worker's size is not known.
    """
    limit, size = memory_limit(deployment), worker_memory(deployment)
    if limit is None or not size:
        return None
    return max(0, math.floor((SHARE_OF_LIMIT * limit - other_memory(deployment)) / size))


def workers_on_machine(deployment: Deployment, node: Node | None, now: int) -> int | None:
    """How many the machine has memory for, where no limit says it; ``None`` where that is not known."""
    size = worker_memory(deployment)
    if memory_limit(deployment) is not None or node is None or not size or node.memory_available_bytes is None:
        return None
    replicas = max(1, len(deployment.running))
    return now + math.floor(SHARE_OF_LIMIT * node.memory_available_bytes / size / replicas)


def no_room(deployment: Deployment, workers: int) -> str:
    """The sentence for more workers than :func:`fitting_workers` allows."""
    limit, size, others = memory_limit(deployment) or 0, worker_memory(deployment) or 0, other_memory(deployment)
    them = "Two workers" if workers == 2 else f"{workers} workers"
    beside = f", beside {byte_text(others)} of others" if others > 0.01 * limit else ""
    return f"{them} of {byte_text(size)} do not fit into 80 % of {byte_text(limit)}{beside}: raise the limit first."


def worker_count(deployment: Deployment) -> int | None:
    """Serving processes per replica: as configured, else as seen."""
    configured = whole(deployment.setting("workers"))
    if configured is not None:
        return configured
    seen = [sum(w.role != "master" for w in r.workers) for r in deployment.running if r.workers]
    return max(seen, default=None)


def has_manager(deployment: Deployment) -> bool:
    """Whether a master replaces workers that end."""
    return deployment.server == "gunicorn" or any(w.role == "master" for r in deployment.running for w in r.workers)


def serves_asgi(deployment: Deployment) -> bool:
    """Whether the workers run an event loop; where nothing tells, FastAPI does."""
    if deployment.server != "gunicorn":
        return True
    name = str(deployment.setting("worker_class") or "").lower()
    if not name:
        return deployment.framework == "fastapi"
    return "uvicorn" in name or "asgi" in name


def grace_seconds(deployment: Deployment) -> float | None:
    """Between a container's SIGTERM and SIGKILL; ``None`` for local processes, which nothing kills so."""
    if not in_container(deployment):
        return None
    told = [r.stop_signal_timeout_seconds for r in deployment.replicas if r.stop_signal_timeout_seconds]
    usual = DEFAULT_GRACE_SECONDS if deployment.orchestrated is None else POD_GRACE_SECONDS
    return min(told, default=usual)


def port(deployment: Deployment) -> int | None:
    """The port that the service listens on: as configured, else as seen."""
    configured = whole(deployment.setting("port"))
    if configured:
        return configured
    seen = {x.port for r in deployment.running for x in r.listeners or ()}
    return seen.pop() if len(seen) == 1 else None


def asking(deployment: Deployment) -> str:
    """The option that lets fastops ask its database's server; the Secrets of pods stay unread."""
    return "--database own" if deployment.orchestrated is None else "--database env:VAR"


_OUTRANKING = {"command line": "on the command line", "GUNICORN_CMD_ARGS": "in GUNICORN_CMD_ARGS"}


def outranked(deployment: Deployment, *names: str) -> str | None:
    """Why a local gunicorn's file cannot give these settings: they stand where it yields (docs.gunicorn.org, settings).

    A container is made anew with another command instead.
    """
    if deployment.kind != "process" or deployment.server != "gunicorn":
        return None
    for name in names:
        found = deployment.settings.get(name)
        if found is not None and found.source in _OUTRANKING:
            place = _OUTRANKING[found.source]
            return f"{name} = {found.value} stands {place}, which outranks the file: change it there."
    return None


def doubt(finding: Finding) -> str:
    """A sentence where a finding knows fields of a settings class, not the variables behind them; else empty."""
    fields = clean(str(finding.facts.get("fields", "")), 400).replace(",", ", ")
    if not fields:
        return ""
    prefix = clean(str(finding.facts.get("prefix", "")), 64)
    guess = f" {prefix} is what other variables of the deployment begin with." if prefix else ""
    return (
        f"Pydantic's error names fields ({fields}), not variables: with an env_prefix or an alias in the settings "
        f"class a variable is called otherwise, so look there first.{guess}"
    )
