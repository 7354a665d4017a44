"""The service's pools together may open more connections than the server allows.

What it means. Each worker of each replica has a pool of its own. (pool_size + max_overflow) × workers × replicas is
what they may open under load; beyond the server's limit the last ones are refused, at the worst moment.

What proves it. The pool's size as SQLAlchemy's own lines give it, the workers and replicas that run, and the server's
limit where it was named in the log (MySQL 1226 gives a user's). The sum is shown.

What it is not. A pool whose size is not known. A server whose limit is not known: it is asked for only where the server
did refuse connections.

What to do. Smaller pools, fewer workers, a pooler, or a higher limit.
"""

from __future__ import annotations

from fixes.model import SILENT, Example, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.signatures import _cases, _shared
from fixes.signatures.db_connections_exhausted import REFUSED
from fixes.signatures.pool_exhausted import QUEUE
from probes.loghits import LogHit
from probes.model import Deployment


def detect(view: View) -> Verdict:
    """Fires where pool, workers and limit are known and do not fit."""
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

SIGNATURE = Signature(
    id=SignatureId("pool-oversubscribed"),
    title="The pools may open more than the server allows",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("advise"),),
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
    ),
    silent=(
        Example("it fits", _QUEUE.format(4, 1) + _LIMITED, deployment=_FOUR),
        Example("the pool is not known", _LIMITED, deployment=_FOUR),
        Example("nothing was refused", _QUEUE.format(5, 10), deployment=_FOUR),
        Example("the limit is not known", _QUEUE.format(5, 10) + _REFUSED, deployment=_FOUR, undecided=True),
    ),
)
