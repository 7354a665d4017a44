"""Sets the size of the database pool, where a variable says it.

What it does: gives the variables that hold ``pool_size`` and ``max_overflow`` other numbers: those that the service's
source takes them from, or, where that cannot be read, the one that has a database pool's usual name (``DB_POOL_SIZE``,
``DB_MAX_OVERFLOW``, …). The container is made anew, and the Compose file changed; pods are rolled out. The defaults:

    pool-too-small, pool-exhausted   20 + 30 for each worker, less where the server has not so many
    pool-oversubscribed,             what the server has for each worker: the overflow goes first, then the size
    db-connections-exhausted

What the server has is 80 % of the connections that it lets in, less those that others hold now, divided by workers ×
(replicas + a rollout's surge). The sum is shown with the diff.

When it is right: the pool is used up by requests that use it, or all pools together ask for more than there is.

When it is not: connections that are held too long (a transaction open for minutes, a session that is never closed).
A larger pool only delays that; a pool of 50 for one worker is no longer the reason.

Risk: the service is started anew.

Guard: never more than the server has, and nothing at all where its limit is not known (``--database`` lets fastops
ask it). Refused while a transaction has been open for more than a minute, and where no variable that is known to be
the database pool's has the number that is in force (``REDIS_POOL_SIZE`` may have it, too): then it stands elsewhere,
and ``advise`` shows what to write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _budget, _facts
from probes.base import Value
from probes.database import budget
from probes.intent import Desired, Intent
from probes.model import Deployment, Node
from probes.target import Refused
from probes.text import clean, is_secret_name

RISES = frozenset({"pool-exhausted", "pool-too-small"})
SIZE, OVERFLOW = 20, 30
LONG_SECONDS = 60.0
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Sizes(NamedTuple):
    """A worker's pool."""

    size: int
    overflow: int


def _now(deployment: Deployment, finding: Finding) -> Sizes | None:
    """What is in force; ``None`` where it is not known or has no bound."""
    pool = deployment.pool
    size = _facts.whole(finding.facts.get("size"))
    overflow = _facts.whole(finding.facts.get("overflow"))
    if (size is None or overflow is None) and pool is not None:
        size, overflow = pool.size, pool.overflow
    return None if not size or overflow is None or overflow < 0 else Sizes(size, overflow)


def _size_variable(deployment: Deployment, now: Sizes) -> str | None:
    told = deployment.pool.variables if deployment.pool is not None else None
    whole = budget.WHOLES if now.overflow == 0 else ()
    return _variable(deployment, (*budget.SIZES, *whole) if told is None else told.size, now.size)


def _overflow_variable(deployment: Deployment, now: Sizes) -> str | None:
    told = deployment.pool.variables if deployment.pool is not None else None
    return _variable(deployment, budget.OVERFLOWS if told is None else told.overflow, now.overflow)


def _variable(deployment: Deployment, names: Sequence[str], value: int) -> str | None:
    """The one of these variables that has the number in force in every replica; ``None`` where none is."""
    found = {
        name
        for replica in deployment.replicas
        for name, text in replica.environment.items()
        if name in names and text.strip() == str(value)
    }
    everywhere = [name for name in found if all(name in replica.environment for replica in deployment.replicas)]
    return everywhere[0] if len(found) == 1 and everywhere else None


def _most(deployment: Deployment, finding: Finding) -> int | None:
    """What the server has for each worker; ``None`` where that is not known."""
    room, workers = _budget.room(deployment, finding), _workers(deployment)
    return None if room is None or not workers else room // (workers * _budget.replicas(deployment))


def _workers(deployment: Deployment) -> int | None:
    counted = deployment.pool.workers if deployment.pool is not None else None
    return counted or _facts.worker_count(deployment)


