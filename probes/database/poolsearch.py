"""Looks for the size of a service's pool in its source and its configuration files. Reads files, and runs nothing."""

from __future__ import annotations

import ast
import posixpath
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from probes import app_module, text
from probes.app_module import Module
from probes.aside import Aside
from probes.database import poolcode, pooldotenv, poolfiles
from probes.database.budget import NOTHING, Found, Stated
from probes.model import Deployment, Replica

Read = Callable[[str], Awaitable[bytes | None]]
"""A file's beginning by its absolute path; ``None`` where there is none."""
MOST_MODULES = 60
MOST_READS = 400
"""Files that are asked for, those that are not there included."""
MODULE_BYTES = 256 << 10
MOST_BYTES = 4 << 20
"""Of all files of one service."""
_DATABASES = frozenset(
    {
        "sqlalchemy", "sqlmodel", "asyncpg", "psycopg", "psycopg-pool", "psycopg2", "psycopg2-binary", "aiomysql",
        "asyncmy", "pymysql", "mysqlclient", "databases", "tortoise-orm",
    }
)  # fmt: skip
_LIBRARIES = frozenset(
    {
        "fastapi", "starlette", "pydantic", "pydantic_settings", "sqlalchemy", "sqlmodel", "asyncpg", "psycopg",
        "psycopg_pool", "psycopg2", "aiomysql", "asyncmy", "pymysql", "httpx", "requests", "redis", "celery", "uvicorn",
        "gunicorn", "alembic", "jose", "jwt", "passlib", "prometheus_client", "opentelemetry", "structlog", "loguru",
        "numpy", "pandas", "boto3", "aiohttp", "anyio", "orjson", "sentry_sdk", "typing_extensions", "yaml", "dotenv",
    }
)  # fmt: skip
"""Not the service's own: these are not looked for among its files."""
_MOST_DOTENVS = 4
_WORK_SECONDS = 12.0
"""For what is counted of the files at one time; :data:`probes.database.poolcode.SECONDS` ends the longest sooner."""
_T = TypeVar("_T")


class Place(NamedTuple):
    """Where a service's files are, as those who read them see them."""

    roots: tuple[str, ...]
    """Directories of the import path that may be its own, absolute; the first is the one it is started in."""
    module: str
    """The application's module, dotted; or the path of a script."""

    @property
    def is_script(self) -> bool:
        """Whether :attr:`module` is a path."""
        return self.module.endswith(".py")


def may_have_pool(deployment: Deployment) -> bool:
    """Whether there is a pool to look for, as far as is known: a service without any database's library has none."""
    if deployment.drivers:
        return not set(deployment.drivers) <= {"sqlite3", "pymongo"}
    return not deployment.packages or not _DATABASES.isdisjoint(deployment.packages)


def place(deployment: Deployment, replica: Replica) -> Place | None:
    """``None`` where the application is not known."""
    here = replica.working_dir or "/"
    app = deployment.setting("app")
    given = [here, *(posixpath.join(here, one) for one in _directories(replica.command))]
    path = replica.environment.get("PYTHONPATH", "").split(":")
    roots = tuple(dict.fromkeys(posixpath.normpath(one) for one in (*given, *path, f"{here}/src") if one[:1] == "/"))
    if isinstance(app, str) and ":" in app and "/" not in app:
        return Place(roots, app.partition(":")[0])
    script = next((word for word in replica.command if word.endswith(".py")), None)
    if script is not None:
        return Place(roots, posixpath.join(here, script))
    return Place(roots, app) if isinstance(app, str) and app.isidentifier() else None


async def search(read: Read, where: Place, environment: Mapping[str, str], *, needs_module: bool = False) -> Found:
    """Reads the application's own modules, from its first one along its imports, and the usual files.

    ``needs_module``: where that first one is not there, the files are another service's.
    """
    bounded = _Bounded(read)
    modules = await _modules(bounded, where)
    if needs_module and not modules:
        return NOTHING
    here = where.roots[0]
    said = dict(environment)
    files = await _apart(lambda: pooldotenv.files(modules))
    read_here: dict[str, str] = {}
    for name in (files or ())[:_MOST_DOTENVS]:
        data = await bounded(posixpath.join(here, name))
        read_here |= {} if data is None else poolfiles.variables(data)
    said = {**read_here, **said}
    made = await _apart(lambda: poolcode.pools(modules, said, whole=files is not None))
    code = _code(made[0]) if len(made) == 1 else None
    if code is not None:
        return Found(code=code)
    for folder in poolfiles.FOLDERS:
        for name in poolfiles.NAMES:
            path = posixpath.join(here, folder + name)
            data = await bounded(path)
            sizes = None if data is None else await _apart(partial(poolfiles.sizes, name, data))
            if sizes is not None:
                return Found(file=Stated(sizes.size, sizes.overflow, f"file {text.clean(path, 200)}"))
    return NOTHING


