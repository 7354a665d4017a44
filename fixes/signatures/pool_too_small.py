"""A database pool of SQLAlchemy's default size comes near its end.

What it means. Without ``pool_size`` each worker has 5 connections and 10 more under load. When 12 of these 15 are in
use, the next peak waits, and after ``pool_timeout`` (30 s) requests fail.

What proves it. The pool's own status in the log (``Pool size: 5 Connections in pool: … Current Checked out connections:
12``), which many services write or return from a health path: 80 % of the default's 15 in use at the peak.

What it is not. A pool that was never above half. One that is exhausted already: ``pool-exhausted`` says so, and no
more than that, for connections that are never given back use up any size.

What to do. Give connections back sooner; then 20 + 30 if the server's budget allows, ``pool_timeout`` 10,
``pool_recycle=3600``, ``pool_pre_ping=True``.
"""

from __future__ import annotations

from fixes.model import SILENT, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _shared, pool_exhausted

STATUS = _database.pattern(
    "pool-status",
    r"Pool size: (?P<size>\d{1,5}) +Connections in pool: \d+ +Current Overflow: (?P<overflow>-?\d{1,5}) +"
    r"Current Checked out connections: (?P<used>\d{1,5})",
)
DEFAULT_SIZE, DEFAULT_OVERFLOW = 5, 10
"""sqlalchemy.pool.QueuePool (1.4 to 2.1)."""
NEAR = 0.8


def detect(view: View) -> Verdict:
    """Fires on the pool's own status."""
    capacity = DEFAULT_SIZE + DEFAULT_OVERFLOW
    hits = [hit for hit in view.hits(STATUS.key) if int(hit.fields["size"]) == DEFAULT_SIZE]
    high = [hit for hit in hits if int(hit.fields["used"]) >= NEAR * capacity]
    if not high:
        return _shared.unseen(view)
    if view.hits(pool_exhausted.QUEUE.key):
        return SILENT
    peak = max(int(hit.fields["used"]) for hit in high)
    first, last = _shared.span([place for hit, place in _shared.places(view, STATUS) if hit in high])
    return Fires(
        severity="warning",
        title=f"{peak} of {capacity} connections of a worker's pool (the default of 5 + 10) were in use at the peak",
        evidence=tuple(_shared.evidence_of(hit) for hit in high[-4:]),
        count=sum(_shared.count(view, hit) for hit in high),
        first_at=first,
        last_at=last,
        facts={"size": DEFAULT_SIZE, "overflow": DEFAULT_OVERFLOW, "used": peak},
    )


def _status(size: int, overflow: int, used: int) -> str:
    return (
        f"INFO db: Pool size: {size}  Connections in pool: 0 Current Overflow: {overflow} "
        f"Current Checked out connections: {used}\n"
    )


SIGNATURE = Signature(
    id=SignatureId("pool-too-small"),
    title="The database pool is nearly used up",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("resize-pool"), RemedyId("advise")),
    source="sqlalchemy/pool/impl.py QueuePool.status and its defaults (1.4 to 2.1)",
    patterns=(STATUS,),
    fires=(
        Example("12 of 15", _status(5, 7, 12)),
        Example("all of them at the peak, few now", _status(5, 10, 15) + _status(5, -2, 3)),
    ),
    silent=(
        Example("half of it", _status(5, 2, 7)),
        Example("at rest", _status(5, -4, 1)),
        Example("a larger pool", _status(20, -8, 12)),
        Example("used up already", _status(5, 10, 15) + pool_exhausted.QUEUE_LINE),
    ),
)
