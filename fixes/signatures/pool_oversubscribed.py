"""The service's pools together may open more connections than the server allows.

What it means. Each worker of each replica has a pool of its own. (pool_size + max_overflow) × workers × replicas is
what they may open under load; beyond the server's limit the last ones are refused, at the worst moment.

What proves it. The pool's size as SQLAlchemy's own lines or the environment give it, the workers and replicas that
run, and the server's limit: as it says itself where it may be asked (``--database``), or where it was named in the log
(MySQL 1226 gives a user's). The sum is shown.

What it is not. A pool whose size is not known: that so many connections were seen open is no size. A server whose limit
is not known: from the log alone it is asked for only where the server did refuse connections.

What to do. Smaller pools, fewer workers, a pooler, or a higher limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases, _shared
from fixes.signatures.db_connections_exhausted import REFUSED
from fixes.signatures.pool_exhausted import QUEUE
from fixes.signatures.worker_count import settled
from probes.base import Value
from probes.loghits import LogHit
from probes.model import Deployment
from probes.pools import DatabaseServer, Held, Pool


def detect(view: View) -> Verdict:
    """Fires where pool, workers and limit are known and do not fit."""
    return _measured(view.deployment.pool) or _logged(view)


def _measured(pool: Pool | None) -> Verdict | None:
    """By what the server itself allows; ``None`` where it was not asked, or the pool's size is not known."""
    if pool is None or pool.held is None or pool.capacity is None or pool.held.server.usable is None:
        return None
    usable, server, by = pool.held.server.usable, pool.held.server.name, pool.held.server.limited_by
    whose = f" by the limit of {by}" if by else ""
    if pool.capacity <= usable:
        return SILENT
    parts = f"{pool.product} = {pool.capacity}"
    return Fires(
        severity="warning",
        title=f"the pools may open {parts} connections, the server allows {usable}{whose}",
        evidence=(
            Evidence(
                "database", f"{server} lets {usable} connections in{whose}", value=float(usable), unit="connections"
            ),
            Evidence("settings", f"{parts}: {pool.source}", value=float(pool.capacity), unit="connections"),
        ),
        facts={"capacity": pool.per_worker or 0, "may": pool.capacity, "limit": usable, "asked": True},
    )


def _since(deployment: Deployment, facts: Mapping[str, Value], applied_at: datetime) -> str | None:
    """Why it is not seen that the pools fit now: silent is this signature, too, where the server was not asked."""
    pool = deployment.pool
    if pool is None or pool.capacity is None:
        return "How many connections its pools may open is not known since the change."
    if not settled(deployment):
        return "Its workers are still starting, or being replaced."
    server, limit = None if pool.held is None else pool.held.server, facts.get("limit")
    if server is not None and server.usable is not None and server.asked_at > applied_at:
        return None
    if facts.get("asked") is True or not isinstance(limit, (int, float)):
        return "The database's server was not asked since the change."
    fits = pool.capacity <= limit
    return None if fits else f"Its pools may open {pool.capacity} connections, and {limit:g} was the server's limit."


def _logged(view: View) -> Verdict:
    pools = [hit for hit in view.hits(QUEUE.key) if _capacity(hit) > 0]
    refusals = view.hits(REFUSED.key)
    if not pools or not refusals:
        return SILENT
    pool = max(pools, key=_capacity)
    workers, replicas = _workers(view.deployment), max(1, len(view.deployment.running))
    limit = min((int(h.fields["limit"]) for h in refusals if h.fields.get("limit", "").isdecimal()), default=None)
    if workers is None:
        return Undecided("the number of workers")
    may = _capacity(pool) * workers * replicas
    parts = f"({pool.fields['size']} + {pool.fields['overflow']}) × {workers} workers × {replicas} replicas = {may}"
    if limit is None:
        return Undecided(f"the server's max_connections; the pools may open {parts}")
    if may <= limit:
        return SILENT
    return Fires(
        severity="warning",
        title=f"the pools may open {parts} connections, the server allows {limit}",
        evidence=tuple(_shared.evidence_of(hit) for hit in (pool, refusals[-1])),
        facts={"capacity": _capacity(pool), "workers": workers, "replicas": replicas, "may": may, "limit": limit},
    )


def _capacity(hit: LogHit) -> int:
    """What a worker's pool can hold; 0 where it has no bound."""
    size, overflow = hit.fields["size"], hit.fields["overflow"]
    return int(size) + int(overflow) if len(size) < 6 and len(overflow) < 6 and not overflow.startswith("-") else 0


def _workers(deployment: Deployment) -> int | None:
    seen = [len(_shared.serving(replica)) for replica in deployment.running if replica.workers]
    configured = deployment.setting("workers")
    if seen:
        return max(seen) or None
    return int(configured) if isinstance(configured, (int, float)) and configured >= 1 else None


_QUEUE = (
    "sqlalchemy.exc.TimeoutError: QueuePool limit of size {} overflow {} reached, connection timed out, timeout 30.00\n"
)
_LIMITED = (
    "pymysql.err.OperationalError: (1226, \"User 'shop' has exceeded the 'max_user_connections' resource "
    "(current value: "
    '20)")\n'
)
_REFUSED = "asyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already\n"
_FOUR = _cases.container(settings={"workers": 4})


def _measured_case(*, size: int | None, usable: int) -> Deployment:
    server = DatabaseServer("db:5432", "postgresql", _cases.NOW, usable=usable, in_use=15)
    overflow = None if size is None else 10
    pool = Pool("pg_stat_activity of db:5432", 12, 12, size, overflow, 4, 1, held=Held(server, 12))
    return _cases.deployment(pool=pool)


SIGNATURE = Signature(
    id=SignatureId("pool-oversubscribed"),
    title="The pools may open more than the server allows",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("resize-pool"), RemedyId("set-workers"), RemedyId("advise")),
    proof=Proof(basis="settings", window_seconds=90.0, since=_since),
    source="sqlalchemy/pool/impl.py; dev.mysql.com max_user_connections (error 1226); postgresql.org max_connections",
    patterns=(QUEUE, REFUSED),
    explains=(SignatureId("db-connections-exhausted"),),
    fires=(
        Example("4 workers", _QUEUE.format(5, 10) + _LIMITED, deployment=_FOUR),
        Example(
            "2 replicas of 2",
            _QUEUE.format(5, 1) + _LIMITED,
            deployment=_cases.deployment(_cases.replica(), _cases.replica(id="c0ffef"), settings={"workers": 2}),
        ),
        Example("the server was asked", "", deployment=_measured_case(size=20, usable=97)),
    ),
    silent=(
        Example("it fits", _QUEUE.format(4, 1) + _LIMITED, deployment=_FOUR),
        Example("the pool is not known", _LIMITED, deployment=_FOUR),
        Example("nothing was refused", _QUEUE.format(5, 10), deployment=_FOUR),
        Example("the server itself allows it", "", deployment=_measured_case(size=10, usable=97)),
        Example("the pool's size is not known", "", deployment=_measured_case(size=None, usable=20)),
        Example("the limit is not known", _QUEUE.format(5, 10) + _REFUSED, deployment=_FOUR, undecided=True),
    ),
)
