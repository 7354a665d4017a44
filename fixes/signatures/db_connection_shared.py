"""Two tasks use one database connection or session at the same time.

What it means. A connection does one thing at a time. Where a session or connection is global, or is handed to
``asyncio.gather``, two requests or tasks meet on it: one of them fails, or worse, they mix their transactions.
Connections made in one event loop and used in another fail likewise.

What proves it. asyncpg's ``another operation is in progress``, SQLAlchemy's ``concurrent operations are not
permitted`` and ``is already in progress and this would cause an unexpected state change``, aiomysql's
``readexactly() called while another coroutine is already waiting``, PyMySQL's ``Packet sequence number wrong``; a
driver's future ``attached to a different loop``.

What it is not. The same words while the service goes down: its tasks are cancelled in the middle of an operation.
``attached to a different loop`` without a driver in the traceback.

What to do. One session per task: a dependency that yields it, and a new one inside each gathered coroutine.
"""

from __future__ import annotations

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _shared, _traceback, _wording
from probes.loghits import LogHit

SHARED = _database.pattern(
    "connection-shared",
    r"(?P<said>cannot perform operation: another operation .{0,40}is in progress|another operation is in progress"
    r"|concurrent operations are not permitted|is already in progress and this would cause an unexpected state change"
    r"|another command is already in progress|Packet sequence number wrong)",
)
LOOP = _database.pattern(
    "connection-loop",
    r"(?P<said>attached to a different loop|readexactly\(\) called while another coroutine is already waiting)",
)


def detect(view: View) -> Verdict:
    """Fires on two uses of one connection, outside of a shutdown."""
    found = [(hit, place) for hit, place in _shared.places(view, SHARED) if _database.toward(hit) is not False]
    found += [(hit, place) for hit, place in _shared.places(view, LOOP) if _of_driver(hit)]
    kept = [(hit, place) for hit, place in found if not _database.ending(view, place)]
    return _database.verdict(view, kept, "error", _title)


def _of_driver(hit: LogHit) -> bool:
    """The futures of asyncpg are known by their callback; others by the traceback."""
    return "Protocol._on_waiter_completed" in hit.sample or _database.toward(hit) is True


def _title(hit: LogHit) -> str:
    if "loop" in hit.fields["said"]:
        return "a database connection of one event loop is used in another"
    return f"several tasks use one database connection at the same time: {hit.fields['said']}"


SIGNATURE = Signature(
    id=SignatureId("db-connection-shared"),
    title="One database connection, several tasks",
    severity="error",
    detect=detect,
    remedies=(RemedyId("advise"),),
    source="asyncpg/protocol/protocol.pyx _check_state; sqlalchemy.org errors isce; asyncio/tasks.py; aiomysql",
    patterns=(SHARED, LOOP, _database.ENDING, _traceback.CHAINED, _wording.STARTED, _wording.BOOTING),
    explains=(SignatureId("unhandled-exceptions"),),
    fires=(
        Example(
            "asyncpg",
            "asyncpg.exceptions._base.InterfaceError: cannot perform operation: another operation is in progress\n",
        ),
        Example(
            "SQLAlchemy",
            "sqlalchemy.exc.InvalidRequestError: This session is provisioning a new connection; concurrent operations "
            "are not permitted (Background on this error at: https://sqlalche.me/e/20/isce)\n",
        ),
        Example(
            "SQLAlchemy, closed meanwhile",
            "sqlalchemy.exc.IllegalStateChangeError: Method 'close()' can't be called here; method "
            "'_connection_for_bind()' is already in progress and this would cause an unexpected state change to "
            "<SessionTransactionState.CLOSED: 5>\n",
        ),
        Example(
            "another loop",
            "RuntimeError: Task <Task pending name='Task-9' coro=<RequestResponseCycle.run_asgi()>> got Future <Future "
            "pending cb=[Protocol._on_waiter_completed()]> attached to a different loop\n",
        ),
        Example(
            "aiomysql",
            '  File "/opt/venv/lib/python3.11/site-packages/aiomysql/connection.py", line 617, in _read_packet\n'
            "RuntimeError: readexactly() called while another coroutine is already waiting for incoming data\n",
        ),
    ),
    silent=(
        Example(
            "while it goes down",
            "[2026-11-22 09:53:29 +0000] [6574] [INFO] Handling signal: term\n"
            "asyncpg.exceptions._base.InterfaceError: cannot perform operation: another operation is in progress\n",
        ),
        Example(
            "Redis on another loop",
            '  File "/opt/venv/lib/python3.11/site-packages/redis/asyncio/connection.py", line 500, in read\n'
            "RuntimeError: Task <Task pending name='Task-9'> got Future <Future pending> attached to a "
            "different loop\n",
        ),
        Example("a migration of something else", "ERROR: a deployment is already in progress\n"),
    ),
)
