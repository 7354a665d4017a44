"""Connections to the database are taken and not given back.

What it means. A session or connection was opened outside of ``async with``, and its last reference went away without
``close()``; or a transaction stays open while the code waits for something else. The server keeps the session, often
``idle in transaction`` with its locks, and the pool shrinks until it is exhausted.

What proves it. SQLAlchemy's ``The garbage collector is trying to clean up non-checked-in connection`` (1.4: ``… clean
up connection …``), asyncpg's ``Check if you have any unreleased connections left``, psycopg's ``… was deleted while
still open``, or PostgreSQL ending a session for its ``idle-in-transaction timeout``.

What it is not. A long query that runs: its session is active. What the interpreter still cleans up while the service
goes down.

What to do. ``async with`` around every session, in one dependency that yields it; nothing slow inside a transaction.
"""

from __future__ import annotations

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _shared, _traceback, _wording
from probes.loghits import LogHit

LEAKED = _database.pattern(
    "connection-leaked",
    r"garbage collector is trying to clean up (?:non-checked-in )?connection"
    r"|Check if you have any unreleased connections left"
    r"|<psycopg\.(?:Async)?Connection .*was deleted while still open"
    r"|Unclosed connection <?(?:aiomysql|aiopg|asyncmy)",
)
IDLE = _database.pattern("idle-in-transaction", r"terminating connection due to idle-in-transaction timeout")


def detect(view: View) -> Verdict:
    """Fires on connections that nobody gave back, outside of a shutdown."""
    found = [(hit, place) for hit, place in _shared.places(view, LEAKED, IDLE) if not _database.ending(view, place)]
    return _database.verdict(view, found, "warning", _title)


def _title(hit: LogHit) -> str:
    if hit.key == IDLE.key:
        return "the database ended a session whose transaction stood open and idle"
    return "a database connection was dropped without being given back"


_WARNING = (
    "The garbage collector is trying to clean up non-checked-in connection <AdaptedConnection "
    "<asyncpg.connection.Connection object at 0x7f95d19e7880>>, which will be terminated.  Please ensure that "
    "SQLAlchemy "
    "pooled connections are returned to the pool explicitly\n"
)

SIGNATURE = Signature(
    id=SignatureId("db-connection-leak"),
    title="Database connections are not given back",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="sqlalchemy/pool/base.py _finalize_fairy (1.4 to 2.1); asyncpg/pool.py close; postgresql.org 25P03",
    patterns=(LEAKED, IDLE, _database.ENDING, _traceback.CHAINED, _wording.STARTED, _wording.BOOTING),
    explains=(
        SignatureId("pool-exhausted"),
        SignatureId("db-connections-exhausted"),
        SignatureId("db-connection-lost"),
    ),
    fires=(
        Example("SQLAlchemy 2", _WARNING),
        Example(
            "SQLAlchemy 1.4",
            "The garbage collector is trying to clean up connection <AdaptedConnection <asyncpg.connection.Connection "
            "object at 0x7f>>. This feature is unsupported on async dbapi, since no IO can be performed at this "
            "stage\n",
        ),
        Example(
            "asyncpg's pool",
            "WARNING:asyncpg.pool:Pool.close() is taking over 60 seconds to complete. Check if you have any unreleased "
            "connections left. Use asyncio.wait_for() to set a timeout for Pool.close().\n",
        ),
        Example(
            "the server's time-out",
            "asyncpg.exceptions.IdleInTransactionSessionTimeoutError: terminating connection due to "
            "idle-in-transaction timeout\n",
        ),
    ),
    silent=(
        Example(
            "a long query", "2026-11-22 09:55:31 UTC [67] app@app LOG:  duration: 95003.1 ms  statement: select …\n"
        ),
        Example(
            "while it goes down",
            "INFO:     Application startup complete.\nINFO:     Waiting for application shutdown.\n" + _WARNING,
        ),
    ),
)
