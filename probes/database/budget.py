"""What the pools of a deployment may open: (pool_size + max_overflow) × workers × replicas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from probes.model import Deployment, Replica
from probes.pools import Held, Pool, ServerKind, Variables

SIZES = (
    "SQLALCHEMY_POOL_SIZE", "DATABASE_POOL_SIZE", "DB_POOL_SIZE", "POSTGRES_POOL_SIZE", "PG_POOL_SIZE", "POOL_SIZE"
)  # fmt: skip
OVERFLOWS = (
    "SQLALCHEMY_MAX_OVERFLOW", "SQLALCHEMY_POOL_MAX_OVERFLOW", "DATABASE_MAX_OVERFLOW", "DATABASE_POOL_MAX_OVERFLOW",
    "DB_MAX_OVERFLOW", "DB_POOL_MAX_OVERFLOW", "POSTGRES_MAX_OVERFLOW", "PG_MAX_OVERFLOW", "POOL_MAX_OVERFLOW",
    "MAX_OVERFLOW",
)  # fmt: skip
WHOLES = (
    "DATABASE_POOL_MAX_SIZE", "DB_POOL_MAX_SIZE", "DB_POOL_MAX", "POSTGRES_POOL_MAX_SIZE", "PG_POOL_MAX_SIZE",
    "ASYNCPG_POOL_MAX_SIZE",
)  # fmt: skip
"""asyncpg's and psycopg_pool's ``max_size``: there is no overflow beside it."""


_VIEWS: Mapping[ServerKind, str] = {
    "postgresql": "pg_stat_activity", "pgbouncer": "SHOW CLIENTS", "mysql": "process list", "mariadb": "process list"
}  # fmt: skip


class Stated(NamedTuple):
    """A worker's pool, as something says."""

    size: int
    overflow: int | None
    """``None`` where only the size is said."""
    source: str
    variables: Variables | None = None
    """What gives it the numbers; ``None`` where that is not known."""


class Found(NamedTuple):
    """What the service's own files say."""

    code: Stated | None = None
    """Its source, by what the environment gives it: what is in force."""
    file: Stated | None = None
    """A configuration file; what the code makes of it is not seen."""


NOTHING = Found()


def by_environment(replica: Replica) -> Stated | None:
    """The sizes that variables of the usual names give; what the code makes of them is not seen."""
    environment = replica.environment
    size, overflow, whole = (_number(environment, names) for names in (SIZES, OVERFLOWS, WHOLES))
    if size is not None:
        names = size[0] if overflow is None else f"{size[0]}, {overflow[0]}"
        return Stated(size[1], None if overflow is None else overflow[1], f"environment {names}")
    return None if whole is None else Stated(whole[1], 0, f"environment {whole[0]}")


def pool(
    deployment: Deployment, said: Stated | None, held: Held | None, peak: int | None, found: Found = NOTHING
) -> Pool | None:
    """All that is known of a deployment's pools; ``None`` where that is nothing.

    ``said``: what the pool says of itself in the log, which is in force; ``peak``: the most that were open at once.
    """
    running = deployment.running
    stated = said or found.code or (by_environment(running[0]) if running else None) or found.file
    if stated is None and held is None:
        return None
    around = deployment.orchestrated
    rollout = around.rollout if around is not None else None
    sources = []
    if held is not None:
        sources.append(f"{_VIEWS[held.server.kind]} of {held.server.name}")
    if stated is not None:
        sources.append(f"pool by {stated.source}")
    elif peak is not None:
        sources.append(f"pool inferred: at least {peak}, the most that were open at once")
    return Pool(
        source="; ".join(sources),
        in_use=None if held is None else held.connections,
        peak=peak,
        size=None if stated is None else stated.size,
        overflow=None if stated is None else stated.overflow,
        workers=_workers(deployment),
        replicas=max(len(running), deployment.desired or 0) or None,
        surge=(rollout.max_surge or 0) if rollout is not None else 0,
        held=held,
        variables=_variables(stated, found.code),
    )


def _variables(stated: Stated | None, code: Stated | None) -> Variables | None:
    """Those that the source reads, where its numbers are the ones in force."""
    if stated is None or code is None or (stated.size, stated.overflow) != (code.size, code.overflow):
        return None
    return code.variables


def _workers(deployment: Deployment) -> int | None:
    """The processes with a pool in the replica that has most; else what is configured."""
    seen = [sum(w.role != "master" for w in r.workers) for r in deployment.running if r.workers]
    configured = deployment.setting("workers")
    if any(seen):
        return max(seen)
    return int(configured) if isinstance(configured, (int, float)) and configured >= 1 else None


def _number(environment: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, int] | None:
    for name in names:
        value = environment.get(name, "").strip()
        digits = value.removeprefix("-") if names is OVERFLOWS else value
        if digits.isdecimal() and digits.isascii() and len(digits) < 6 and (int(digits) or names is OVERFLOWS):
            return name, max(-1, int(value))
    return None
