"""Limits of memory and CPU in a container's description. Pure.

A request is what a node reserves; where only a limit is given, Kubernetes takes that for the request too. So a new
limit must say what is reserved from now on: what was reserved before, unless the pod is of the class Guaranteed
(kubernetes.io/docs/tasks/configure-pod-container/quality-service-pod), which needs both to be the same.
"""

from __future__ import annotations

from typing import Any

from probes.targets.kubernetes import quantities

Json = dict[str, Any]


def set_memory(spec: Json, container: Json, limit_bytes: int, used_bytes: int | None) -> None:
    """Gives a container of a pod's ``spec`` a memory limit; ``used_bytes`` is what it takes now, where known."""
    usual = quantities.memory(_mebi(used_bytes)) if used_bytes else None
    _set(spec, container, "memory", quantities.memory(limit_bytes), usual)


def set_cpu(spec: Json, container: Json, limit_cores: float) -> None:
    """Gives a container of a pod's ``spec`` a CPU limit."""
    _set(spec, container, "cpu", quantities.cpu(limit_cores), None)


def limit(container: Json, what: str) -> float | None:
    """A limit in bytes or cores; ``None`` where there is none."""
    return quantities.quantity(_amounts(container, "limits").get(what))


def request(container: Json, what: str) -> float | None:
    """What is reserved, in bytes or cores: the request, else the limit; ``None`` where there is neither."""
    asked = quantities.quantity(_amounts(container, "requests").get(what))
    return limit(container, what) if asked is None else asked


def is_guaranteed(spec: Json) -> bool:
    """Whether every container reserves all that it may use."""
    every = [*(spec.get("initContainers") or []), *spec["containers"]]
    return all(
        limit(one, what) is not None and limit(one, what) == request(one, what)
        for one in every
        for what in ("cpu", "memory")
    )


def _amounts(container: Json, which: str) -> Json:
    found = (container.get("resources") or {}).get(which) or {}
    assert isinstance(found, dict)
    return found


def _set(spec: Json, container: Json, what: str, amount: str, usual: str | None) -> None:
    guaranteed = is_guaranteed(spec)
    had = _amounts(container, "limits").get(what)
    asked = _amounts(container, "requests").get(what)
    resources = container.setdefault("resources", {})
    resources.setdefault("limits", {})[what] = amount
    wanted, now = quantities.quantity(amount) or 0.0, quantities.quantity(asked)
    if guaranteed:
        reserved = amount if asked is not None else None
    elif now is not None:
        reserved = amount if now > wanted else asked
    else:
        reserved = had if had is not None else usual
        if reserved is not None and (quantities.quantity(reserved) or 0.0) > wanted:
            reserved = amount
    if reserved is not None and reserved != asked:
        resources.setdefault("requests", {})[what] = reserved


def _mebi(size_bytes: int) -> int:
    return -(-size_bytes // (1 << 20)) * (1 << 20)
