"""The database does not let the service in: wrong password, unknown user, or no rule for it.

What it means. The server was reached and refused the user. Nothing that needs the database works until the credentials,
or the server's rules, are changed; more attempts may lock the user.

What proves it. The driver's words: ``password authentication failed for user "…"``, ``role "…" does not exist``, MySQL
1045 ``Access denied for user``, ``no pg_hba.conf entry … SSL encryption``. A driver that prefers TLS tries again in
clear text, so both ``SSL encryption`` and ``no encryption`` for one user mean that no rule fits, however it asks.

What it is not. ``no pg_hba.conf entry … no encryption`` alone: the server wants TLS (``db-ssl-required``). A line in
the server's own log may be about any other client.

What to do. Compare user, password and database with what the server knows; a changed secret needs a restart.
"""

from __future__ import annotations

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _dialling, _shared, _traceback, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit

ROLE = _database.pattern(
    "role-unknown",
    r"(?:Error\)?:?|FATAL:) +(?:role|user) \\?\"(?P<user>[^\"\\]*)\\?\" (?:does not exist|is not permitted to log in)",
)
NO_PASSWORD = _database.pattern("no-password", r"fe_sendauth: no password supplied|no password supplied")
MYSQL = _database.pattern(
    "access-denied",
    r"\((?:1045|1044|1698), .{1,3}Access denied for user '(?P<user>[^']*)'|ERROR (?:1045|1044|1698) "
    r".{0,12}Access denied",
)


def detect(view: View) -> Verdict:
    """Fires on refusals of this service's user."""
    found = [(h, p) for h, p in _shared.places(view, _dialling.PASSWORD, ROLE, NO_PASSWORD, MYSQL) if _client(h)]
    found += [(h, p) for h, p in _shared.places(view, _dialling.HBA) if _client(h) and _no_rule(view, h, p)]
    return _database.verdict(view, found, "critical", _title)


def _client(hit: LogHit) -> bool:
    """Whether the service said it, about the database."""
    return not _database.of_server(hit) and _database.toward(hit) is not False


def _no_rule(view: View, hit: LogHit, place: At) -> bool:
    return not _dialling.wants_tls(hit) or _dialling.denied_over_tls(view, hit, place)


def _title(hit: LogHit) -> str:
    user = hit.fields.get("user", "")
    who = f"the user {user}" if user else "its user"
    if hit.key == _dialling.HBA.key:
        return f"the database has no rule (pg_hba.conf) that lets {who} in from here"
    if hit.key == ROLE.key:
        return f"the database does not know {who}"
    return (
        f"the database refuses the password of {who}"
        if hit.key == _dialling.PASSWORD.key
        else f"the database refuses {who}"
    )


_LIBPQ = 'connection to server at "db" (10.0.0.5), port 5432 failed: FATAL:  '
_HBA = 'no pg_hba.conf entry for host "10.0.0.7", user "app", database "app", '

SIGNATURE = Signature(
    id=SignatureId("db-auth-failed"),
    title="The database refuses the service's user",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("set-env"), RemedyId("use-secret"), RemedyId("advise")),
    source="postgresql.org errcodes 28P01 and 28000, src/backend/libpq/auth.c (9.6 to 18); MySQL 1044, 1045, 1698",
    patterns=(_dialling.PASSWORD, _dialling.HBA, ROLE, NO_PASSWORD, MYSQL, _traceback.CHAINED, _wording.STARTED),
    explains=(
        SignatureId("worker-boot-failed"),
        SignatureId("startup-stalled"),
        SignatureId("unhandled-exceptions"),
        SignatureId("pool-exhausted"),
    ),
    fires=(
        Example("asyncpg", 'asyncpg.exceptions.InvalidPasswordError: password authentication failed for user "pw"\n'),
        Example(
            "psycopg",
            f'psycopg.OperationalError: connection failed: {_LIBPQ}password authentication failed for user "a"\n',
        ),
        Example(
            "MySQL",
            "pymysql.err.OperationalError: (1045, \"Access denied for user 'app'@'10.0.0.7' (using password: YES)\")\n",
        ),
        Example(
            "no such user", 'asyncpg.exceptions.InvalidAuthorizationSpecificationError: role "app" does not exist\n'
        ),
        Example(
            "no rule, asked both ways",
            f"psycopg2.OperationalError: {_LIBPQ}{_HBA}SSL encryption\n{_LIBPQ}{_HBA}no encryption\n",
        ),
        Example(
            "a wrong password, then clear text",
            'asyncpg.exceptions.InvalidPasswordError: password authentication failed for user "app"\n'
            "During handling of the above exception, another exception occurred:\n"
            f"asyncpg.exceptions.InvalidAuthorizationSpecificationError: {_HBA}no encryption\n",
        ),
        Example(
            "in JSON",
            '{"level": "ERROR", "exc": "InvalidPasswordError: password authentication failed for user \\"app\\""}\n',
        ),
    ),
    silent=(
        Example(
            "another client in the server's log",
            '2026-11-22 09:28:45.919 UTC [18596] x@app FATAL:  password authentication failed for user "x"\n',
        ),
        Example(
            "the server wants TLS",
            f"asyncpg.exceptions.InvalidAuthorizationSpecificationError: {_HBA}no encryption\n",
        ),
        Example("a user of the service", 'INFO:     10.0.0.1:5 - "POST /login HTTP/1.1" 401 Unauthorized\n'),
        Example("Redis", "redis.exceptions.AuthenticationError: invalid username-password pair or user is disabled.\n"),
    ),
)
