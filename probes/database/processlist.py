"""What MySQL and MariaDB say of their sessions: the process list, and InnoDB's transactions where that is permitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from probes import text
from probes.base import Frozen
from probes.database import mysql
from probes.database.statistics import MOST_SESSIONS, Limit, SessionRow

_LIMITS = """
select @@global.max_connections, version(), connection_id(), @@global.max_user_connections,
       @@session.max_user_connections, substring_index(user(), '@', 1)
"""
"""The session's ``max_user_connections`` is that of its own account, whatever says it; 0 is none."""
_CONNECTED = "show global status like 'Threads_connected'"
_CIPHER = "show session status like 'Ssl_cipher'"
_SESSIONS = f"""
select id, host, command, user from {{}}.processlist where user not in ('system user', 'event_scheduler')
limit {MOST_SESSIONS}
"""  # noqa: S608 -- a number of our own
_TRANSACTIONS = f"""
select trx_mysql_thread_id, trx_state, timestampdiff(microsecond, trx_started, now()) / 1e6
from information_schema.innodb_trx limit {MOST_SESSIONS}
"""  # noqa: S608 -- likewise
_NO_TABLE = frozenset({1109, 1146})
"""Error codes: ``information_schema.processlist`` is deprecated since MySQL 8.0.35."""
_FORBIDDEN = frozenset({1044, 1142, 1227})
_LOCAL = "localhost"
"""The name of 127.0.0.1 where the server looks names up; without a port it is a Unix socket."""


class Processes(Frozen, frozen=True):
    """One look at a server."""

    version: str | None
    usable: int | None
    sessions: tuple[SessionRow, ...]
    hidden: int = 0
    """Sessions of other accounts, which this one may not see (it lacks ``PROCESS``)."""
    limits: tuple[Limit, ...] = ()
    """``max_user_connections`` of accounts: what an account other than its own is granted beyond it may not see."""


async def read(connection: Any) -> Processes:
    """Asks five things. Raises what PyMySQL raises, and ``TimeoutError``."""
    ((most, version, own, each, mine, account),) = await mysql.ask(connection, _LIMITS)
    connected = await mysql.ask(connection, _CONNECTED)
    cipher = await mysql.ask(connection, _CIPHER)
    rows = await _listed(connection)
    open_now = await _transactions(connection)
    encrypted = bool(cipher[0][1]) if cipher else None
    sessions = tuple(_session(row, int(own), open_now, encrypted) for row in rows)
    count = int(connected[0][1]) if connected else len(sessions)
    return Processes(
        version=text.clean(str(version), 60) or None,
        usable=int(most),
        sessions=sessions,
        hidden=max(0, count - len(sessions)),
        limits=limits(sessions, str(account), each=int(each), mine=int(mine)),
    )


def limits(sessions: Sequence[SessionRow], account: str, *, each: int, mine: int) -> tuple[Limit, ...]:
    """Those of all accounts that have sessions: ``mine`` is that of ``account``, ``each`` of every other; 0 is none."""
    open_now = Counter(one.role for one in sessions)
    by_name = {name: mine if name == text.line(account, 80) else each for name in open_now}
    return tuple(Limit("account", name, most, open_now[name]) for name, most in by_name.items() if most > 0)


async def _listed(connection: Any) -> list[tuple[Any, ...]]:
    try:
        return await mysql.ask(connection, _SESSIONS.format("information_schema"))
    except Exception as error:
        if code(error) not in _NO_TABLE:
            raise
        return await mysql.ask(connection, _SESSIONS.format("performance_schema"))


async def _transactions(connection: Any) -> Mapping[int, tuple[str, float]] | None:
    """Session → its transaction's state and age; ``None`` where the account may not see them."""
    try:
        rows = await mysql.ask(connection, _TRANSACTIONS)
    except Exception as error:
        if code(error) not in _FORBIDDEN:
            raise
        return None
    return {int(row[0]): (str(row[1]), max(0.0, float(row[2] or 0.0))) for row in rows}


def code(error: BaseException) -> int | None:
    """The server's number of an error of PyMySQL."""
    said = error.args[0] if error.args else None
    return said if isinstance(said, int) else None


def _session(
    row: tuple[Any, ...], own: int, open_now: Mapping[int, tuple[str, float]] | None, encrypted: bool | None
) -> SessionRow:
    number, address = int(row[0]), place(str(row[1] or ""))
    transaction = (open_now or {}).get(number)
    idle = row[2] == "Sleep"
    return SessionRow(
        address=address[0],
        port=address[1],
        application="",
        state=("idle in transaction" if transaction is not None else "idle") if idle else "active",
        locked=transaction is not None and transaction[0] == "LOCK WAIT",
        transaction_seconds=None if transaction is None else transaction[1],
        encrypted=encrypted if number == own else None,
        own=number == own,
        role=text.line(str(row[3] or ""), 80),
    )


def place(host: str) -> tuple[str | None, int | None]:
    """Address and port of a client; without an address for a Unix socket. A name that was looked up is kept."""
    name, _, port = host.rpartition(":")
    if not name or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        return (None, None) if host in {"", _LOCAL} else (text.clean(host, 255), None)
    name = name.removeprefix("[").removesuffix("]")
    return "127.0.0.1" if name == _LOCAL else text.clean(name, 255), int(port)
