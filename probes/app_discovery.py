"""Which application ``fastapi run`` imports: the rules of fastapi-cli's ``discover.py``, by reading files."""

from __future__ import annotations

import ast
import posixpath
import tomllib
from collections.abc import Callable

from probes import syntax
from probes.base import Frozen

_CANDIDATES = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
_LARGEST = 1 << 20


class Discovered(Frozen, frozen=True):
    """An application's import string."""

    app: str
    directory: str
    """What is put first on the import path."""
    source: str


def discover(
    path: str | None, name: str | None, entry: str | None, read_file: Callable[[str], bytes | None], working_dir: str
) -> Discovered | None:
    """The import string for a path, an ``--app`` and an ``--entrypoint``; ``None`` when no file can be found."""
    if entry is not None:
        return Discovered(app=entry, directory=working_dir, source="command line")
    if path is None and name is None:
        configured = _configured(read_file(posixpath.join(working_dir, "pyproject.toml")))
        if configured is not None:
            return Discovered(app=configured, directory=working_dir, source="pyproject.toml")
    source = "command line" if path is not None else "discovered"
    if path is None:
        path = next((one for one in _CANDIDATES if read_file(posixpath.join(working_dir, one)) is not None), None)
    if path is None:
        return None
    path = posixpath.normpath(posixpath.join(working_dir, path))
    module_path = posixpath.dirname(path) if posixpath.basename(path) == "__init__.py" else path
    parts = [posixpath.basename(module_path).removesuffix(".py")]
    parent = posixpath.dirname(module_path)
    while parent != "/" and read_file(posixpath.join(parent, "__init__.py")) is not None:
        parts.insert(0, posixpath.basename(parent))
        parent = posixpath.dirname(parent)
    data = read_file(path) or read_file(posixpath.join(path, "__init__.py"))
    attribute = name or _attribute(data)
    return Discovered(app=f"{'.'.join(parts)}:{attribute}", directory=parent, source=source)


def _configured(data: bytes | None) -> str | None:
    try:
        document = tomllib.loads((data or b"").decode("utf-8", "replace"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    value: object = document
    for key in ("tool", "fastapi", "entrypoint"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and ":" in value else None


def _attribute(data: bytes | None) -> str:
    """``app``, then ``api``, then the first name that is made by ``FastAPI(…)``; ``app`` when nothing can be read."""
    try:
        module = syntax.tree((data or b"")[:_LARGEST])
    except syntax.NotPython:
        return "app"
    names: list[str] = []
    made: list[str] = []
    for statement in module.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            here = [target.id for target in targets if isinstance(target, ast.Name)]
            names += here
            if isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func).endswith("FastAPI"):
                made += here
        elif isinstance(statement, ast.ImportFrom):
            names += [alias.asname or alias.name for alias in statement.names]
    for preferred in ("app", "api"):
        if preferred in names:
            return preferred
    return min(made) if made else "app"
