"""The database server takes no more connections: all that it allows are open.

What it means. PostgreSQL allows ``max_connections`` (100 by default, a few of them reserved), a role or a database may
have a limit of its own, MySQL allows ``max_connections`` (151). Who comes when all are taken is refused at once. Every
worker of every replica has a pool of its own, so (pool_size + max_overflow) × workers × replicas counts, and other
services share the server.

What proves it. SQLSTATE 53300: ``too many clients already``, ``remaining connection slots are reserved for …``, ``too
many connections for role/database …``; MySQL 1040 ``Too many connections``, 1203 and 1226 for a user; PgBouncer's ``no
more connections allowed``. The server's own log says the same.

What it is not. The service's own pool being full (``pool-exhausted``): that one waits, this one is refused. redis-py's
``Too many connections`` is about Redis.

What to do. Lower the pools so that their sum fits, look for idle sessions, or put a pooler between.
"""

from __future__ import annotations

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _shared, _traceback, _wording
from probes.loghits import LogHit

REFUSED = _database.pattern(
    "connections-exhausted",
    r"(?P<said>too many clients already|remaining connection slots are reserved for"
    r"|too many connections for (?:role|database) \\?\"[^\"\\]*\\?\""
    r"|no more connections allowed|\(?(?:1040|ERROR 1040)[, (].{0,20}Too many connections"
    r"|has exceeded the 'max_user_connections' resource \(current value: (?P<limit>\d+)\)"
    r"|already has more than 'max_user_connections' active connections)",
)


def detect(view: View) -> Verdict:
    """Fires on each refusal in the window."""
    return _database.verdict(view, _shared.places(view, REFUSED), "critical", _title)


def _title(hit: LogHit) -> str:
    said = hit.fields["said"].replace("\\", "")
    whose = "one role or database" if "for role" in said or "for database" in said or "user_conn" in said else "it"
    return f"the database refuses connections, all that {whose} may have are open: {said.replace(chr(34), '')}"


SIGNATURE = Signature(
    id=SignatureId("db-connections-exhausted"),
    title="The database has no connections left",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("resize-pool"), RemedyId("advise")),
    source="postgresql.org errcodes 53300; src/backend/utils/init/postinit.c (9.6 to 18); MySQL errors 1040, "
    "1203, 1226",
    patterns=(REFUSED, _traceback.CHAINED, _wording.STARTED),
    explains=(
        SignatureId("pool-exhausted"),
        SignatureId("unhandled-exceptions"),
        SignatureId("worker-boot-failed"),
        SignatureId("slow-requests"),
    ),
    fires=(
        Example("asyncpg", "asyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already\n"),
        Example(
            "psycopg",
            "psycopg.OperationalError: connection failed: connection to server at "
            '"10.0.0.5", port 5432 failed: FATAL:  remaining connection slots are reserved for roles with the '
            "SUPERUSER attribute\n",
        ),
        Example(
            "SQLAlchemy 1.4 and psycopg2",
            "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) FATAL:  too many connections for role "
            '"shop"\n',
        ),
        Example(
            "in JSON",
            '{"level": "ERROR", "message": "DBAPIError: (sqlalchemy.dialects.postgresql.asyncpg.Error) too many '
            'connections for role \\"lim\\""}\n',
        ),
        Example(
            "MySQL", "sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (1040, 'Too many connections')\n"
        ),
        Example(
            "the server's log", "2026-11-22 09:25:45.361 UTC [6693] app@app FATAL:  sorry, too many clients already\n"
        ),
        Example(
            "backoff, at its level of information",
            "INFO:backoff:Backing off connect(...) for 1.2s (asyncpg.exceptions.TooManyConnectionsError: sorry, too "
            "many clients already)\n",
        ),
        Example(
            "tenacity",
            "INFO:app.db:Retrying app.db.connect in 1.0 seconds as it raised TooManyConnectionsError: sorry, too many "
            "clients already.\n",
        ),
    ),
    silent=(
        Example("Redis", "redis.exceptions.ConnectionError: Too many connections\n"),
        Example("Redis, newer", "redis.exceptions.MaxConnectionsError: Too many connections\n"),
        Example(
            "its own pool",
            "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout "
            "30.00\n",
        ),
        Example(
            "a search for the words", 'INFO:     10.0.0.1:1 - "GET /?q=too+many+clients+already HTTP/1.1" 200 OK\n'
        ),
    ),
)
