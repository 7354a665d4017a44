"""All connections of the database pool are in use, and requests give up waiting for one.

What it means. Every worker has a pool of its own: ``pool_size`` connections and ``max_overflow`` more (5 and 10 by
default in SQLAlchemy). When all are held, a request waits ``pool_timeout`` (30 s) and then fails. Usually connections
are held too long (a slow query, a call to somebody else inside a transaction, a session that is never closed); only
then is the pool too small.

What proves it. SQLAlchemy ``QueuePool limit of size N overflow M reached``, psycopg_pool ``couldn't get a connection
after N sec``, psycopg2 ``connection pool exhausted``, or a time-out that ends in ``_acquire`` of asyncpg's or
aiomysql's pool.

What it is not. The same words quoted: in a line of mere information, or in another message that is no error's. The
server refusing connections (SQLSTATE 53300) or not being reached: psycopg_pool says the same words then, after ``error
connecting in 'pool-1'`` while the request waited or between two tries; asyncpg's time-out then ends in ``connect``.
``httpx.PoolTimeout`` is about HTTP connections.

What to do. Give connections back sooner; then size the pool within the server's ``max_connections``.
"""

from __future__ import annotations

import re
from datetime import timedelta

from fixes.model import Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _shared, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit

QUEUE = _wording.raised(
    "pool/queue",
    r"QueuePool limit of size (?P<size>\d+) overflow (?P<overflow>-?\d+) reached, connection timed out"
    r"(?:, timeout (?P<timeout>\d+(?:\.\d+)?))?",
)
PSYCOPG = _wording.raised("pool/psycopg", r"couldn't get a connection after (?P<timeout>\d+\.\d+) sec")
PSYCOPG2 = _wording.raised("pool/psycopg2", r"PoolError: (?:connection pool exhausted|Failed getting connection; pool)")
ACQUIRE = _wording.unquoted(
    "pool/acquire", r"(?P<library>asyncpg|aiomysql|asyncmy|aiopg)/pool\.py\\?\", line \d+, in _?acquire(?:[^_\w]|$)", 20
)
CONNECTING = _wording.unquoted("pool/psycopg-connecting", r"error connecting in '[^']+'")
REFUSED = _wording.unquoted(
    "pool/refused",
    r"too many clients already|remaining connection slots are reserved|too many connections for (?:role|database)",
)
_TIMED_OUT = re.compile(r"(?:^|[|\s])(?:[\w.]*\.)?TimeoutError\s*:?\s*$")
_DIALLING = re.compile(
    r"in (?:_?connect\b|_?_connect_addr|_get_new_connection|_fill_free_pool|start_tls|_open_connection)"
)
NEAR_LINES = 100
"""In logs without times: so close a failure to connect explains a time-out."""
SLACK = timedelta(seconds=2)
RETRYING = timedelta(seconds=300)
BACKOFF = 1.25
"""psycopg_pool: ``reconnect_timeout``, and tries that double with a tenth of jitter (ConnectionAttempt)."""


def detect(view: View) -> Verdict:
    """Fires on requests that gave up waiting for a connection of their own worker's pool."""
    found = [
        (hit, place) for hit, place in _shared.places(view, QUEUE, PSYCOPG, PSYCOPG2, ACQUIRE) if _own(view, hit, place)
    ]
    if not found:
        return _shared.unseen(view)
    hits = list({id(hit): hit for hit, _ in found}.values())
    total = sum(_shared.count(view, hit) for hit in hits)
    first, last = _shared.span([place for _, place in found])
    facts = _facts(hits[-1])
    return Fires(
        severity="critical",
        title=_title(facts) + (_shared.seen(view, total)),
        evidence=tuple(_shared.evidence_of(hit) for hit in hits[-5:]),
        count=total,
        first_at=first,
        last_at=last,
        facts=facts,
    )


