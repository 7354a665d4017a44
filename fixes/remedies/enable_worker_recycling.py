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
from probes.model import Deployment, Desired, Intent, Node, Value

REQUESTS = 1000
JITTER = 100


def _why_not(deployment: Deployment, _finding: Finding) -> str | None:
    if deployment.server not in {"gunicorn", "uvicorn"}:
        return "Only gunicorn and uvicorn can be told to recycle their workers from here."
    if not _facts.has_manager(deployment):
        return "A lone server exits at its limit and nothing starts it again: put it under a manager first."
    workers = _facts.worker_count(deployment)
    if workers is None or workers < 2:
        return "It takes two workers or more: a single one leaves nobody to answer while its successor starts."
    return None


def _parameters(_deployment: Deployment, _finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    return (
        Parameter("max_requests", "Requests per worker", REQUESTS, minimum=1, maximum=10_000_000),
        Parameter("max_requests_jitter", "Spread between workers", JITTER, minimum=1, maximum=1_000_000),
    )


def _intend(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Desired(gunicorn=dict(values), server="uvicorn" if deployment.server == "uvicorn" else None)


def _cautions(_deployment: Deployment, finding: Finding, _values: Mapping[str, Value]) -> tuple[str, ...]:
    if finding.signature == "memory-leak":
        return ("Recycling bounds the leak; `profile` and `advise` help to find it.",)
    return ()


REMEDY = Remedy(
    id=RemedyId("enable-worker-recycling"),
    title="Recycle workers after 1000 requests",
    capability="gunicorn",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
