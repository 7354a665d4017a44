"""How a connection to the database fails before it is one: patterns of several signatures, and whose they are."""

from __future__ import annotations

import re

from fixes.model import View
from fixes.signatures import _database, _shared
from fixes.signatures._shared import At
from probes.loghits import LogHit

DIAL = _database.pattern("dial", r"asyncpg[/\\]connect_utils\.py\\?\", line \d+, in __connect_addr")
"""asyncpg opens a connection: what failed stands below."""
CONNECT = _database.pattern("connect", r"asyncpg[/\\]connection\.py\\?\", line \d+, in connect(?:[^_\w]|$)")
"""asyncpg's outermost frame: its own time-out is raised here, with no text."""
START_TLS = _database.pattern("start-tls", r"new_tr = await (?:self\._)?loop\.start_tls\(")
"""asyncpg's own line: the server agreed to TLS, the handshake is under way."""
HBA = _database.pattern(
    "hba",
    r"(?:no pg_hba\.conf entry for|pg_hba\.conf rejects connection for) host \\?\"[^\"\\]*\\?\", "
    r"user \\?\"(?P<user>[^\"\\]*)\\?\", database \\?\"(?P<database>[^\"\\]*)\\?\", "
    r"(?P<tls>no encryption|SSL off|SSL encryption|SSL on|GSS encryption)",
)
"""PostgreSQL lets nobody in from there as this user; the last words say how it was asked."""
PASSWORD = _database.pattern(
    "password",
    r"(?P<method>password|PAM|LDAP|Ident|Peer|GSSAPI|SASL|certificate|SCRAM) authentication failed"
    r"(?: for user \\?\"(?P<user>[^\"\\]*)\\?\")?",
)
AT_WORK = _database.pattern(
    "at-work",
    r"\[\d+\] (?P<user>[\w.\-]+)@(?P<database>[\w.\-]+) "
    r"(?:LOG: +connection authorized|ERROR|STATEMENT|FATAL: +terminating connection)",
)
"""In PostgreSQL's own log, with the usual prefix: a client that was let in and works."""

_DIALLED = re.compile(r"connect_utils\.py\\?\", line \d+, in __connect_addr")
_CONNECT = re.compile(r"asyncpg[/\\]connection\.py\\?\", line \d+, in connect(?:[^_\w]|$)")
_TLS_LINE = re.compile(r"new_tr = await")
_BELOW = 40
_LINES = 200
"""Between the first attempt of a driver, over TLS, and the next, in clear text, in one chain of tracebacks."""


def dialled(hit: LogHit) -> tuple[str, str] | None:
    """The exception that ended an attempt of asyncpg's, by class and line."""
    return _database.raised(_database.below(hit, _DIALLED))


def gave_up(hit: LogHit) -> bool:
    """Whether asyncpg's ``connect`` ended with its time-out."""
    found = _database.raised(_database.below(hit, _CONNECT))
    return found is not None and found[0] == "TimeoutError" and "Connection" not in found[1]


def handshake(hit: LogHit) -> tuple[str, str] | None:
    """The exception that ended asyncpg's handshake."""
    return _database.raised(_database.below(hit, _TLS_LINE))


def in_handshake(view: View, place: At) -> bool:
    """Whether the attempt that ended here had got as far as the handshake.

    The frame stands in both parts of a chained traceback: above the handshake and below it.
    """
    return any(
        at.replica == place.replica and -_BELOW <= place.line - at.line <= _LINES
        for _, at in _shared.places(view, START_TLS)
    )


def wants_tls(hit: LogHit) -> bool:
    """Whether a refusal by pg_hba.conf says that the connection was in clear text."""
    return hit.fields.get("tls") in ("no encryption", "SSL off")


def is_anothers(view: View, hit: LogHit, place: At) -> bool:
    """Whether a refusal in the server's own log may be another client's: somebody else works there meanwhile."""
    return _database.of_server(hit) and any(
        other.fields.get("user") != hit.fields.get("user") and at.replica == place.replica
        for other, at in _shared.places(view, AT_WORK)
    )


def denied_over_tls(view: View, hit: LogHit, place: At) -> bool:
    """Whether the same user had been refused over TLS, or for its password, just before or just after."""
    for other, at in _shared.places(view, HBA, PASSWORD):
        if at.replica != place.replica or abs(at.line - place.line) > _LINES:
            continue
        same = other.fields.get("user") == hit.fields.get("user")
        if same and not (other.key == HBA.key and wants_tls(other)):
            return True
    return False
