"""Lets the manager replace each worker after a number of requests.

What it does: sets ``max_requests`` to 1000 and ``max_requests_jitter`` to 100 (uvicorn: ``--limit-max-requests`` and
its jitter). A worker that has served so many requests ends gracefully and is replaced; the jitter keeps the workers
from doing so at the same moment.

When it is right: memory rises with the requests served and the cause is not found yet, or lies in a library.

Risk: the price is a start of the application per thousand requests and worker. State in a worker's memory (caches,
WebSockets) ends with it. The setting itself is loaded by a reload or a restart.

Guard: only with two workers or more under a manager. A lone uvicorn exits at its limit with status 0, and a single
worker leaves nobody to answer while its successor starts.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts
from fixes.values import byte_text
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node

REQUESTS = 1000
JITTER = 100
FITS = 0.5
"""Of a memory limit for what is added between two births of a worker: the application itself needs the rest."""
UVICORN_REPLACES = (0, 30)
"""Since this release uvicorn's master replaces workers that end."""
UVICORN_SPREADS = (0, 41)
"""Since this release uvicorn has ``--limit-max-requests-jitter``."""


def _why_not(deployment: Deployment, _finding: Finding) -> str | None:
    if deployment.server not in {"gunicorn", "uvicorn"}:
        return "Only gunicorn and uvicorn can be told to recycle their workers from here."
    if not _facts.has_manager(deployment):
        return "A lone server exits at its limit and nothing starts it again: put it under a manager first."
    if deployment.server == "uvicorn" and not _uvicorn_since(deployment, UVICORN_REPLACES):
        return (
            "Only uvicorn 0.30 and newer replaces workers that end, and this one is older, or its release is unknown."
        )
    workers = _facts.worker_count(deployment)
    if workers is None or workers < 2:
        return "It takes two workers or more: a single one leaves nobody to answer while its successor starts."
    return _facts.outranked(deployment, "max_requests", "max_requests_jitter")


def _parameters(deployment: Deployment, _finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    requests = Parameter("max_requests", "Requests per worker", REQUESTS, minimum=1, maximum=10_000_000)
    if not _spreads(deployment):
        return (requests,)
    return (
        requests,
        Parameter("max_requests_jitter", "Spread between workers", JITTER, minimum=1, maximum=1_000_000),
    )


def _intend(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Desired(gunicorn=dict(values), server="uvicorn" if deployment.server == "uvicorn" else None)


def _cautions(deployment: Deployment, finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = []
    if finding.signature == "memory-leak":
        said.append(f"{_bounds(deployment, finding, values)} `profile` and `advise` help to find the leak.")
    if not _spreads(deployment):
        said.append("This uvicorn has no jitter (0.41 brought it): workers may end at about the same time.")
    return tuple(said)


def _bounds(deployment: Deployment, finding: Finding, values: Mapping[str, Value]) -> str:
    """Whether what the workers' requests add fits, where it is known what one adds."""
    requests = _number(values.get("max_requests")) + _number(values.get("max_requests_jitter"))
    each, limit = _number(finding.facts.get("bytes_per_request")), _facts.memory_limit(deployment)
    if each <= 0:
        return f"Recycling bounds the leak only if {requests} requests of each worker fit into the memory."
    workers = _facts.worker_count(deployment) or 1
    adds = f"{requests} requests add about {byte_text(requests * each)} to each of {workers} workers"
    if limit is None or workers * requests * each <= limit * FITS:
        return f"Recycling bounds the leak: {adds}."
    most = max(1, int(limit * FITS / (workers * each)))
    return f"{adds}, and the limit is {byte_text(limit)}: choose {most} or fewer, or the leak comes to it first."


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _spreads(deployment: Deployment) -> bool:
    return deployment.server != "uvicorn" or _uvicorn_since(deployment, UVICORN_SPREADS)


def _uvicorn_since(deployment: Deployment, release: tuple[int, ...]) -> bool:
    found = _facts.version(deployment.packages, "uvicorn")
    return found is not None and found >= release


REMEDY = Remedy(
    id=RemedyId("enable-worker-recycling"),
    title="Recycle workers after 1000 requests",
    capability="gunicorn",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
