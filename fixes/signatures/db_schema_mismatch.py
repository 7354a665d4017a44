"""The database's tables are not those that the code expects.

What it means. A migration did not run, ran against another database, or was rolled back while the code was not; or the
code was rolled back while the migration stays. Every request that touches the table or column fails.

What proves it. PostgreSQL's ``relation "…" does not exist`` and ``column "…" does not exist``, MySQL 1146 and 1054,
SQLite's ``no such table``, Alembic's ``Can't locate revision identified by '…'``.

What it is not. ``cached statement plan is invalid`` at the moment of a migration: that is over with the next try. A
line of the server's own log, which may be anybody's statement.

What to do. Run the migrations of the code that runs, or bring back the code that fits; look that the URL names the
database that was migrated.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _shared, _traceback, _wording
from probes.loghits import LogHit

MISSING = _database.pattern(
    "schema-missing",
    r"(?:relation \\?\"(?P<relation>[^\"\\]+)\\?\"|column \\?\"?(?P<column>[\w.]+)\\?\"?(?: of relation "
    r"\\?\"[^\"\\]+\\?\")?)"
    r" does not exist"
    r"|\(1146, .{1,3}Table '(?P<table>[^']+)' doesn't exist|\(1054, .{1,3}Unknown column '(?P<field>[^']+)'"
    r"|no such (?:table|column): (?P<sqlite>[\w.]+)(?:[^\w.]|$)",
)
REVISION = _database.pattern(
    "schema-revision", r"Can't locate revision identified by '(?P<revision>[^']+)'|Target database is not up to date"
)
PLAN = _database.pattern(
    "schema-plan", r"cached statement plan is invalid due to a database schema or configuration change"
)
_LASTING = timedelta(seconds=60)


def detect(view: View) -> Verdict:
    """Fires on statements that failed for a table, column or revision that is not there."""
    found = [(hit, place) for hit, place in _shared.places(view, MISSING) if _client(hit)]
    found += list(_shared.places(view, REVISION))
    plans = list(_shared.places(view, PLAN))
    times = [place.at for _, place in plans if place.at is not None]
    if times and max(times) - min(times) > _LASTING:
        found += plans
    return _database.verdict(view, found, "error", _title)


def _client(hit: LogHit) -> bool:
    return not _database.of_server(hit) and (
        _database.toward(hit) is True or "Error" in hit.sample or "Undefined" in hit.sample
    )


def _title(hit: LogHit) -> str:
    fields = hit.fields
    if hit.key == PLAN.key:
        return "the schema changes again and again below prepared statements"
    if hit.key == REVISION.key:
        revision = fields.get("revision")
        return (
            f"the database is at the revision {revision}, which the code does not have"
            if revision
            else ("the database's schema is not up to date")
        )
    table = fields.get("relation") or fields.get("table")
    if table:
        return f"the code expects the table {table}, which the database does not have"
    if fields.get("sqlite"):
        return f"the code expects {fields['sqlite']}, which the database does not have"
    return (
        f"the code expects the column {fields.get('column') or fields.get('field')}, which the database does not have"
    )


SIGNATURE = Signature(
    id=SignatureId("db-schema-mismatch"),
    title="The database's schema is not the code's",
    severity="error",
    detect=detect,
    remedies=(RemedyId("advise"), RemedyId("rollback")),
    source="postgresql.org errcodes 42P01 and 42703; MySQL 1146 and 1054; alembic/script/revision.py",
    patterns=(MISSING, REVISION, PLAN, _traceback.CHAINED, _wording.STARTED),
    explains=(SignatureId("unhandled-exceptions"), SignatureId("worker-boot-failed")),
    fires=(
        Example("asyncpg", 'asyncpg.exceptions.UndefinedTableError: relation "orders" does not exist\n'),
        Example(
            "SQLAlchemy and psycopg2",
            'sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedColumn) column "total" does not exist\n'
            "LINE 1: select total from orders\n",
        ),
        Example("a qualified column", "psycopg.errors.UndefinedColumn: column orders.total does not exist\n"),
        Example("MySQL", "pymysql.err.ProgrammingError: (1146, \"Table 'shop.orders' doesn't exist\")\n"),
        Example("SQLite", "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: orders\n"),
        Example("Alembic", "alembic.util.exc.CommandError: Can't locate revision identified by 'ae1027a6acf'\n"),
        Example(
            "in JSON",
            '{"level": "ERROR", "message": "ProgrammingError: '
            "(sqlalchemy.dialects.postgresql.asyncpg.ProgrammingError) "
            'relation \\"orders\\" does not exist"}\n',
        ),
    ),
    silent=(
        Example(
            "a migration just ran",
            "asyncpg.exceptions.InvalidCachedStatementError: cached statement plan is invalid due to a database "
            "schema or "
            "configuration change\n",
        ),
        Example(
            "anybody's statement in the server's log",
            '2026-11-22 09:55:31.757 UTC [6747] app@app ERROR:  relation "orders_x" does not exist at character 15\n',
        ),
        Example("words of one's own", "INFO:     column total does not exist in the upload, skipped\n"),
    ),
)
