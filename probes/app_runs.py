"""Programs that start their server themselves: the calls that do it, and what the program imports."""

from __future__ import annotations

import ast
from typing import Literal, NamedTuple

from probes.app_module import Module


class Run(NamedTuple):
    """A server that a program starts itself: ``uvicorn.run("main:app", port=80)``."""

    server: Literal["uvicorn", "hypercorn", "granian"]
    app: ast.expr | str
    keywords: dict[str, ast.expr]
    open_ended: bool = False
    """More arguments come out of a dictionary (``**options``): what is not said may be anything."""


def runs(module: Module) -> list[Run]:
    """Calls that start a server, anywhere in a module."""
    origins: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            origins.update((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            origins.update((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
    found: list[Run] = []
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        name, _, rest = ast.unparse(node.func).partition(".")
        qualified = f"{origins.get(name, name)}.{rest}".rstrip(".")
        server = _STARTERS.get(qualified)
        keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
        app = node.args[0] if node.args else keywords.get("app") or keywords.get("target")
        if server is None or app is None:
            continue
        text = app.value if isinstance(app, ast.Constant) and isinstance(app.value, str) else None
        more = any(keyword.arg is None for keyword in node.keywords)
        found.append(Run(server=server, app=app if text is None else text, keywords=keywords, open_ended=more))
    return found


_STARTERS: dict[str, Literal["uvicorn", "hypercorn", "granian"]] = {
    "uvicorn.run": "uvicorn",
    "uvicorn.Config": "uvicorn",
    "uvicorn.main.run": "uvicorn",
    "uvicorn.config.Config": "uvicorn",
    "hypercorn.asyncio.serve": "hypercorn",
    "hypercorn.trio.serve": "hypercorn",
    "granian.Granian": "granian",
    "granian.server.Granian": "granian",
}


def imports(module: Module) -> frozenset[str]:
    """The top-level packages that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return frozenset(found)
