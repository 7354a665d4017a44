"""Limits of a container: what the engine must be told so that they become what is wanted, and when they must not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probes import text
from probes.intent import Desired
from probes.model import Deployment
from probes.target import Refused
from probes.targets.docker.documents import UNLIMITED_BYTES
from probes.targets.docker.rendering import amount

Json = dict[str, Any]
IN_USE = 0.9
"""Lowering is refused where more than this part of the new limit is in use: the kernel would kill at once."""
JSON_FILE = "json-file"
"""The log driver that keeps everything unless it is told otherwise (docs.docker.com/engine/logging/drivers)."""
_NONE = (1 << 63) - 4096
"""No limit, in the words of control groups: the engine takes neither 0 nor -1 for ``Memory`` once there is a limit."""


def memory_values(host: Json, limit_bytes: int) -> Json:
    """``Memory`` and ``MemorySwap`` for a new memory limit, ``host`` being the ``HostConfig`` of now.

    What may be swapped beside it stays the same. The engine refuses ``Memory`` above ``MemorySwap``, and above the
    kernel's own memory+swap limit of a container that never had one, so both are always told; the latter gets the
    engine's default for a new container (as much swap as memory).
    """
    memory, swap = limited(host.get("Memory")), host.get("MemorySwap") or 0
    if swap == -1:
        return {"Memory": limit_bytes, "MemorySwap": -1}
    beside = limit_bytes if not memory else max(0, swap - memory)
    return {"Memory": limit_bytes, "MemorySwap": limit_bytes + beside}


def former_values(host: Json) -> Json:
    """What brings today's limits back later."""
    memory, swap = limited(host.get("Memory")), host.get("MemorySwap") or 0
    if not memory:
        return {"Memory": _NONE, "MemorySwap": _NONE}
    return {"Memory": memory, "MemorySwap": swap or -1}


def limited(memory: object) -> int:
    """A memory limit in bytes; 0 where there is none."""
    return memory if isinstance(memory, int) and 0 < memory < UNLIMITED_BYTES else 0


def refuse_memory(name: str, limit_bytes: int, now_bytes: int, used_bytes: int | None, node_bytes: int | None) -> None:
    """Raises :class:`Refused` where a memory limit would kill, or promises what the machine has not.

    ``now_bytes`` is today's limit (0: none), ``used_bytes`` the working set.
    """
    if node_bytes and limit_bytes > node_bytes and limit_bytes < UNLIMITED_BYTES:
        raise Refused(f"{amount(limit_bytes)} is more memory than the machine has ({amount(node_bytes)}).")
    lowering = not now_bytes or limit_bytes < now_bytes
    if lowering and used_bytes is not None and used_bytes > IN_USE * limit_bytes:
        raise Refused(
            f"{name} uses {amount(used_bytes)} now, more than 90 % of {amount(limit_bytes)}: "
            "the kernel would kill it. Take a higher limit, or restart it first."
        )


def ulimits(host: Json, soft: int, known_hard: int | None) -> list[Json]:
    """``Ulimits`` with another soft limit of open files; the hard one is raised only where it has to be."""
    made: list[Json] = [dict(one) for one in host.get("Ulimits") or []]
    found = next((one for one in made if one.get("Name") == "nofile"), None)
    if found is None:
        made.append({"Name": "nofile", "Soft": soft, "Hard": max(soft, known_hard or 0)})
    else:
        found["Soft"], found["Hard"] = soft, -1 if found.get("Hard") == -1 else max(soft, int(found.get("Hard") or 0))
    return made


def log_config(host: Json, options: Mapping[str, str]) -> Json:
    """``LogConfig`` with these options of ``json-file`` where it has no bound; :class:`Refused` for another driver."""
    held: Json = host.get("LogConfig") or {}
    driver = str(held.get("Type") or JSON_FILE)
    if driver != JSON_FILE:
        raise Refused(f"Its log driver is {text.clean(driver, 60)}, not {JSON_FILE}.")
    if is_bound((held.get("Config") or {}).get("max-size")):
        return held
    return {"Type": JSON_FILE, "Config": {**(held.get("Config") or {}), **options}}


def is_bound(max_size: object) -> bool:
    """Whether a ``max-size`` bounds a log: -1, as none, is no bound."""
    return str(max_size if max_size is not None else "").strip() not in {"", "-1"}


def known_hard_limit(deployment: Deployment) -> int | None:
    """The hard limit of open files that the workers have now."""
    return max((w.open_files_hard_limit or 0 for w in deployment.workers), default=0) or None


def needs_recreate(host: Json, want: Desired) -> bool:
    """Whether something is wanted that the engine cannot change on a container as it is."""
    files = want.open_files_limit
    has = next((one.get("Soft") for one in host.get("Ulimits") or [] if one.get("Name") == "nofile"), None)
    log = (host.get("LogConfig") or {}).get("Config") or {}
    return (
        bool(want.bind_host or want.gunicorn or want.server or want.production)
        or bool(want.environment or want.database_tls)
        or (files is not None and has != files)
        or bool(want.log_options and not is_bound(log.get("max-size")))
    )
