"""The database cannot be reached: nobody answers at its host and port.

What it means. The connection is refused, its name is not known, there is no route, or nothing answers. Nothing that
needs the database works, and a service that connects at its start does not start.

What proves it. A driver's own words: libpq's ``connection to server at "H", port P failed: Connection refused``,
``timeout expired`` and ``could not translate host name``, psycopg's ``failed to resolve host`` and ``connection timeout
expired``, MySQL 2002, 2003 and 2005. asyncpg raises the operating system's error, or a ``TimeoutError`` without a text:
the frames of ``asyncpg/connect_utils.py`` above it tell.

What it is not. The same error towards Redis, a broker or another HTTP service (``dependency-unreachable``). A handshake
that hangs after the server agreed to TLS (``db-ssl-handshake-timeout``). A pool that is full. A start that failed once
and was followed by one that lasts.

What to do. Check host and port from inside the container (its own 127.0.0.1 is not the host's), that the database runs
and listens, and the network between.
"""

from __future__ import annotations

import re

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _dialling, _shared, _traceback, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit

_WHY = (
    r"(?P<why>Connection refused|timeout expired|No route to host|Network is unreachable|Connection timed out"
    r"|Host is unreachable|Operation timed out|No such file or directory)"
)
LIBPQ = _database.pattern(
    "libpq-connect",
    r"connection to server (?:at|on socket) \\?\"(?P<host>[^\"\\]*)\\?\"(?: \([^)]*\))?"
    rf"(?:, port (?P<port>\d+))? failed: {_WHY}",
)
LIBPQ_13 = _database.pattern("libpq-13", rf"could not connect to server: {_WHY}")
LIBPQ_TIMEOUT = _database.pattern(
    "libpq-timeout",
    r"(?:psycopg2?\.OperationalError\)?:? |psycopg\.errors\.ConnectionTimeout\)?:? )(?:connection "
    r")?(?P<why>timeout expired)",
)
PSYCOPG = _database.pattern(
    "psycopg-connect", rf"psycopg\.OperationalError\)?:? connection failed: (?:could not connect to server: )?{_WHY}"
)
"""psycopg 3 to 3.1 leaves out what libpq says of the host."""
NAME = _database.pattern(
    "host-name",
    r"(?:could not translate host name|failed to resolve host) (?:\\?\"|')(?P<host>[^'\"\\]*).{0,14}: "
    r"(?P<why>.{0,20}(?:[Nn]ame or service not known|[Tt]emporary failure in name resolution|[Nn]o address associated"
    r"|nodename nor servname|[Nn]ame does not resolve|[Uu]nknown host|[Nn]o such host))|to address: "
    r"(?P<unknown>Unknown host)",
)
MYSQL = _database.pattern(
    "mysql-connect",
    r"\(?(?:2002|2003|2005)[, (].{0,20}(?:Can't connect to (?:local )?(?:MySQL )?server|Unknown (?:MySQL )?server host)"
    r"(?: on| through socket)? '(?P<host>[^']*)'",
)
PSYCOPG_POOL = _database.pattern("pool-connecting", rf"error connecting in '[^']*': .*{_WHY}")
STARTING_UP = _database.pattern(
    "starting-up",
    r"(?:CannotConnectNowError|OperationalError).{0,120}"
    r"(?P<why>the database system is (?:starting up|not yet accepting connections|in recovery mode))",
)
SYSTEM = _database.pattern(
    "system-error",
    r"(?:ConnectionRefusedError|gaierror|OSError|TimeoutError|ConnectError): (?P<why>\[Errno -?\d+\] "
    r"(?:Connection refused"
    r"|Connect call failed|Name or service not known|Temporary failure in name resolution|No route to host"
    r"|No address associated with hostname|Network is unreachable|Connection timed out)|Multiple exceptions: \[Errno)",
)
_TEXTS = (LIBPQ, LIBPQ_13, LIBPQ_TIMEOUT, PSYCOPG, NAME, MYSQL, PSYCOPG_POOL, STARTING_UP)
_DATABASE_PORT = re.compile(r"Connect call failed \('[^']+', (?:5432|6432|3306)[,)]")
"""Of PostgreSQL, PgBouncer and MySQL (IANA's register; PgBouncer's own)."""
_OPERATING_SYSTEM = {"ConnectionRefusedError", "gaierror", "TimeoutError", "ConnectionResetError"}
_NOT_REACHED = (
    "Connect call failed",
    "Connection refused",
    "No route",
    "unreachable",
    "timed out",
    "Multiple exceptions",
)


