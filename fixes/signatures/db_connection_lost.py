"""Connections to the database that had been established went away.

What it means. The server was restarted, somebody ended the session, a proxy or firewall dropped an idle connection, or
``wait_timeout`` ran out. The pool does not know: it hands out the dead connection, and the request fails on its first
statement.

What proves it. ``server closed the connection unexpectedly``, ``SSL connection has been closed unexpectedly``, ``SSL
SYSCALL error: EOF detected``, asyncpg's ``connection was closed in the middle of operation``, ``MySQL server has gone
away``, ``Lost connection to MySQL server during query``, ``terminating connection due to administrator command``. A
bare ``connection is closed`` counts only where the driver's name stands with it or in the traceback above it.

What it is not. Connections that end while the service itself goes down. A database that was restarted once, after
which a minute passed without another failure, is information only. PostgreSQL's ``could not receive data from client``
says that the client went away.

What to do. ``pool_pre_ping=True`` tests a connection before it is handed out, ``pool_recycle`` below the shortest idle
time-out on the way replaces old ones.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import Example, Fires, RemedyId, Severity, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _shared, _traceback, _wording
from probes.loghits import LogHit

LOST = _database.pattern(
    "connection-lost",
    r"(?P<said>server closed the connection unexpectedly|SSL connection has been closed unexpectedly"
    r"|connection was closed in the middle of operation"
    r"|SSL SYSCALL error: (?:EOF detected|Connection reset by peer|Connection timed out|Broken pipe)"
    r"|could not (?:receive data from|send data to) server: "
    r"|terminating connection due to (?:administrator command|unexpected postmaster exit|idle-session timeout)"
    r"|terminating connection because of crash of another server process"
    r"|MySQL server has gone away|Lost connection to MySQL server during query"
    r"|was disconnected by the server because of inactivity|consuming input failed)",
)
CLOSED = _database.pattern(
    "connection-closed",
    r"(?P<said>[Cc]onnection (?:is|was|already) closed|underlying connection is closed|[Cc]onnection closed"
    r"|\(0, ''\)|(?:Error|Exception): [Nn]ot connected$"
    r"|unable to perform operation on <\w+ closed=True [^>]*>; the handler is closed)",
)
_ONE_BURST = timedelta(seconds=60)


def detect(view: View) -> Verdict:
    """Fires on lost connections outside of a shutdown."""
    found = [(hit, place) for hit, place in _shared.places(view, LOST) if not _database.ending(view, place)]
    found += [
        (hit, place)
        for hit, place in _shared.places(view, CLOSED)
        if _database.toward(hit) and not _of_pool(hit) and not _database.ending(view, place)
    ]
    verdict = _database.verdict(view, found, "error", _title)
    if not isinstance(verdict, Fires):
        return verdict
    severity: Severity = "info" if _recovered(view, verdict) else "error"
    title = f"{verdict.title}; since then all is well" if severity == "info" else verdict.title
    return Fires(
        severity=severity,
        title=title,
        evidence=verdict.evidence,
        count=verdict.count,
        first_at=verdict.first_at,
        last_at=verdict.last_at,
        facts=verdict.facts,
    )


def _title(hit: LogHit) -> str:
    return f"established connections to the database were lost: {hit.fields['said'].strip(' :')}"


def _of_pool(hit: LogHit) -> bool:
    """Another thing that closes, in the same words."""
    return any(word in hit.sample for word in ("websocket", "WebSocket", "HTTP", "pool is clos"))


def _recovered(view: View, verdict: Fires) -> bool:
    """Whether all of it happened at one time, a while ago."""
    if verdict.first_at is None or verdict.last_at is None:
        return False
    return verdict.last_at - verdict.first_at <= _ONE_BURST and view.now - verdict.last_at > _ONE_BURST


_FRAME = '  File "/opt/venv/lib/python3.11/site-packages/{}", line 317, in execute\n'
_LATER = 'INFO:     10.0.0.1:5 - "GET / HTTP/1.1" 200 OK\n'

SIGNATURE = Signature(
    id=SignatureId("db-connection-lost"),
    title="Database connections were lost",
    severity="error",
    detect=detect,
    remedies=(RemedyId("advise"), RemedyId("restart")),
    source="libpq fe-misc.c, asyncpg/protocol; MySQL errors 2006, 2013, 4031; sqlalchemy.org core/pooling disconnects",
    patterns=(LOST, CLOSED, _database.ENDING, _traceback.CHAINED, _wording.STARTED, _wording.BOOTING),
    explains=(SignatureId("unhandled-exceptions"),),
    fires=(
        Example(
            "psycopg2",
            "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) server closed the connection unexpectedly\n"
            "\tThis probably means the server terminated abnormally\n\tbefore or while processing the request.\n",
        ),
        Example("over TLS", "psycopg2.OperationalError: SSL connection has been closed unexpectedly\n"),
        Example(
            "asyncpg",
            _FRAME.format("asyncpg/connection.py")
            + "asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation\n",
        ),
        Example(
            "asyncpg, the next statement",
            "sqlalchemy.exc.InterfaceError: (sqlalchemy.dialects.postgresql.asyncpg.InterfaceError) <class "
            "'asyncpg.exceptions._base.InterfaceError'>: connection is closed\n",
        ),
        Example("MySQL", 'pymysql.err.OperationalError: (2006, "MySQL server has gone away (BrokenPipeError(32))")\n'),
        Example(
            "aiomysql on uvloop",
            _FRAME.format("aiomysql/connection.py")
            + "RuntimeError: unable to perform operation on <TCPTransport closed=True reading=False 0x556c>; the "
            "handler is closed\n",
        ),
        Example(
            "the server's log",
            "2026-11-22 09:30:02.321 UTC [19881] app@app FATAL:  terminating connection due to administrator command\n",
        ),
        Example(
            "a restart that is over",
            "2026-11-22T09:00:00Z psycopg.OperationalError: consuming input failed: server closed the connection "
            "unexpectedly\n2026-11-22T09:05:00Z " + _LATER + "2026-11-22T09:05:30Z psycopg.pool: ok\n",
        ),
    ),
    silent=(
        Example(
            "Redis on uvloop",
            _FRAME.format("redis/asyncio/connection.py")
            + "RuntimeError: unable to perform operation on <TCPTransport closed=True reading=False 0x556c>; the "
            "handler is closed\n",
        ),
        Example("nobody is named", "RuntimeError: Connection closed\n"),
        Example(
            "a WebSocket",
            _FRAME.format("websockets/legacy/protocol.py") + "websockets.exceptions.ConnectionClosedOK: received 1000\n"
            "INFO:     connection closed\n",
        ),
        Example("Redis", "redis.exceptions.ConnectionError: Connection closed by server.\n"),
        Example(
            "while it goes down",
            "INFO:     Waiting for application shutdown.\n"
            "asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation\n",
        ),
        Example(
            "clients that left",
            "2026-11-22 09:24:29.783 UTC [6001] app@app LOG:  could not receive data from client: Connection reset by "
            "peer\n",
        ),
    ),
)
