"""Which ``.env`` files a service's source reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from probes.app_module import Module

USUAL = ".env"
_READERS = frozenset({"load_dotenv", "dotenv_values", "read_env", "Config"})
"""Of ``dotenv``, ``environs`` and Starlette; the first argument, where there is one, is the file."""
_SETTING = "env_file"
"""Of pydantic's settings: a keyword, an entry of a dictionary, or a name in the inner ``Config``."""


def files(modules: Sequence[Module]) -> tuple[str, ...] | None:
    """Their paths as the source has them, the one that outranks the others last; ``None`` where that is not certain.

    Walks all modules: it belongs into a thread.
    """
    found = {one for module in modules for one in _said(module)}
    if None in found or len(found - {()}) > 1:
        return None
    return next((one for one in found if one), ())


def _said(module: Module) -> Iterator[tuple[str, ...] | None]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) in _READERS:
            given = node.args[:1] or [one.value for one in node.keywords if one.arg in {"dotenv_path", "path"}]
            yield _paths(given[0]) if given else (USUAL,)
        elif (isinstance(node, ast.keyword) and node.arg == _SETTING) or (
            isinstance(node, ast.Assign) and any(getattr(one, "id", None) == _SETTING for one in node.targets)
        ):
            yield _paths(node.value)
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (_paths(v) for k, v in pairs if isinstance(k, ast.Constant) and k.value == _SETTING)
        elif isinstance(node, ast.ImportFrom) and node.module == "decouple":
            yield (USUAL,)


def _paths(node: ast.expr) -> tuple[str, ...] | None:
    if isinstance(node, ast.Constant):
        return (node.value,) if isinstance(node.value, str) and node.value else ()
    if isinstance(node, ast.Tuple | ast.List):
        each = [_paths(one) for one in node.elts]
        return None if None in each else tuple(path for one in each if one is not None for path in one)
    return None
