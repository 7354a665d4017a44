"""The requests that fastops makes to a service: few, bounded, GET only.

What they took is less what fastops' own loop was late meanwhile: a busy console, or a machine without a free core, must
not be taken for a slow service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec

from probes import httpmetrics, lag
from probes.base import ReplicaId
from probes.model import HttpSample
from probes.target import Access, Answer, Unreadable
from probes.text import line

LOOP_PATH = "/.fastops/loop"
"""A path that no route answers: the framework says 404 from the event loop itself, whatever the thread pool does."""
HEALTH_PATHS = (
    "/health",
    "/healthz",
    "/ready",
    "/readyz",
    "/livez",
    "/live",
    "/health/live",
    "/api/health",
    "/ping",
    "/status",
)
"""What services commonly call it, in the order in which they are tried."""
METRICS_PATH = "/metrics"
OWN_PATHS = frozenset((LOOP_PATH, METRICS_PATH, *HEALTH_PATHS))
"""What fastops asks for, and checks do: no requests of users."""
SAID_BYTES = 240
"""So much of an answer of 5xx is kept."""
_QUICK_BYTES = 4 * 1024
"""So much is parsed at once, in some 2 ms; more in a thread."""


def user_agent() -> str:
    """``fastops/VERSION``: what implementers of :class:`probes.target.Access` send."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"fastops/{version('fastops')}"
    except PackageNotFoundError:
        return "fastops"


async def _get(
    access: Access, replica: ReplicaId, port: int, path: str, timeout_seconds: float
) -> tuple[HttpSample, bytes]:
    at = datetime.now(UTC)
    async with lag.measured() as own:
        try:
            answer = await access.get(replica, port, path, timeout_seconds)
        except Unreadable as unreadable:
            answer = Answer(status=None, body=b"", took_seconds=0.0, error=unreadable.failure.code)
    took = max(0.0, answer.took_seconds - own.seconds)
    sick = answer.status is not None and answer.status >= 500 and bool(answer.body)
    said = line(answer.body[:SAID_BYTES], SAID_BYTES) if sick else None
    sample = HttpSample(at, path, took, answer.status, answer.error, said)
    return sample, answer.body


async def loop_probe(access: Access, replica: ReplicaId, port: int, timeout_seconds: float = 5.0) -> HttpSample:
    """One GET of :data:`LOOP_PATH`: any status means that the loop ran. Never raises."""
    sample, _ = await _get(access, replica, port, LOOP_PATH, timeout_seconds)
    return sample


async def health_probe(
    access: Access, replica: ReplicaId, port: int, paths: Sequence[str] = HEALTH_PATHS, timeout_seconds: float = 5.0
) -> HttpSample | None:
    """The first of ``paths`` that answers 2xx; else the first that is there and says 5xx; ``None`` when none is there.

    The search ends where no connection is made or a request times out: the next path would fare no better, and its
    time-out would be one more. Remember :attr:`HttpSample.path` and pass it alone the next time. Never raises.
    """
    sick: HttpSample | None = None
    for path in paths:
        sample, _ = await _get(access, replica, port, path, timeout_seconds)
        if sample.status is None:
            return sample if len(paths) == 1 else sick
        if 200 <= sample.status < 300:
            return sample
        if sample.status >= 500 and sick is None:
            sick = sample
    return sick


async def metrics(
    access: Access,
    replica: ReplicaId,
    port: int,
    ignored: Collection[str] = OWN_PATHS,
    timeout_seconds: float = 5.0,
) -> tuple[HttpSample, httpmetrics.Scrape | None]:
    """The service's own counters of requests, where it has any at :data:`METRICS_PATH`. Never raises.

    ``ignored`` are the paths that others than users ask for.
    """
    sample, body = await _get(access, replica, port, METRICS_PATH, timeout_seconds)
    if sample.status != 200:
        return sample, None
    if len(body) <= _QUICK_BYTES:
        return sample, httpmetrics.parse(body, ignored)
    return sample, await asyncio.to_thread(httpmetrics.parse, body, ignored)


class _Document(msgspec.Struct):
    openapi: str
    info: dict[str, object]
    paths: dict[str, object]


_DOCUMENT = msgspec.json.Decoder(_Document)
"""Made here, as it is used by several threads at once: msgspec crashes where two get to know a type together."""


def is_openapi(body: bytes) -> bool:
    """Whether a body is an OpenAPI 3 document with paths, as FastAPI serves it at ``/openapi.json``."""
    try:
        return _DOCUMENT.decode(body).openapi.startswith("3.")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


async def openapi(access: Access, replica: ReplicaId, port: int, timeout_seconds: float = 5.0) -> bytes | None:
    """The document at ``/openapi.json`` when it is an OpenAPI document; ``None`` otherwise. Never raises."""
    sample, body = await _get(access, replica, port, "/openapi.json", timeout_seconds)
    return body if sample.status == 200 and is_openapi(body) else None