def detect(view: View) -> Verdict:
    """Fires on attempts to connect that found nobody."""
    found = [(hit, place) for hit, place in _shared.places(view, *_TEXTS) if not _tls(hit) and not _foreign(hit)]
    found += [(hit, place) for hit, place in _shared.places(view, SYSTEM) if _dialled(hit) and not _tls(hit)]
    found += [(hit, place) for hit, place in _shared.places(view, _dialling.DIAL) if _nobody(hit)]
    found += [(h, p) for h, p in _shared.places(view, _dialling.CONNECT) if _timed_out(view, h, p)]
    return _database.verdict(view, found, "critical", _title, _facts(found))


def _title(hit: LogHit) -> str:
    why = hit.fields.get("why") or hit.fields.get("unknown") or ""
    if not why and hit.key == _dialling.CONNECT.key:
        why = "no answer within the driver's time-out"
    if not why and (raised := _dialling.dialled(hit)):
        why = raised[1]
    return f"the database{_database.address(hit)} cannot be reached{': ' if why else ''}{why.strip()}"


def _facts(found: _database.Found) -> dict[str, str | int | float | bool]:
    fields = next((hit.fields for hit, _ in reversed(found) if hit.fields.get("host")), {})
    return {name: fields[name] for name in ("host", "port") if fields.get(name)}


def _dialled(hit: LogHit) -> bool:
    """Whether it was a database: by what stands around the system's error, else by the port that asyncio names."""
    told = _database.toward(hit)
    return bool(_DATABASE_PORT.search(hit.sample)) if told is None else told


def _tls(hit: LogHit) -> bool:
    """A handshake that failed: MySQL's drivers call that 2003 too."""
    return any("[SSL" in line or "CERTIFICATE_VERIFY" in line for line in (hit.sample, *hit.before[-6:]))


def _foreign(hit: LogHit) -> bool:
    """Most words of libpq are its own; ``could not connect to server`` is anybody's."""
    return hit.key == LIBPQ_13.key and _database.toward(hit) is False


def _nobody(hit: LogHit) -> bool:
    """The attempt of asyncpg ended with the operating system's error before the handshake."""
    raised = _dialling.dialled(hit)
    if raised is None or any("start_tls(" in line for line in hit.after):
        return False
    name, line = raised
    return name in _OPERATING_SYSTEM or (name == "OSError" and any(word in line for word in _NOT_REACHED))


def _timed_out(view: View, hit: LogHit, place: At) -> bool:
    return _dialling.gave_up(hit) and not _dialling.in_handshake(view, place)


_FRAMES = (
    '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/connect_utils.py", line 996, in _create_ssl_connection\n'
    "    tr, pr = await loop.create_connection(\n             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
    '  File "uvloop/loop.pyx", line 2040, in create_connection\n'
)
_TIMEOUT = (
    '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/connection.py", line 2497, in connect\n'
    "    async with compat.timeout(timeout):\n"
    '  File "/usr/local/lib/python3.11/asyncio/timeouts.py", line 115, in __aexit__\n'
    "    raise TimeoutError from exc_val\nTimeoutError\n"
)
_REDIS = '  File "/opt/venv/lib/python3.11/site-packages/redis/asyncio/connection.py", line 275, in connect\n'
_REFUSED = (
    'psycopg2.OperationalError: connection to server at "db" (10.0.0.5), port 5432 failed: Connection refused\n'
    "\tIs the server running on that host and accepting TCP/IP connections?\n"
)

