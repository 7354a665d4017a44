"""The pools that a service's source makes, with the sizes that it gives them. Nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from probes.app_module import Module
from probes.database.poolscope import Called, Clock, Index, OutOfTime, Scope
from probes.database.poolvalues import Known, Values
from probes.pools import Variables


class _Library(NamedTuple):
    """How a library's pool is given its size."""

    sizes: tuple[str, ...]
    """Keywords, the one that counts first."""
    default: int | None
    overflow: str | None = None
    position: int | None = None
    """Of the size among the positional arguments."""


OVERFLOW = 10
"""SQLAlchemy's default of ``max_overflow``."""
_SQLALCHEMY = _Library(("pool_size",), 5, "max_overflow")
_ASYNCPG = _Library(("max_size",), 10)
_PSYCOPG = _Library(("max_size", "min_size"), 4)
_MAXSIZE = _Library(("maxsize",), 10, position=1)
_AIOPG = _Library(("maxsize",), 10)
_PSYCOPG2 = _Library(("maxconn",), None, position=1)
_CALLS: Mapping[str, _Library] = {
    "sqlalchemy.create_engine": _SQLALCHEMY,
    "sqlalchemy.engine.create_engine": _SQLALCHEMY,
    "sqlalchemy.ext.asyncio.create_async_engine": _SQLALCHEMY,
    "sqlalchemy.ext.asyncio.engine.create_async_engine": _SQLALCHEMY,
    "sqlmodel.create_engine": _SQLALCHEMY,
    "asyncpg.create_pool": _ASYNCPG,
    "asyncpg.pool.create_pool": _ASYNCPG,
    "psycopg_pool.ConnectionPool": _PSYCOPG,
    "psycopg_pool.AsyncConnectionPool": _PSYCOPG,
    "psycopg2.pool.SimpleConnectionPool": _PSYCOPG2,
    "psycopg2.pool.ThreadedConnectionPool": _PSYCOPG2,
    "aiomysql.create_pool": _MAXSIZE,
    "aiomysql.sa.create_engine": _MAXSIZE,
    "asyncmy.create_pool": _MAXSIZE,
    "aiopg.create_pool": _AIOPG,
    "aiopg.sa.create_engine": _AIOPG,
}
"""Defaults: sqlalchemy/pool/impl.py (2.0), asyncpg/pool.py (0.30), psycopg_pool/base.py (3.2), aiomysql/pool.py (0.2),
asyncmy/pool.pyx (0.2), aiopg/pool.py (1.4)."""
_NAMES = frozenset(name.rpartition(".")[2] for name in _CALLS)
_QUEUES = frozenset({"QueuePool", "AsyncAdaptedQueuePool", "FallbackAsyncAdaptedQueuePool"})
"""SQLAlchemy's classes of pools that have a size."""
_SIZELESS = frozenset({"NullPool", "StaticPool", "SingletonThreadPool", "AssertionPool"})
MOST_CALLS = 50
"""Of libraries' pools that are looked at: who makes more of them says no single size."""
SECONDS = 10.0
"""For the modules of one service."""


class Made(NamedTuple):
    """A pool that the source makes."""

    where: str
    """``PATH:LINE``."""
    size: int | None
    """``None`` where it cannot be told."""
    overflow: int | None
    """-1 for no bound; 0 where the library has none."""
    by: Variables = Variables()
    """The variables that say so."""
    given: bool = True
    """The source says it; else it is the library's default."""


def pools(modules: Sequence[Module], environment: Mapping[str, str], *, whole: bool = True) -> list[Made]:
    """All of them but those of SQLite and those without a size (``NullPool``).

    None where the source is too deep, takes longer than :data:`SECONDS`, or makes more than :data:`MOST_CALLS`.
    ``whole``: the environment holds all that the service reads.
    """
    try:
        return _pools(modules, environment, Clock(SECONDS), whole=whole)
    except (RecursionError, OutOfTime):
        return []


def _pools(modules: Sequence[Module], environment: Mapping[str, str], clock: Clock, *, whole: bool) -> list[Made]:
    values = Values(modules, environment, clock, whole=whole)
    every = [(index, one) for index in values.indices.values() for one in index.calls]
    again = {_name(one.node.func) for _, one in every if one.repeated}
    found: list[Made] = []
    looked_at = 0
    for index, one in every:
        library = _CALLS.get(_qualified(index, one.node.func)) if _name(one.node.func) in _NAMES else None
        if library is None:
            continue
        looked_at += 1
        if looked_at > MOST_CALLS:
            return []
        made = _made(one, library, values)
        if made is not None:
            once = not one.repeated and _is_once(one, again)
            found.append(made if once else Made(made.where, None, None))
    return found


