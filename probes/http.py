"""The requests that fastops makes to a service: few, bounded, GET only."""

from __future__ import annotations

from collections.abc import Sequence

from probes.model import HttpSample, ReplicaId
from probes.target import Access

USER_AGENT_NAME = "fastops"
LOOP_PATH = "/.fastops/loop"
"""A path that no route answers: the framework says 404 from the event loop itself, whatever the thread pool does."""
HEALTH_PATHS = ("/health", "/healthz", "/ready", "/readyz", "/livez", "/live", "/health/live", "/api/health", "/ping", "/status")


def user_agent() -> str:
    """``fastops/VERSION``: what implementers of :class:`probes.target.Access` send."""
    raise NotImplementedError


async def loop_probe(access: Access, replica: ReplicaId, port: int, timeout_seconds: float = 5.0) -> HttpSample:
    """One GET of :data:`LOOP_PATH`: any status means that the loop ran. Never raises."""
    raise NotImplementedError


async def health_probe(
    access: Access, replica: ReplicaId, port: int, paths: Sequence[str] = HEALTH_PATHS, timeout_seconds: float = 5.0
) -> HttpSample | None:
    """The first of ``paths`` that answers 2xx; else the first that is there and says 5xx or times out; ``None`` when none is there.

    Remember :attr:`HttpSample.path` and pass it alone the next time. Never raises.
    """
    raise NotImplementedError


async def openapi(access: Access, replica: ReplicaId, port: int, timeout_seconds: float = 5.0) -> bytes | None:
    """The document at ``/openapi.json`` when it is an OpenAPI document; ``None`` otherwise. Never raises."""
    raise NotImplementedError
