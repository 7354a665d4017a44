"""Health checks in a container's description. Pure.

Fields and their defaults: kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Probe.
"""

from __future__ import annotations

import math
from typing import Any

from probes.orchestrator import ProbeSpec

Json = dict[str, Any]
_HANDLERS = {"http": "httpGet", "tcp": "tcpSocket", "exec": "exec", "grpc": "grpc"}
_NUMBERS = (
    ("initialDelaySeconds", "initial_delay_seconds", 0),
    ("timeoutSeconds", "timeout_seconds", 1),
    ("periodSeconds", "period_seconds", 10),
    ("successThreshold", "success_threshold", 1),
    ("failureThreshold", "failure_threshold", 3),
)


def set_probe(container: Json, wanted: ProbeSpec) -> None:
    """Puts a check in the place of the one of its role; fields that it does not know of (headers, …) stay."""
    field = f"{wanted.role}Probe"
    probe: Json = dict(container.get(field) or {})
    handler = _HANDLERS[wanted.handler]
    for other in _HANDLERS.values():
        if other != handler:
            probe.pop(other, None)
    probe[handler] = _handler(container, dict(probe.get(handler) or {}), wanted)
    for name, attribute, default in _NUMBERS:
        number = math.ceil(getattr(wanted, attribute))
        if number != probe.get(name, default):
            probe[name] = number
    container[field] = probe


def port_number(container: Json, port: object) -> int | None:
    """A probe's port as a number; ``None`` for a name that no port of the container has."""
    if not isinstance(port, str):
        return port if isinstance(port, int) else None
    named = {str(one["name"]): int(one["containerPort"]) for one in container.get("ports") or [] if one.get("name")}
    return named.get(port, int(port) if port.isdecimal() else None)


def _handler(container: Json, held: Json, wanted: ProbeSpec) -> Json:
    if wanted.handler == "exec":
        return {**held, "command": list(wanted.command)}
    if wanted.port is not None and port_number(container, held.get("port")) != wanted.port:
        held["port"] = wanted.port
    if wanted.handler == "http":
        held["path"] = wanted.path or "/"
        if wanted.scheme != held.get("scheme", "HTTP"):
            held["scheme"] = wanted.scheme
    if wanted.host is not None and wanted.handler in {"http", "tcp"}:
        held["host"] = wanted.host
    return held