def _is_once(one: Called, again: Collection[str]) -> bool:
    """Whether a call is not of a function that is called in a loop (``again``), or for what its parameters say."""
    names = {node.id for node in ast.walk(one.node) if isinstance(node, ast.Name)}
    scope: Scope | None = one.scope
    while scope is not None:
        if getattr(scope.node, "name", None) in again:
            return False
        left = [name for name in names if name in scope.bound]
        while left:
            for bound in scope.bound[left.pop()]:
                used = ast.walk(bound) if isinstance(bound, ast.expr) and scope.node is not None else ()
                fresh = {node.id for node in used if isinstance(node, ast.Name)} - names
                names |= fresh
                left += [name for name in fresh if name in scope.bound]
        if scope.parameters & names:
            return False
        scope = scope.parent
    return True


def _made(one: Called, library: _Library, values: Values) -> Made | None:
    call, scope = one.node, one.scope
    url = None if not call.args else values.of(scope, call.args[0])
    if url is not None and isinstance(url.value, str) and url.value.lower().startswith("sqlite"):
        return None
    options, sure = _options(scope, call, values)
    where = f"{scope.module.path}:{call.lineno}"
    pool = options.get("poolclass")
    pool_name = None if pool is None else _name(pool[1])
    if pool_name in _SIZELESS:
        return None
    if "creator" in options or not sure or pool_name not in {None, *_QUEUES}:
        return Made(where, None, None)
    size = _size(one, library, options, values)
    overflow = Known(0)
    said = None if library.overflow is None else options.get(library.overflow)
    if library.overflow is not None:
        overflow = Known(OVERFLOW) if said is None else values.of(*said) or Known(None)
    by_position = library.position is not None and len(call.args) > library.position
    given = by_position or any(name in options for name in (*library.sizes, library.overflow or ""))
    if size is None or size.number is None or overflow.number is None or size.number < 0:
        return Made(where, None, None)
    if size.number == 0 and library is not _SQLALCHEMY:
        return Made(where, None, None)
    unbounded = overflow.number < 0 or size.number == 0
    return Made(where, size.number, -1 if unbounded else overflow.number, Variables(size.by, overflow.by), given)


_Options = dict[str, tuple[Scope, ast.expr]]
"""Keyword → its value, and where that stands."""


def _size(one: Called, library: _Library, options: _Options, values: Values) -> Known | None:
    for name in library.sizes:
        if name in options:
            known = values.of(*options[name])
            if known is None or known.value is not None:
                return known
    if library.position is not None and len(one.node.args) > library.position:
        return values.of(one.scope, one.node.args[library.position])
    return None if library.default is None else Known(library.default)


def _options(scope: Scope, call: ast.Call, values: Values) -> tuple[_Options, bool]:
    """The keyword arguments, those of ``**OPTIONS`` included; whether these are all."""
    found: _Options = {}
    sure = not any(isinstance(one, ast.Starred) for one in call.args)
    for one in call.keywords:
        if one.arg is not None:
            found[one.arg] = (scope, one.value)
            continue
        literal = values.mapping(scope, one.value)
        if literal is None:
            sure = False
            continue
        where, said = literal
        if isinstance(said, ast.Dict):
            pairs = list(zip(said.keys, said.values, strict=True))
            found.update({str(k.value): (where, value) for k, value in pairs if isinstance(k, ast.Constant)})
            sure = sure and all(isinstance(key, ast.Constant) for key, _ in pairs)
        else:
            found.update({each.arg: (where, each.value) for each in said.keywords if each.arg is not None})
            sure = sure and all(each.arg is not None for each in said.keywords)
    return found, sure


def _name(node: ast.expr) -> str:
    """The last part of a dotted name; empty for what is none."""
    return str(getattr(node, "id", getattr(node, "attr", "")))


def _qualified(index: Index, function: ast.expr) -> str:
    """The full name of what is called, by the module's imports, those inside of functions included."""
    first, dot, rest = ast.unparse(function).partition(".")
    for one in index.imports.get(first, ()):
        base = one.module if one.name is None else f"{one.module}.{one.name}"
        if f"{base}{dot}{rest}" in _CALLS:
            return f"{base}{dot}{rest}"
    return ""
