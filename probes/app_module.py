"""A Python module as its source shows it: what its names are bound to."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence

from probes import syntax

_LARGEST = 1 << 20


class Module:
    """A parsed file: what its names are bound to, in order."""

    def __init__(self, name: str, path: str, tree: ast.Module, package: bool, mentions_fastapi: bool) -> None:
        self.name = name
        self.path = path
        self.tree = tree
        self.package = package
        self.bindings = bindings(tree.body)
        self.mentions_fastapi = mentions_fastapi

    def absolute(self, level: int, module: str | None) -> str:
        """The module that ``from ..x import y`` names."""
        if level == 0:
            return module or ""
        parts = self.name.split(".")
        parts = parts[: len(parts) - level + (1 if self.package else 0)]
        return ".".join([*parts, *([module] if module else [])])


def is_plain_asgi(module: Module, name: str) -> bool:
    """Whether a name is an ASGI callable written by hand.

    That is a coroutine function of three arguments in a module that imports nothing but the standard library, so that
    no framework can stand behind it.
    """
    found = next((node for bound, node, _ in reversed(module.bindings) if bound == name), None)
    if not isinstance(found, ast.AsyncFunctionDef) or len([*found.args.posonlyargs, *found.args.args]) != 3:
        return False
    for node in ast.walk(module.tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = ["." if node.level else node.module or "."]
        if any(one.partition(".")[0] not in sys.stdlib_module_names for one in names):
            return False
    return True


Binding = tuple[str, ast.AST, str | None]
"""Name, what it is bound to, and for ``from m import x as name`` the ``x``."""


def bindings(body: Sequence[ast.stmt]) -> list[Binding]:
    """What names are bound to by statements, in order, branches included."""
    found: list[Binding] = []
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            value = statement.value
            found.extend((one.id, value, None) for one in targets if isinstance(one, ast.Name) and value is not None)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                plain = isinstance(statement, ast.Import) and alias.asname is None
                bound = alias.name.partition(".")[0] if plain else alias.asname or alias.name
                found.append((bound, statement, bound if plain else alias.name))
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append((statement.name, statement, None))
        else:
            for field in ("body", "handlers", "orelse", "finalbody"):
                inner = getattr(statement, field, None) or []
                for one in inner:
                    found.extend(bindings(one.body if isinstance(one, ast.ExceptHandler) else [one]))
    return found


def parse(name: str, path: str, data: bytes, *, package: bool) -> Module | None:
    """A module from its source; ``None`` when it does not parse."""
    try:
        return Module(name, path, syntax.tree(data[:_LARGEST]), package, b"fastapi" in data.lower())
    except syntax.NotPython:
        return None
