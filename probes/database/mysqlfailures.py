"""Why a server of MySQL or MariaDB could not be asked: its numbers of errors, as one sentence."""

from __future__ import annotations

from probes.base import Failure
from probes.database import mysql

_FULL = (
    "too-many-connections",
    "it takes no more connections: all that this account may open are in use",
    "end idle sessions, or give an account of its own",
)
_PASSWORD = ("wrong-password", "the server refuses the password", "check the credentials in the DSN")
_SLOW = ("timeout", "the server took too long to answer", "it is asked again by itself")
_PLUGIN = ("not-permitted", "it asks for a way to log in that fastops does not have", "give env:VAR")
_EXPIRED = ("not-permitted", "the account's password has expired", "set a new one")
_LOCKED = ("not-permitted", "the account is locked", "unlock it, or give env:VAR")
_BY_CODE = {
    1040: _FULL,
    1045: _PASSWORD,
    1053: ("starting", "the server is starting up or shutting down", "it is asked again by itself"),
    1129: ("not-permitted", "it has blocked this machine after errors", "see FLUSH HOSTS in its manual"),
    1130: ("not-permitted", "it lets nobody in from this machine", "create the account for this host"),
    1203: _FULL,
    1226: _FULL,
    1227: ("forbidden", "the account may not read the process list", "grant it PROCESS"),
    1251: _PLUGIN,
    1317: _SLOW,
    1698: _PASSWORD,
    1820: _EXPIRED,
    1862: _EXPIRED,
    1969: _SLOW,
    2059: _PLUGIN,
    3024: _SLOW,
    3118: _LOCKED,
    3159: ("not-permitted", "it lets nobody in without TLS", "add ssl-mode=REQUIRED to the DSN"),
    4151: _LOCKED,
}
"""dev.mysql.com, "Server Error Message Reference"; mariadb.com, "MariaDB Error Code Reference"."""
_REFUSED = frozenset({1045, 1698, 3118, 4151})
_LOST = frozenset({2003, 2006, 2013})
"""The connection was not made, or was lost."""


def refused(error: BaseException) -> bool:
    """Whether the user and the password themselves were refused."""
    return _code(error) in _REFUSED


def cause(error: BaseException) -> BaseException:
    """What a connection failed by, where PyMySQL says no more than that it did."""
    if _code(error) not in _LOST:
        return error
    return error.__cause__ or ConnectionResetError("closed")


def of(error: BaseException, what: str) -> Failure | None:
    """The failure that an exception is; ``None`` where it is none of MySQL's own."""
    code = _code(error)
    if code is not None and code not in _LOST:
        kind, why, hint = _BY_CODE.get(code, ("refused", f"it refuses (error {code})", "see its own log"))
        return Failure(kind, what, why, hint)
    if isinstance(error, mysql.NoDriver):
        why = "MySQL and MariaDB are asked with aiomysql, which is not installed"
        return Failure("no-driver", what, why, "pip install 'fastops[mysql]'")
    if isinstance(error, mysql.NoTls):
        return Failure("no-tls", what, "the DSN asks for TLS, and the server has none", "check ssl-mode in the DSN")
    if isinstance(error, mysql.Clear):
        why = "it asks for the password in clear text, which is not given"
        return Failure("not-permitted", what, why, "give env:VAR with an account of another plugin")
    if isinstance(error, RuntimeError) and "cryptography" in str(error):
        why = "without TLS it takes this account's password only in a form that needs the package cryptography"
        return Failure("not-permitted", what, why, "ask it over TLS, or pip install cryptography")
    return None


def _code(error: BaseException) -> int | None:
    """The number of an error of PyMySQL; ``None`` for any other."""
    if not type(error).__module__.startswith("pymysql."):
        return None
    said = error.args[0] if error.args else None
    return said if isinstance(said, int) else None
