"""A synchronous database driver works in an asynchronous service, or database work is done outside of ``await``.

What it means. A driver that does not await holds the event loop for each statement: nobody else is served. SQLAlchemy's
asyncio extension refuses such drivers, and refuses to do work that it cannot await: an attribute that loads lazily.

What proves it. ``The asyncio extension requires an async driver``; ``MissingGreenlet`` and ``can't call await_only()
here``; a synchronous driver innermost in the event loop's own stack; or a synchronous driver loaded into the workers
and no asynchronous one (information: ``def`` endpoints run in threads, where that is right).

What it is not. An asynchronous driver beside it: aiomysql loads PyMySQL itself, migrations use psycopg2. SQLAlchemy 2.1
takes psycopg 3 for ``postgresql://``, which does both.

What to do. ``postgresql+asyncpg://`` or ``+psycopg``, ``mysql+asyncmy://``, ``sqlite+aiosqlite://``; for
``MissingGreenlet`` load eagerly (``selectinload``), on any driver.
"""

from __future__ import annotations

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _database, _shared, _traceback, _wording
from probes.loghits import LogHit
from probes.model import Frame, StackSample

REFUSED = _database.pattern(
    "sync-driver", r"The asyncio extension requires an async driver(?: to be used)?\. The loaded '(?P<driver>[^']+)'"
)
GREENLET = _database.pattern(
    "missing-greenlet", r"greenlet_spawn has not been called; can't call await_(?:only)?\(\) here"
)
SYNCHRONOUS = {"psycopg2", "mysqlclient", "mysql-connector-python", "pyodbc"}
ASYNCHRONOUS = {"asyncpg", "psycopg", "asyncmy"}
_FILES = ("/psycopg2/", "/MySQLdb/", "/pymysql/", "/mysql/connector/", "/pyodbc", "/pg8000/")
_AWAITING = ("/aiomysql/", "/aiopg/", "/asyncmy/")
_LAZY = ("orm/strategies.py", "orm/attributes.py", "lazyload", "orm/loading.py")


def detect(view: View) -> Verdict:
    """Fires on SQLAlchemy's refusals, on the event loop's stack, and, mildly, on what is loaded."""
    refused = list(_shared.places(view, REFUSED))
    if refused:
        return _database.verdict(view, refused, "error", _refused)
    blocking = _blocking(view)
    if blocking is not None:
        return blocking
    lost = list(_shared.places(view, GREENLET))
    if lost:
        lazy = any(word in line for hit, _ in lost for line in hit.before for word in _LAZY)
        return _database.verdict(view, lost, "warning", _greenlet, {"lazy": lazy})
    loaded = _loaded(view)
    return loaded if loaded is not None else SILENT


def _refused(hit: LogHit) -> str:
    return f"the asyncio engine is given the driver {hit.fields['driver']}, which is not asynchronous"


def _greenlet(_hit: LogHit) -> str:
    return "database work is done outside of await (MissingGreenlet), mostly an attribute that loads lazily"


def _blocking(view: View) -> Fires | None:
    """A stack of the event loop with a synchronous driver in it."""
    for replica in view.deployment.running:
        for sample in reversed(replica.stacks):
            if sample.at < view.start or sample.idle:
                continue
            frame = next((f for f in sample.frames if any(name in f.file for name in _FILES)), None)
            if frame is None or any(name in f.file for f in sample.frames for name in _AWAITING):
                continue
            driver = next(name for name in _FILES if name in frame.file).strip("/").replace("/", ".")
            return Fires(
                severity="error",
                title=f"the synchronous driver {driver} holds the event loop",
                evidence=(
                    Evidence(
                        "stack",
                        f"{frame.function} in the event loop's thread",
                        at=sample.at,
                        replica=replica.id,
                        worker=sample.pid,
                        file=frame.file,
                        line=frame.line,
                    ),
                ),
                last_at=sample.at,
                facts={"driver": driver},
            )
    return None


def _loaded(view: View) -> Fires | None:
    """Only synchronous drivers are mapped into the workers of an ASGI service."""
    drivers = set(view.deployment.drivers)
    packages = {name.lower() for name in view.deployment.packages}
    found = sorted(drivers & SYNCHRONOUS)
    if not found or drivers & ASYNCHRONOUS or packages & {"aiomysql", "aiopg", "asyncmy"}:
        return None
    if view.deployment.framework != "fastapi":
        return None
    return Fires(
        severity="info",
        title=f"{found[0]} is loaded, which blocks the event loop in async def endpoints (def endpoints may use it)",
        evidence=(Evidence("proc", f"loaded drivers: {', '.join(sorted(drivers))}"),),
        facts={"driver": found[0]},
    )


def _stack(*files: str) -> StackSample:
    return StackSample(_cases.ago(30), 17, tuple(Frame(file, 100, "execute") for file in files), idle=False)


_LOADED = "/opt/venv/lib/python3.11/site-packages/psycopg2/__init__.py"

SIGNATURE = Signature(
    id=SignatureId("sync-driver"),
    title="A synchronous driver in an asynchronous service",
    severity="error",
    detect=detect,
    remedies=(RemedyId("advise"), RemedyId("profile")),
    source="sqlalchemy/ext/asyncio/engine.py, sqlalchemy/util/concurrency.py (1.4 to 2.1); sqlalchemy.org errors xd2s",
    patterns=(REFUSED, GREENLET, _traceback.CHAINED, _wording.STARTED),
    explains=(
        SignatureId("worker-boot-failed"),
        SignatureId("event-loop-blocked"),
        SignatureId("unhandled-exceptions"),
    ),
    fires=(
        Example(
            "SQLAlchemy 2",
            "sqlalchemy.exc.InvalidRequestError: The asyncio extension requires an async driver to be used. The loaded "
            "'psycopg2' is not async.\n",
        ),
        Example(
            "lazy loading",
            '  File "/opt/venv/lib/python3.11/site-packages/sqlalchemy/orm/strategies.py", line 1125, in '
            "_emit_lazyload\n"
            "sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called; can't call await_only() here. Was IO "
            "attempted in an unexpected place?\n",
        ),
        Example(
            "SQLAlchemy 2.1",
            "sqlalchemy.exc.StatementError: (sqlalchemy.exc.MissingGreenlet) greenlet_spawn has not been called; can't "
            "call await_() here. Was IO attempted in an unexpected place?\n",
        ),
        Example("in the loop's stack", deployment=_cases.container(stacks=(_stack(_LOADED, "/app/main.py"),))),
        Example("loaded", deployment=_cases.deployment(drivers=("psycopg2",))),
    ),
    silent=(
        Example("an asynchronous driver beside it", deployment=_cases.deployment(drivers=("asyncpg", "psycopg2"))),
        Example("psycopg 3", deployment=_cases.deployment(drivers=("psycopg",))),
        Example("aiomysql", deployment=_cases.deployment(drivers=("mysqlclient",), packages={"aiomysql": "0.2.0"})),
        Example(
            "aiomysql in the stack",
            deployment=_cases.container(
                stacks=(_stack("/x/pymysql/converters.py", "/x/aiomysql/connection.py", "/app/main.py"),)
            ),
        ),
        Example("a greenlet of one's own", "INFO: greenlet pool started\n"),
    ),
)
