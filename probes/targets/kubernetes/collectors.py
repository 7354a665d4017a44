"""Collectors of telemetry that a cluster runs: Services that take OTLP over HTTP, with a pod that is ready."""

from __future__ import annotations

from probes import text
from probes.base import Failure
from probes.target import Unreadable
from probes.targets.kubernetes import answers, objects, servers
from probes.targets.kubernetes.failures import Forbidden
from probes.targets.kubernetes.objects_around import Service
from probes.targets.kubernetes.servers import Name, Reader

PORT = 4318
"""Of OTLP over HTTP (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP Default Port")."""
_NAMES = frozenset({"otlp-http", "otlphttp", "http-otlp"})
_LIKELY = ("collector", "otel", "opentelemetry", "alloy", "agent")
_TRACES_ALONE = ("jaeger", "tempo", "zipkin")
"""Words in the names of Services that have the port, and refuse metrics."""
_MOST_ASKED = 10
_LIMIT = 64 << 20


class _Services(objects.Part, frozen=True):
    items: tuple[Service, ...] = ()


async def find(client: Reader, namespace: str, *, everywhere: bool) -> tuple[str, ...]:
    """Where metrics may be sent from a namespace's pods, the likeliest first: a collector of their own namespace.

    ``everywhere``: others' are looked at, too, where that is allowed. Raises :class:`Unreadable` where none is ready.
    """
    candidates = sorted(
        await _candidates(client, namespace, everywhere=everywhere), key=lambda c: _rank(c[0], namespace)
    )
    told: Unreadable | None = None
    found = []
    for name, port in candidates[:_MOST_ASKED]:
        try:
            if await servers.find(client, name, port) is not None:
                found.append(f"http://{name.service}.{name.namespace}.svc:{port}/v1/metrics")
        except Unreadable as unreadable:
            told = told or unreadable
    if not found and told is not None:
        raise told
    if not found:
        why = f"no Service has a port {PORT}, or one that is named otlp-http"
        raise Unreadable(Failure("not-found", "a collector of telemetry", why, "run an OpenTelemetry collector in it"))
    return tuple(found)


async def _candidates(client: Reader, namespace: str, *, everywhere: bool) -> list[tuple[Name, int]]:
    path = "/api/v1/services" if everywhere else f"/api/v1/namespaces/{namespace}/services"
    try:
        body = await client.get(path, limit=_LIMIT)
    except Forbidden:
        if not everywhere:
            raise
        return await _candidates(client, namespace, everywhere=False)
    return [
        (Name(meta.name, meta.namespace or namespace), port.port)
        for one in answers.decoded(path, body, _Services).items
        if (meta := one.metadata) is not None and meta.name and not _has(meta.name, _TRACES_ALONE)
        for port in (one.spec.ports if one.spec is not None else None) or ()
        if port.port and (port.port == PORT or (port.name or "") in _NAMES)
    ]


def _rank(name: Name, namespace: str) -> tuple[bool, bool, Name]:
    return name.namespace != namespace, not _has(name.service, _LIKELY), name


def _has(name: str, words: tuple[str, ...]) -> bool:
    return any(word in text.clean(name, 253).lower() for word in words)
