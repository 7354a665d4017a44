"""The database accepts encrypted connections only, and the service asks in clear text.

What it means. The server's rules let this user in over TLS alone: managed databases do that by default. The service's
URL asks for no TLS, or forbids it, so every connection is refused.

What proves it. ``no pg_hba.conf entry … no encryption`` (before PostgreSQL 14 ``SSL off``), ``pg_hba.conf rejects
connection … no encryption``, ``SSL connection is required``, Neon's ``connection is insecure``, MySQL's
``require_secure_transport``. The server's own log says the same.

What it is not. The same user refused over TLS too, or for its password, just before: a driver that prefers TLS tries
again in clear text (``db-auth-failed``). ``rejected SSL upgrade`` and ``server does not support SSL``: there the client
demands what the server has not. A refusal in the server's own log while other users work there: it is another client's.

What to do. Ask for TLS in the URL, in the words of the driver: ``?ssl=require`` for asyncpg, ``?sslmode=require`` for
psycopg; better with verification and the provider's certificate.
"""

from __future__ import annotations

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _dialling, _shared, _traceback, _wording
from probes.loghits import LogHit

REQUIRED = _database.pattern(
    "ssl-required",
    r"(?P<said>SSL connection is required|connection is insecure \(try using|require_secure_transport=ON"
    r"|FATAL: +SSL required|SSL/TLS required|connection requires a valid client certificate)",
)


def detect(view: View) -> Verdict:
    """Fires on connections that were refused for being in clear text."""
    found = [(hit, place) for hit, place in _shared.places(view, REQUIRED) if _database.toward(hit) is not False]
    found += [
        (hit, place)
        for hit, place in _shared.places(view, _dialling.HBA)
        if _dialling.wants_tls(hit)
        and not _dialling.denied_over_tls(view, hit, place)
        and not _dialling.is_anothers(view, hit, place)
    ]
    return _database.verdict(view, found, "critical", _title)


def _title(hit: LogHit) -> str:
    user = hit.fields.get("user")
    who = f"the user {user}" if user else "the service"
    return f"the database wants TLS, and {who} connects without encryption"


_HBA = 'no pg_hba.conf entry for host "10.0.0.7", user "app", database "app", '
_ASYNCPG = "asyncpg.exceptions.InvalidAuthorizationSpecificationError: "

SIGNATURE = Signature(
    id=SignatureId("db-ssl-required"),
    title="The database wants TLS",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("require-db-ssl"), RemedyId("advise")),
    source="postgresql.org src/backend/libpq/auth.c ClientAuthentication (9.6 to 18); MySQL 3159 and 9002",
    patterns=(REQUIRED, _dialling.HBA, _dialling.PASSWORD, _dialling.AT_WORK, _traceback.CHAINED, _wording.STARTED),
    explains=(
        SignatureId("worker-boot-failed"),
        SignatureId("startup-stalled"),
        SignatureId("unhandled-exceptions"),
        SignatureId("pool-exhausted"),
    ),
    fires=(
        Example("asyncpg", f"{_ASYNCPG}{_HBA}no encryption\n"),
        Example("PostgreSQL 13", f"psycopg2.OperationalError: FATAL:  {_HBA}SSL off\n"),
        Example(
            "a rule that rejects",
            "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server at "
            '"10.0.0.5", port 5432 failed: FATAL:  pg_hba.conf rejects connection for host "10.0.0.7", user "tlsonly", '
            'database "tlsonly", no encryption\n',
        ),
        Example(
            "MySQL",
            "pymysql.err.OperationalError: (3159, 'Connections using insecure transport are prohibited while "
            "--require_secure_transport=ON.')\n",
        ),
        Example("the server's log", f"2026-11-22 09:26:08.653 UTC [7791] app@app FATAL:  {_HBA}no encryption\n"),
        Example("in JSON", '{"message": "' + (_ASYNCPG + _HBA).replace('"', '\\"') + 'no encryption"}\n'),
    ),
    silent=(
        Example("the server has no TLS", 'ConnectionError: PostgreSQL server at "db:5432" rejected SSL upgrade\n'),
        Example(
            "the server has no TLS, libpq",
            'psycopg2.OperationalError: connection to server at "db", port 5432 failed: server does not support SSL, '
            "but SSL was required\n",
        ),
        Example(
            "another client in the server's log",
            "2026-11-22 09:26:08.653 UTC [7791] reports@app FATAL:  "
            + _HBA.replace("app", "reports")
            + "no encryption\n2026-11-22 09:30:06.492 UTC [19976] app@app STATEMENT:  select pg_sleep(4.000000)\n",
        ),
        Example(
            "refused over TLS too",
            f"psycopg.OperationalError: FATAL:  {_HBA}SSL encryption\nFATAL:  {_HBA}no encryption\n",
        ),
        Example(
            "a wrong password first",
            'asyncpg.exceptions.InvalidPasswordError: password authentication failed for user "app"\n'
            f"{_ASYNCPG}{_HBA}no encryption\n",
        ),
    ),
)