def _why_not(deployment: Deployment, finding: Finding) -> str | None:
    now = _now(deployment, finding)
    if now is None:
        return "How large a worker's pool is, with its overflow, is not known."
    if _size_variable(deployment, now) is None:
        return (
            f"No variable that is known to be the database pool's holds its size ({now.size}): change it where the "
            "code takes it from."
        )
    most = _most(deployment, finding)
    if most is None:
        option = _facts.asking(deployment)
        return f"How many connections the database's server lets in is not known: let fastops ask it ({option})."
    held = deployment.pool.held if deployment.pool is not None else None
    oldest = held.oldest_transaction_seconds if held is not None else None
    total = now.size + now.overflow
    if finding.signature in RISES:
        if oldest is not None and oldest > LONG_SECONDS:
            return f"A transaction has been open for {oldest:.0f} s: connections are held too long, end that first."
        if total >= SIZE + OVERFLOW:
            return f"A worker's pool of {total} is large: its connections are held too long, which no size mends."
        if held is not None and any(one.clients_waiting for one in held.server.pooled):
            return "Clients wait in PgBouncer itself, and a larger pool lets more of them wait: size PgBouncer's pool."
        if most <= total:
            return f"The database's server has {most} connections for each worker, and its pool may open {total}."
    elif most >= total:
        return "Its own pools fit: others hold the connections."
    wanted = _wanted(deployment, finding, now, most)
    if wanted.size < 1 or (finding.signature in RISES and wanted == now):
        return (
            "Even with the least pool its workers open too many connections: run fewer, or change the overflow in code."
        )
    return None


def _wanted(deployment: Deployment, finding: Finding, now: Sizes, most: int) -> Sizes:
    """The sizes that fit; the overflow stays where no variable holds it."""
    fixed = _overflow_variable(deployment, now) is None
    if finding.signature in RISES:
        if fixed:
            return Sizes(max(now.size, min(SIZE + OVERFLOW, most) - now.overflow), now.overflow)
        size = max(now.size, min(SIZE, most * SIZE // (SIZE + OVERFLOW)))
        return Sizes(size, min(OVERFLOW, most - size))
    if fixed:
        return Sizes(most - now.overflow, now.overflow)
    size = min(now.size, most)
    return Sizes(size, min(now.overflow, most - size))


def _parameters(deployment: Deployment, finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    now, most = _now(deployment, finding), _most(deployment, finding)
    if now is None or most is None:
        return ()
    wanted = _wanted(deployment, finding, now, most)
    names = [_size_variable(deployment, now) or "", _overflow_variable(deployment, now) or ""]
    size = Parameter("pool_size", "Pool size", wanted.size, "connections", minimum=1, maximum=most)
    overflow = Parameter("max_overflow", "Overflow", wanted.overflow, "connections", minimum=0, maximum=most)
    told = Parameter("variables", "Variables", ",".join(name for name in names if name))
    return (size, overflow, told) if names[1] else (size, told)


def _intend(deployment: Deployment, finding: Finding, values: Mapping[str, Value]) -> Intent:
    now, most = _now(deployment, finding), _most(deployment, finding)
    size = int(values["pool_size"])
    overflow = int(values["max_overflow"]) if "max_overflow" in values else (now.overflow if now is not None else 0)
    if most is not None and size + overflow > most:
        raise Refused(f"{size} + {overflow} is more than the {most} connections that the server has for each worker.")
    numbers = [str(size), *([str(overflow)] if "max_overflow" in values else [])]
    names = [one.strip() for one in str(values["variables"]).split(",") if one.strip()]
    if len(names) != len(numbers) or not all(_NAME.fullmatch(one) and not is_secret_name(one) for one in names):
        raise Refused(f"Name {len(numbers)} variables, separated by commas: {clean(','.join(names), 200) or 'none'}.")
    return Desired(environment=dict(zip(names, numbers, strict=True)))


def _cautions(deployment: Deployment, finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    now, workers = _now(deployment, finding), _workers(deployment) or 1
    room, replicas = _budget.room(deployment, finding), _budget.replicas(deployment)
    size = int(values["pool_size"])
    overflow = int(values.get("max_overflow", now.overflow if now is not None else 0))
    may = workers * replicas * (size + overflow)
    product = f"{workers} workers × {replicas} replicas × ({size}+{overflow}) = {may}"
    return (f"{product} connections at most, of {room} that the server has for it.",)


REMEDY = Remedy(
    id=RemedyId("resize-pool"),
    title="Size the database pool",
    capability="variables",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