SIGNATURE = Signature(
    id=SignatureId("db-unreachable"),
    title="The database is out of reach",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("set-env"), RemedyId("advise")),
    source="libpq fe-connect.c (9.6 to 18), psycopg 3, asyncpg/connect_utils.py (0.22 to 0.32); MySQL 2002, 2003, 2005",
    patterns=(
        *_TEXTS,
        SYSTEM,
        _dialling.DIAL,
        _dialling.CONNECT,
        _dialling.START_TLS,
        _traceback.CHAINED,
        _wording.STARTED,
    ),
    explains=(
        SignatureId("db-connection-lost"),
        SignatureId("worker-boot-failed"),
        SignatureId("startup-stalled"),
        SignatureId("unhandled-exceptions"),
        SignatureId("pool-exhausted"),
        SignatureId("slow-requests"),
    ),
    fires=(
        Example("psycopg2", _REFUSED),
        Example(
            "psycopg 3.0", "psycopg.OperationalError: connection failed: Connection refused\n\tIs the server running\n"
        ),
        Example(
            "the last line of asyncpg's traceback",
            "OSError: Multiple exceptions: [Errno 111] Connect call failed ('::1', 5432, 0, 0), [Errno 111] Connect "
            "call failed ('127.0.0.1', 5432)\n",
        ),
        Example(
            "psycopg2 with libpq 12",
            "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) could not connect to server: Connection "
            'refused\n\tIs the server running on host "db" (10.0.0.5) and accepting\n\tTCP/IP connections on '
            "port 5432?\n",
        ),
        Example(
            "psycopg2, an unknown name",
            'psycopg2.OperationalError: could not translate host name "db" to address: Name or service not known\n',
        ),
        Example(
            "psycopg 3, an unknown name",
            "sqlalchemy.exc.OperationalError: (psycopg.OperationalError) failed to resolve host 'db.invalid': "
            "[Errno -2] "
            "Name or service not known\n",
        ),
        Example("psycopg 3, no answer", "psycopg.errors.ConnectionTimeout: connection timeout expired\n"),
        Example("asyncpg refused", _FRAMES + "ConnectionRefusedError: [Errno 111] Connection refused\n"),
        Example("asyncpg, an unknown name", _FRAMES + "socket.gaierror: [Errno -2] Name or service not known\n"),
        Example("asyncpg, no answer", _TIMEOUT),
        Example(
            "aiomysql",
            "sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (2003, \"Can't connect to MySQL server on "
            "'db'\")\n",
        ),
        Example(
            "one's own words in JSON",
            '{"level": "ERROR", "message": "database error on /orders: ConnectionRefusedError: [Errno 111] Connection '
            'refused"}\n',
        ),
        Example("a start that failed", _REFUSED + "ERROR:    Application startup failed. Exiting.\n"),
    ),
    silent=(
        Example(
            "a port that is anybody's", "ConnectionRefusedError: [Errno 111] Connect call failed ('10.0.0.9', 8080)\n"
        ),
        Example("Redis", _REDIS + "ConnectionRefusedError: [Errno 111] Connect call failed ('10.0.0.9', 6379)\n"),
        Example(
            "Redis, named",
            "redis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused.\n",
        ),
        Example("another HTTP service", "httpx.ConnectError: [Errno 111] Connection refused\n"),
        Example("nobody is named", "ConnectionRefusedError: [Errno 111] Connection refused\n"),
        Example(
            "its own pool is full",
            '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/pool.py", line 1016, in _acquire\nTimeoutError\n',
        ),
        Example(
            "it was there at the next start",
            _REFUSED + "ERROR:    Application startup failed. Exiting.\nINFO:     Application startup complete.\n",
        ),
    ),
)
