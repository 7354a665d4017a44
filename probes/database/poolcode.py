"""The pools that a service's source makes, with the sizes that it gives them. Nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from probes.app_module import Module
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
_MAXSIZE = _Library(("maxsize",), 10)
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
    "aiopg.create_pool": _MAXSIZE,
    "aiopg.sa.create_engine": _MAXSIZE,
}
"""Defaults: sqlalchemy/pool/impl.py (2.0), asyncpg/pool.py (0.30), psycopg_pool/base.py (3.2), aiomysql/pool.py (0.2),
asyncmy/pool.pyx (0.2), aiopg/pool.py (1.4)."""
_NAMES = frozenset(name.rpartition(".")[2] for name in _CALLS)
_QUEUES = frozenset({"QueuePool", "AsyncAdaptedQueuePool", "FallbackAsyncAdaptedQueuePool"})
"""SQLAlchemy's classes of pools that have a size."""


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


def pools(modules: Sequence[Module], environment: Mapping[str, str]) -> list[Made]:
    """All of them but those of SQLite and those without a size (``NullPool``); none where the source is too deep."""
    try:
        return list(_pools(modules, environment))
    except RecursionError:
        return []


def _pools(modules: Sequence[Module], environment: Mapping[str, str]) -> Iterator[Made]:
    values = Values(modules, environment)
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                library = _CALLS.get(_qualified(module, node.func))
                made = None if library is None else _made(module, node, library, values)
                if made is not None:
                    yield made


def _made(module: Module, call: ast.Call, library: _Library, values: Values) -> Made | None:
    url = None if not call.args else values.of(module, call.args[0])
    if url is not None and isinstance(url.value, str) and url.value.lower().startswith("sqlite"):
        return None
    options, sure = _options(module, call, values)
    where = f"{module.path}:{call.lineno}"
    if "poolclass" in options and ast.unparse(options["poolclass"]).rpartition(".")[2] not in _QUEUES:
        return None
    if "creator" in options or not sure:
        return Made(where, None, None)
    size = _size(module, call, library, options, values)
    overflow = Known(0)
    if library.overflow is not None:
        said = options.get(library.overflow)
        overflow = Known(OVERFLOW) if said is None else values.of(module, said) or Known(None)
    given = any(name in options for name in (*library.sizes, library.overflow or "")) or library.position is not None
    if size is None or size.number is None or overflow.number is None or size.number < 0:
        return Made(where, None, None)
    unbounded = overflow.number < 0 or (library is _SQLALCHEMY and size.number == 0)
    return Made(where, size.number, -1 if unbounded else overflow.number, Variables(size.by, overflow.by), given)


def _size(
    module: Module, call: ast.Call, library: _Library, options: Mapping[str, ast.expr], values: Values
) -> Known | None:
    for name in library.sizes:
        if name in options:
            known = values.of(module, options[name])
            if known is None or known.value is not None:
                return known
    if library.position is not None and len(call.args) > library.position:
        return values.of(module, call.args[library.position])
    return None if library.default is None else Known(library.default)


def _options(module: Module, call: ast.Call, values: Values) -> tuple[dict[str, ast.expr], bool]:
    """The keyword arguments, those of ``**OPTIONS`` included; whether these are all."""
    found: dict[str, ast.expr] = {}
    sure = True
    for one in call.keywords:
        if one.arg is not None:
            found[one.arg] = one.value
            continue
        literal = values.mapping(module, one.value)
        if isinstance(literal, ast.Dict):
            for key, value in zip(literal.keys, literal.values, strict=True):
                if isinstance(key, ast.Constant):
                    found[str(key.value)] = value
                else:
                    sure = False
        elif isinstance(literal, ast.Call):
            found.update({each.arg: each.value for each in literal.keywords if each.arg is not None})
            sure = sure and all(each.arg is not None for each in literal.keywords)
        else:
            sure = False
    return found, sure


def _qualified(module: Module, function: ast.expr) -> str:
    """The full name of what is called, by the module's imports."""
    if getattr(function, "id", getattr(function, "attr", None)) not in _NAMES:
        return ""
    written = ast.unparse(function)
    first, dot, rest = written.partition(".")
    for node in _imports(module, first):
        for alias in node.names:
            if (alias.asname or alias.name).partition(".")[0] != first:
                continue
            if isinstance(node, ast.ImportFrom):
                return f"{module.absolute(node.level, node.module)}.{alias.name}{dot}{rest}"
            return f"{alias.name}{dot}{rest}" if alias.asname else written
    return ""


def _imports(module: Module, name: str) -> list[ast.Import | ast.ImportFrom]:
    """The imports of a name, those inside of functions included."""
    every = (node for node in ast.walk(module.tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return [n for n in every if any((a.asname or a.name).partition(".")[0] == name for a in n.names)]
