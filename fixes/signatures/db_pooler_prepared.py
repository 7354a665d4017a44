"""Prepared statements meet a pooler that gives each transaction another connection.

What it means. PgBouncer in transaction mode (and Supabase's or others' poolers) hands a client a different server
connection for each transaction. A statement that the driver prepared on one is not there on the next, or another
client's has the same name: requests fail at random.

What proves it. ``prepared statement "__asyncpg_stmt_…" already exists`` or ``does not exist``, the same with psycopg's
``_pg3_…``: names that the drivers give on their own.

What it is not. Statements that the program named itself. A single one after connections were lost: a failover.

What to do. Switch the drivers' statement cache off, or let the pooler follow prepared statements (PgBouncer 1.21,
``max_prepared_statements``).
"""

from __future__ import annotations

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _shared, _traceback, _wording
from fixes.signatures.db_connection_lost import LOST
from probes.loghits import LogHit

PREPARED = _database.pattern(
    "pooler-prepared",
    r"prepared statement \\?\"(?:__asyncpg_[\w\-]*|_pg3_\d+)\\?\" (?P<what>already exists|does not exist)",
)
_AFTER_LOSS = 2000


def detect(view: View) -> Verdict:
    """Fires on statements of the drivers' own naming that met the wrong connection."""
    found = list(_shared.places(view, PREPARED))
    if len(found) == 1 and _database.near(view, found[0][1], _AFTER_LOSS, LOST):
        return _shared.unseen(view)
    return _database.verdict(view, found, "error", _title)


def _title(hit: LogHit) -> str:
    return f"a prepared statement of the driver {hit.fields['what']}: a pooler mixes the connections"


_ASYNCPG = (
    'asyncpg.exceptions.DuplicatePreparedStatementError: prepared statement "__asyncpg_stmt_1__" already exists\n'
)
_GONE = 'asyncpg.exceptions.InvalidSQLStatementNameError: prepared statement "__asyncpg_stmt_5__" does not exist\n'

SIGNATURE = Signature(
    id=SignatureId("db-pooler-prepared"),
    title="Prepared statements behind a transaction pooler",
    severity="error",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="asyncpg FAQ and connection.py; psycopg 3 prepared statements; pgbouncer.org config max_prepared_statements",
    patterns=(PREPARED, LOST, _traceback.CHAINED, _wording.STARTED),
    explains=(SignatureId("unhandled-exceptions"),),
    fires=(
        Example("asyncpg", _ASYNCPG),
        Example("asyncpg, gone", _GONE),
        Example("psycopg 3", 'psycopg.errors.DuplicatePreparedStatement: prepared statement "_pg3_0" already exists\n'),
        Example(
            "SQLAlchemy's unique names",
            "sqlalchemy.exc.ProgrammingError: (sqlalchemy.dialects.postgresql.asyncpg.ProgrammingError) <class "
            "'asyncpg.exceptions.InvalidSQLStatementNameError'>: prepared statement "
            '"__asyncpg_5a53cb81-ca6a-4d2b-84b6-ff2ea2ea1f7e__" does not exist\n',
        ),
        Example("in JSON", '{"message": "' + _ASYNCPG.strip().replace('"', '\\"') + '"}\n'),
    ),
    silent=(
        Example(
            "a name of one's own",
            'psycopg2.errors.DuplicatePreparedStatement: prepared statement "get_order" already exists\n',
        ),
        Example(
            "once after a failover",
            "psycopg.OperationalError: consuming input failed: server closed the connection unexpectedly\n" + _GONE,
        ),
    ),
)
