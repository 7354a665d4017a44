"""Why a database could not be asked, as one sentence. Never the server's own words: they name users and databases."""

from __future__ import annotations

import socket
import ssl

from probes.base import Failure
from probes.database import mysqlfailures
from probes.database.tls import BadRoot

_CLOSED = ("closed", "it closed the connection", "see its own log; it is asked again by itself")
_BY_STATE = {
    "08003": _CLOSED,
    "08006": _CLOSED,
    "28P01": ("wrong-password", "the server refuses the password", "check the credentials in the DSN"),
    "3D000": ("no-database", "the server has no such database", "check the database's name in the DSN"),
    "53300": (
        "too-many-connections",
        "it takes no more connections: all that this role may open are in use",
        "end idle sessions, or give a role that may use the reserved ones",
    ),
    "57P03": ("starting", "the server is starting up or shutting down", "it is asked again by itself"),
    "42501": ("forbidden", "the role may not read the statistics", "grant it pg_monitor"),
    "57014": ("timeout", "the server took too long to answer", "it is asked again by itself"),
}
_PERMANENT = frozenset(
    {
        "wrong-password", "no-database", "not-permitted", "forbidden", "bad-certificate", "bad-root", "no-tls",
        "no-driver",
    }
)  # fmt: skip


def permanent(failure: Failure) -> bool:
    """Whether asking again would fail again; a wrong password given over and over may lock an account."""
    return failure.code in _PERMANENT


def refused(error: BaseException, *, pooler: bool) -> bool:
    """Whether the user and the password themselves were refused, for everybody who has the same ones.

    PostgreSQL says 28000 instead of 28P01 where LDAP, RADIUS or PAM is asked (its ``auth.c``). ``pooler``: of
    PgBouncer's console, where users are let in or not.
    """
    state = getattr(error, "sqlstate", None)
    if mysqlfailures.refused(error):
        return True
    return isinstance(state, str) and (pooler or state == "28P01" or (state == "28000" and not by_transport(error)))


def by_transport(error: BaseException) -> bool:
    """Whether a refusal came before any password was asked for: with TLS or without, it may be another."""
    return "pg_hba.conf" in str(error) or "SSL" in str(error)


def of(error: BaseException, name: str) -> Failure:
    """The failure that an exception while connecting or asking is; ``name`` is ``HOST:PORT``."""
    what = f"the database server {name}"
    return mysqlfailures.of(error, what) or _of(mysqlfailures.cause(error), what)


def _of(error: BaseException, what: str) -> Failure:
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        if state == "28000":
            return Failure("not-permitted", what, *_not_permitted(str(error)))
        code, why, hint = _BY_STATE.get(state, ("refused", f"the server refuses (SQLSTATE {state})", "see its own log"))
        return Failure(code, what, why, hint)
    if isinstance(error, BadRoot):
        return Failure("bad-root", what, "the file of sslrootcert cannot be read", "check its path in the DSN")
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "name its authority with sslrootcert in the DSN"
        return Failure("bad-certificate", what, "its certificate is not trusted, or is not for this name", hint)
    if isinstance(error, ssl.SSLError):
        return Failure("tls", what, "the TLS handshake failed", "check sslmode in the DSN and the server's certificate")
    if isinstance(error, TimeoutError):
        return Failure("timeout", what, "it did not answer in time", "check that this machine may reach it")
    if isinstance(error, socket.gaierror):
        why = "its name is not known on this machine"
        return Failure("unreachable", what, why, "check it; a cluster's name is found in full (db.NAMESPACE.svc)")
    if isinstance(error, ConnectionRefusedError):
        return Failure("unreachable", what, "nothing listens there", "is the server up?")
    if isinstance(error, ConnectionError) and "rejected SSL" in str(error):
        return Failure("no-tls", what, "the DSN asks for TLS, and the server has none", "check sslmode in the DSN")
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        return Failure("unreachable", what, "it cannot be reached from this machine", "check address and firewall")
    if isinstance(error, (OSError, EOFError)):
        return Failure(_CLOSED[0], what, *_CLOSED[1:])
    return Failure("failed", what, f"asking it failed ({type(error).__name__})", "see the server's own log")


def _not_permitted(said: str) -> tuple[str, str]:
    if "no encryption" in said or "SSL off" in said:
        return "pg_hba.conf lets nobody in from here without TLS", "add sslmode=require to the DSN"
    if "pg_hba.conf" in said:
        return "pg_hba.conf has no entry for this address, role and database", "add one for the role that reads"
    return "the server does not let this role in", "check the role in the DSN and pg_hba.conf"
