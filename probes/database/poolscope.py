"""Where the names of a module are bound, each scope for itself. Read once for each module, in bounded time.

A name has a value only where one statement binds it: of several, nobody who does not run the module knows which counts.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from typing import NamedTuple

from probes.app_module import Module

_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOK_AT_CLOCK = 500
"""Nodes."""
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class OutOfTime(Exception):
    """It took too long."""


class Clock:
    """Ends work in a thread, which nobody else can end."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def check(self) -> None:
        """Raises :class:`OutOfTime`."""
        if time.monotonic() > self._until:
            raise OutOfTime


class Imported(NamedTuple):
    """What an import binds a name to."""

    module: str
    name: str | None
    """``None`` for the module itself."""


Bound = ast.expr | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | Imported | None
"""``None`` for what is bound in a way that tells no value: a loop, a tuple, a parameter."""


class Scope:
    """A module, a class or a function."""

    def __init__(self, module: Module, parent: Scope | None, node: ast.ClassDef | Function | None) -> None:
        self.module = module
        self.parent = parent
        self.node = node
        self.parameters: set[str] = set()
        if isinstance(node, _FUNCTIONS):
            told = node.args
            every = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
            self.parameters = {one.arg for one in every if one is not None}
        self.bound: dict[str, list[Bound]] = {name: [None] for name in self.parameters}
        self.elsewhere: set[str] = set()
        """Names that ``global`` and ``nonlocal`` say are bound further out."""
        self.returns: list[ast.expr | None] = []

    @property
    def top(self) -> Scope:
        """The module's."""
        return self if self.parent is None else self.parent.top

    def find(self, name: str) -> tuple[Scope, Bound] | None:
        """What a name means here, and where that is bound; ``None`` where that cannot be told."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.bound.get(name)
            is_seen = scope is self or not isinstance(scope.node, ast.ClassDef)
            if found is not None and is_seen:
                hidden = "*" in scope.bound and not isinstance(found[0], Imported)
                return None if len(found) != 1 or found[0] is None or hidden else (scope, found[0])
            scope = scope.parent
        return None

    def bind(self, name: str, bound: Bound) -> None:
        """One more statement binds the name."""
        if name in self.elsewhere:
            self.top.bound.setdefault(name, []).append(bound)
        else:
            self.bound.setdefault(name, []).append(bound)


class Called(NamedTuple):
    """A call, and where it stands."""

    node: ast.Call
    scope: Scope
    repeated: bool
    """In a loop of its scope, or of one around it."""


class Index:
    """All scopes and calls of one module."""

    def __init__(self, module: Module, clock: Clock) -> None:
        self.top = Scope(module, None, None)
        self.calls: list[Called] = []
        self.scopes: dict[ast.AST, Scope] = {}
        self.imports: dict[str, list[Imported]] = {}
        """Of all scopes."""
        self._values: dict[ast.Name, ast.expr] = {}
        for number, (node, scope, repeated) in enumerate(self._walk(module)):
            if number % _LOOK_AT_CLOCK == 0:
                clock.check()
            self._take(node, scope, repeated)

    def _walk(self, module: Module) -> Iterator[tuple[ast.AST, Scope, bool]]:
        """Every node but the module itself, in the order of the text."""
        waiting: list[tuple[ast.AST, Scope, bool]] = [(one, self.top, False) for one in reversed(module.tree.body)]
        while waiting:
            node, scope, repeated = waiting.pop()
            yield node, scope, repeated
            inner = scope
            if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
                inner = self.scopes[node] = Scope(module, scope, node)
            elif isinstance(node, ast.Global | ast.Nonlocal):
                scope.elsewhere.update(node.names)
            below = repeated or isinstance(node, _LOOPS)
            waiting += [(one, inner, below) for one in reversed(list(ast.iter_child_nodes(node)))]

    def _take(self, node: ast.AST, scope: Scope, repeated: bool) -> None:
        if isinstance(node, ast.Call):
            self.calls.append(Called(node, scope, repeated))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            if node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self._values.update({one: node.value for one in targets if isinstance(one, ast.Name)})
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            scope.bind(node.id, self._values.get(node))
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            scope.bind(node.name, node)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self._import(scope, alias.asname or top, Imported(alias.name if alias.asname else top, None))
        elif isinstance(node, ast.ImportFrom):
            base = scope.module.absolute(node.level, node.module)
            for alias in node.names:
                self._import(scope, alias.asname or alias.name, Imported(base, alias.name))
        elif isinstance(node, ast.ExceptHandler) and node.name is not None:
            scope.bind(node.name, None)
        elif isinstance(node, ast.Return):
            scope.returns.append(node.value)

    def _import(self, scope: Scope, name: str, what: Imported) -> None:
        scope.bind(name, what)
        self.imports.setdefault(name, []).append(what)
