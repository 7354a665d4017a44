"""Which database drivers a process has loaded: their native parts stand in its memory map."""

from __future__ import annotations

import re

# A driver's own shared object, as its wheel names it. Drivers in pure Python (PyMySQL, pg8000, aiosqlite without its
# sqlite3, psycopg without its C part) leave no file of their own in the map; the library that they load may.
_MARKS: tuple[tuple[str, bytes], ...] = (
    ("asyncpg", rb"/asyncpg/(?:protocol/protocol|pgproto/pgproto)\b"),
    ("psycopg", rb"/psycopg_(?:binary|c)(?:/|\.libs/)"),
    ("psycopg2", rb"/psycopg2(?:/_psycopg\b|_binary\.libs/)"),
    ("mysqlclient", rb"/MySQLdb/_mysql\b"),
    ("mysql-connector-python", rb"/_mysql_connector\b"),
    ("asyncmy", rb"/asyncmy/"),
    ("sqlite3", rb"/_sqlite3\b"),
    ("oracledb", rb"/oracledb/"),
    ("pyodbc", rb"/pyodbc\b"),
    ("pymongo", rb"/pymongo/_cmessage\b"),
    ("libpq", rb"/libpq\.so"),
)
_ANY = re.compile(b"|".join(b"(?P<m%d>%s)" % (index, mark) for index, (_, mark) in enumerate(_MARKS)))


def loaded(maps: bytes) -> tuple[str, ...]:
    """Names of drivers in the text of ``/proc/PID/maps``, sorted.

    ``sqlite3`` (aiosqlite's engine) and ``libpq`` (psycopg without its C part) are libraries: the latter is left out
    where the driver that loads it is seen itself.
    """
    found: set[str] = set()
    for match in _ANY.finditer(maps):
        if match.lastgroup is not None:
            found.add(_MARKS[int(match.lastgroup[1:])][0])
    if found & {"psycopg", "psycopg2"}:
        found.discard("libpq")
    return tuple(sorted(found))