class _Bounded:
    """Reads so many files, and so much of them, at most."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._left = MOST_READS
        self._bytes = MOST_BYTES

    async def __call__(self, path: str) -> bytes | None:
        if self._left <= 0 or self._bytes <= 0:
            return None
        self._left -= 1
        data = await self._read(path)
        self._bytes -= len(data or b"")
        return data


async def _modules(read: Read, where: Place) -> list[Module]:
    """The service's own modules that are reached from the first one by imports, nearest first."""
    found: dict[str, Module | None] = {}
    roots = where.roots
    waiting = [_Import(where.module)]
    if where.is_script:
        roots = tuple(dict.fromkeys((posixpath.dirname(where.module), *roots)))
        data = await read(where.module)
        found["__main__"] = first = None if data is None else await _parsed("__main__", where.module, data)
        waiting = [] if first is None else await _apart(partial(_imports, first))
    while waiting and sum(one is not None for one in found.values()) < MOST_MODULES:
        name, inner = waiting.pop(0)
        if name not in found:
            found[name] = module = await _module(read, roots, name)
            waiting += [] if module is None else await _apart(partial(_imports, module))
        known = found[name]
        if known is None or known.package:  # what has no file may be a directory with modules in it
            waiting += [_Import(f"{name}.{one}") for one in inner if f"{name}.{one}" not in found]
    return [one for one in found.values() if one is not None]


async def _module(read: Read, roots: Sequence[str], name: str) -> Module | None:
    relative = name.replace(".", "/")
    for root in roots:
        for path, package in ((f"{root}/{relative}.py", False), (f"{root}/{relative}/__init__.py", True)):
            data = await read(path)
            if data is not None:
                return await _parsed(name, path, data, package=package)
    return None


async def _parsed(name: str, path: str, data: bytes, *, package: bool = False) -> Module | None:
    if len(data) >= MODULE_BYTES:
        return None
    return await _apart(lambda: app_module.parse(name, path, data, package=package))


async def _apart(work: Callable[[], _T]) -> _T:
    """In a thread that the end of the process does not wait for. Raises :class:`TimeoutError`."""
    return await Aside("fastops-pools").call(work, within_seconds=_WORK_SECONDS)


class _Import(NamedTuple):
    """A module, and what may be a module inside of it."""

    name: str
    inner: tuple[str, ...] = ()


def _imports(module: Module) -> list[_Import]:
    """What a module imports that may be the service's own."""
    found: dict[_Import, None] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            base = module.absolute(node.level, node.module)
            found[_Import(base, tuple(a.name for a in node.names if a.name.isidentifier()))] = None
        elif isinstance(node, ast.Import):
            found.update((_Import(alias.name), None) for alias in node.names)
    return [one for one in found if _own(one.name)]


def _own(name: str) -> bool:
    top = name.partition(".")[0]
    parts = name.split(".")
    return top not in sys.stdlib_module_names and top not in _LIBRARIES and all(one.isidentifier() for one in parts)


def _code(made: poolcode.Made) -> Stated | None:
    if made.size is None or made.overflow is None:
        return None
    by = "".join(f", {name}" for name in dict.fromkeys((*made.by.size, *made.by.overflow)))
    kind = "source" if made.given else "the library's default, source"
    return Stated(made.size, made.overflow, text.clean(f"{kind} {made.where}{by}", 300), made.by)


def _directories(command: Sequence[str]) -> list[str]:
    """What ``--app-dir``, ``--chdir`` and ``--pythonpath`` name."""
    found = []
    for index, word in enumerate(command):
        name, equals, value = word.partition("=")
        if name in {"--app-dir", "--chdir", "--pythonpath"}:
            found.append(value if equals else next(iter(command[index + 1 : index + 2]), ""))
    return [one for one in found if one]