def _facts(hit: LogHit) -> dict[str, str | int | float | bool]:
    facts: dict[str, str | int | float | bool] = {}
    size, overflow, timeout = (hit.fields.get(name, "") for name in ("size", "overflow", "timeout"))
    if size.isdecimal() and overflow.lstrip("-").isdecimal():
        facts |= {"size": int(size), "overflow": int(overflow)}
        if int(overflow) >= 0:
            facts["capacity"] = int(size) + int(overflow)
    if timeout:
        facts["timeout_seconds"] = float(timeout)
    return facts


def _title(facts: dict[str, str | int | float | bool]) -> str:
    after = f" after {facts['timeout_seconds']:g} s" if "timeout_seconds" in facts else ""
    if "capacity" in facts:
        parts = f"({facts['size']} + {facts['overflow']})"
        pool = f"all connections of a worker's pool {parts} were in use"
    else:
        pool = "all connections of a worker's pool were in use"
    return f"{pool}: a request gave up{after}"


def _own(view: View, hit: LogHit, place: At) -> bool:
    """Whether the pool was full, rather than the server out of reach."""
    if hit.key == PSYCOPG.key:
        return not _out_of_reach(view, hit, place)
    if hit.key == ACQUIRE.key:
        return _gave_up_waiting(hit)
    return True


def _out_of_reach(view: View, hit: LogHit, place: At) -> bool:
    """Whether psycopg_pool failed to connect while this request waited, or was about to try again.

    Its tries come 1, 2, 4, … s apart for 300 s: the next one is about as far away as the first one is long ago.
    """
    last = _shared.latest_line(view, place.replica, place.line, CONNECTING, REFUSED)
    if last is None:
        return False
    if last.at is None or place.at is None:
        return _follows(view, last, place)
    tries = [
        mark.at
        for other in view.deployment.hits
        if other.replica == place.replica and other.key == CONNECTING.key
        for mark in other.marks
        if mark.at is not None and last.at - RETRYING <= mark.at <= last.at
    ]
    retrying = BACKOFF * (last.at - min(tries, default=last.at))
    waited = timedelta(seconds=float(hit.fields["timeout"][:9])) + SLACK
    return place.at - last.at <= max(waited, retrying)


def _follows(view: View, last: At, place: At) -> bool:
    """Whether a time-out stands near a failure to connect, itself or after others that do: each has a traceback."""
    line = last.line
    for _, other in sorted(_shared.places(view, PSYCOPG), key=lambda one: one[1].line):
        if other.replica == place.replica and line < other.line <= min(line + NEAR_LINES, place.line):
            line = other.line
    return place.line - line <= NEAR_LINES


def _gave_up_waiting(hit: LogHit) -> bool:
    """A traceback that ends below ``acquire`` with a time-out and never dialled."""
    folded = _shared.unfolded(hit.sample)
    place = next((i for i, line in enumerate(folded) if "/pool.py" in line and "acquire" in line), 0)
    for line in [*folded[place + 1 :], *hit.after]:
        if _DIALLING.search(line):
            return False
        if _TIMED_OUT.search(line):
            return True
    return False


QUEUE_LINE = (
    "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00 "
    "(Background on this error at: https://sqlalche.me/e/20/3o7r)\n"
)
_ACQUIRE_LINES = (
    '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/pool.py", line 1016, in _acquire\n'
    "    return await compat.wait_for(\n"
)
_CONNECTING = "WARNING:psycopg.pool:error connecting in 'pool-1': connection refused"
_OUT = "2026-11-22T{}.000000000Z " + _CONNECTING + "\n"
_GAVE_UP = "2026-11-22T11:59:30.000000000Z psycopg_pool.PoolTimeout: couldn't get a connection after 30.00 sec\n"

