"""Sets the number of workers.

What it does: sets ``workers`` where it stands: ``--workers`` or ``-w`` on the command line, ``WEB_CONCURRENCY``,
``GUNICORN_CMD_ARGS``, or a local gunicorn's configuration file, which is then loaded by HUP. Else the option is added.
The default is

    worker-count, single-process   2 × CPU + 1, where CPU is the control group's quota, else the machine's cores; 12 at
                                   most where it rises (gunicorn: 4 to 12 serve thousands of requests a second)
    cpu-throttled                  one for each core of the quota, two at least; only fewer than now
    oom-killed, worker-sigkill,    as many as fit into 80 % of the memory limit by the most that a worker was seen to
    memory-near-limit              take (its PSS, or its share of the peak); only fewer than now
    pool-oversubscribed            as many as the server has connections for; only fewer than now

When it is right: the number does not fit the CPU, the memory or the database. Against memory it frees at once what the
workers that go had, and the service then answers fewer requests at a time.

When it is not: a leak, which fills the limit with fewer workers, too. On Kubernetes more processes in a pod: FastAPI's
own advice is one process per container, and several replicas (``scale``).

Risk: gunicorn is reloaded, or the service is started anew. What was in the memory of one process is then in several,
or gone.

Guard: against memory only fewer; otherwise never more than fit into 80 % of the memory limit beside what others in the
container use, each with the most that it ever had, or than the database's server has connections for, surge included.
The deployment's name must be typed where one process becomes several and a scheduler, SQLite, Socket.IO or
single-process metrics are loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _budget, _facts, _several
from fixes.values import byte_text
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node

AGAINST_MEMORY = frozenset({"oom-killed", "worker-sigkill", "memory-near-limit"})
ONLY_FEWER = AGAINST_MEMORY | {"cpu-throttled", "pool-oversubscribed"}
MOST = 256
USUAL_MOST = 12
"""docs.gunicorn.org/en/stable/design.html: 4 to 12 handle hundreds or thousands of requests a second."""


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    now = _facts.worker_count(deployment)
    if deployment.server not in {"gunicorn", "uvicorn"} or now is None:
        return "How many workers it runs is not known, or not set by a command that can be rewritten."
    if deployment.server == "uvicorn" and deployment.setting("reload") is True:
        return "While it reloads code uvicorn runs one worker, whatever it is told: drop that flag first."
    outranked = _facts.outranked(deployment, "workers")
    if outranked is not None:
        return outranked
    if finding.signature in ONLY_FEWER:
        return _why_not_fewer(deployment, finding, now)
    advised = _facts.whole(finding.facts.get("advised"))
    if advised is not None and advised < now:
        return None
    if deployment.orchestrated is not None:
        return "In a pod one process is right: run more replicas (scale)."
    return _why_not_more(deployment, finding, now)


def _why_not_fewer(deployment: Deployment, finding: Finding, now: int) -> str | None:
    if now <= 1:
        return "It runs one worker: there is none to take away."
    fit = _fewer(deployment, finding, now)
    if finding.signature in AGAINST_MEMORY:
        size, limit = _share(deployment, now), _facts.memory_limit(deployment)
        if fit is None or size is None or limit is None:
            return "Its memory limit, or how much of it a worker takes, is not known."
        if fit < 1:
            return f"One worker alone, of {byte_text(size)}, is too much for {byte_text(limit)}: raise the limit."
        return None
    if fit is None:
        return "The CPU quota is not known." if finding.signature == "cpu-throttled" else _UNKNOWN_POOL
    if fit < 1:
        return "Even one worker's pool opens more connections than the server has left: make the pool smaller."
    if fit >= now:
        return f"Its {now} workers fit already: fewer would not help."
    return None


def _why_not_more(deployment: Deployment, finding: Finding, now: int) -> str | None:
    if _facts.memory_limit(deployment) is not None and _facts.worker_memory(deployment) is None:
        return "How much memory a worker takes is not known, so more of them might not fit into the limit."
    fit = _facts.fitting_workers(deployment)
    if fit is not None and fit <= now:
        return _facts.no_room(deployment, now + 1)
    connections = _budget.workers(deployment, finding)
    if connections is not None and connections <= now:
        return "The database's server has no connections left for another worker's pool: make the pool smaller first."
    return None


def _parameters(deployment: Deployment, finding: Finding, node: Node | None) -> tuple[Parameter, ...]:
    now = _facts.worker_count(deployment) or 1
    if finding.signature in ONLY_FEWER:
        most = max(1, now - 1)
        default = max(1, min(most, _fewer(deployment, finding, now) or 1))
    else:
        bounds = [
            MOST,
            _facts.fitting_workers(deployment),
            _budget.workers(deployment, finding),
            _facts.workers_on_machine(deployment, node, now),
        ]
        most = max(1, min(bound for bound in bounds if bound is not None))
        by_cpu = math.floor(2 * (_facts.cores(deployment, node) or 1) + 1)
        advised = _facts.whole(finding.facts.get("advised")) or max(2, by_cpu)
        default = max(1, min(advised, most, max(now, USUAL_MOST)))
    return (Parameter("workers", "Workers", default, "processes", minimum=1, maximum=most),)


def _fewer(deployment: Deployment, finding: Finding, now: int) -> int | None:
    """How many may stay, for findings against which only fewer help; ``None`` where that cannot be told."""
    if finding.signature == "cpu-throttled":
        quota = _facts.cores(deployment, None)
        return None if quota is None else max(2, math.ceil(quota))
    if finding.signature == "pool-oversubscribed":
        return _budget.workers(deployment, finding)
    limit, size = _facts.memory_limit(deployment), _share(deployment, now)
    return None if limit is None or not size else min(now - 1, math.floor(_facts.SHARE_OF_LIMIT * limit / size))


def _share(deployment: Deployment, now: int) -> int | None:
    """The most that one worker was seen to take: the largest now, or an even share of the replica's peak."""
    peak = max((r.memory.peak_bytes or r.memory.used_bytes or 0 for r in deployment.replicas), default=0)
    return max(_facts.worker_memory(deployment) or 0, peak // now) or None


def _intend(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    workers = {"workers": int(values["workers"])}
    return Desired(gunicorn=workers, server="uvicorn" if deployment.server == "uvicorn" else None)


def _cautions(deployment: Deployment, finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = []
    now, wanted = _facts.worker_count(deployment) or 1, int(values["workers"])
    if wanted < now:
        said.append(f"With {wanted} instead of {now} it serves fewer requests at a time.")
    if wanted > now and deployment.drivers and _budget.workers(deployment, finding) is None:
        drivers = ", ".join(deployment.drivers)
        said.append(f"Each worker opens its own database pool ({drivers}): the connections rise by {wanted}/{now}.")
    if now < 2 <= wanted:
        said += (*_several.objections(deployment), *_several.conditions(deployment))
    return tuple(said)


def _confirm(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> str | None:
    if (_facts.worker_count(deployment) or 1) < 2 <= int(values["workers"]):
        return " ".join(_several.objections(deployment)) or None
    return None


_UNKNOWN_POOL = "How many connections a worker's pool opens, or the server lets in, is not known."

REMEDY = Remedy(
    id=RemedyId("set-workers"),
    title="Set the number of workers",
    capability="gunicorn",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
    confirm=_confirm,
)