SIGNATURE = Signature(
    id=SignatureId("pool-exhausted"),
    title="Database pool exhausted",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("resize-pool"), RemedyId("advise")),
    proof=Proof(window_seconds=60.0),
    source="sqlalchemy/pool/impl.py (1.4 to 2.1), psycopg_pool 3, psycopg2/pool.py, asyncpg/pool.py, aiomysql/pool.py",
    patterns=(QUEUE, PSYCOPG, PSYCOPG2, ACQUIRE, CONNECTING, REFUSED),
    explains=(SignatureId("unhandled-exceptions"), SignatureId("slow-requests")),
    fires=(
        Example("SQLAlchemy", QUEUE_LINE),
        Example("SQLAlchemy in JSON", '{"level": "ERROR", "exc": "Traceback...\\n' + QUEUE_LINE.strip() + '"}\n'),
        Example("SQLAlchemy in other words", f"ERROR:app:could not load the cart: {QUEUE_LINE[29:]}"),
        Example(
            "SQLAlchemy in other words in JSON",
            '{"level": "error", "message": "could not load: ('
            + QUEUE_LINE[:27]
            + ") "
            + QUEUE_LINE[29:].strip()
            + '"}\n',
        ),
        Example(
            "SQLAlchemy in a worker of tasks",
            "[2026-11-22 11:59:30,000: ERROR/ForkPoolWorker-1] Task mail[3f] raised unexpected: TimeoutError('"
            + QUEUE_LINE[29:].strip()
            + "')\n",
        ),
        Example("psycopg_pool", "psycopg_pool.PoolTimeout: couldn't get a connection after 30.00 sec\n"),
        Example("psycopg_pool, the server was out of reach an hour before", _OUT.format("10:59:00") + _GAVE_UP),
        Example(
            "psycopg_pool, the server was out of reach long before in a log without times",
            f"{_CONNECTING}\n" + 'INFO:     10.0.0.2:4 - "GET / HTTP/1.1" 200 OK\n' * 200 + _GAVE_UP[31:],
        ),
        Example("psycopg2", "psycopg2.pool.PoolError: connection pool exhausted\n"),
        Example(
            "asyncpg",
            _ACQUIRE_LINES
            + '  File "/usr/local/lib/python3.11/asyncio/timeouts.py", line 115, in __aexit__\n'
            + "    raise TimeoutError from exc_val\nTimeoutError\n",
        ),
    ),
    silent=(
        Example("HTTP connections", "httpx.PoolTimeout\n"),
        Example(
            "the server refused",
            "WARNING:psycopg.pool:error connecting in 'pool-1': FATAL:  sorry, too many clients already\n"
            "psycopg_pool.PoolTimeout: couldn't get a connection after 30.00 sec\n",
        ),
        Example(
            "the server refuses, and each of several requests leaves a traceback without times",
            f"2026-11-22T12:00:00Z {_CONNECTING}\n" + ("  ~~~\n" * 72 + _GAVE_UP[31:]) * 3,
        ),
        Example("psycopg_pool failed to connect meanwhile", _OUT.format("11:59:10") + _GAVE_UP),
        Example(
            "psycopg_pool is between two tries a minute apart",
            "".join(_OUT.format(at) for at in ("11:57:42", "11:57:43", "11:57:45", "11:58:13", "11:58:45")) + _GAVE_UP,
        ),
        Example(
            "the server is out of reach",
            _ACQUIRE_LINES
            + '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/pool.py", line 655, in _get_new_connection\n'
            + '  File "/opt/venv/asyncpg/connection.py", line 2498, in connect\nTimeoutError\n',
        ),
        Example("53300 itself", "asyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already\n"),
        Example(
            "an application that logs what a ticket says",
            f'INFO:app:support ticket says "{QUEUE_LINE.strip()}"\n'
            f"INFO:chat:user: {QUEUE_LINE}"
            f'WARNING:chat:blocked the prompt "{QUEUE_LINE.strip()}"\n'
            "INFO:app:they write that they couldn't get a connection after 30.00 sec\n"
            '{"level": "info", "event": "prompt", "text": "why? ' + QUEUE_LINE.strip() + '"}\n'
            '{"level": "info", "message": "why this?\\n' + QUEUE_LINE.strip() + '"}\n',
        ),
        Example("a search for the words", 'INFO:     10.0.0.1:1 - "GET /?q=QueuePool+limit HTTP/1.1" 200 OK\n'),
    ),
)
