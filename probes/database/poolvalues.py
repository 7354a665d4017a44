"""What an expression in a service's source is worth, as far as that is certain without running it.

Constants, names that are bound once, the environment with its defaults, fields of settings classes. What depends on
anything else is not told.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from probes.app_module import Module
from probes.database.poolscope import Called, Clock, Imported, Index, Scope

_DEPTH = 12
_READERS = frozenset(
    {"os.getenv", "getenv", "os.environ.get", "environ.get", "config", "env", "env.int", "env.str", "settings.get"}
)
"""``os``, and ``starlette.config``, ``decouple`` and ``environs`` by their usual names: variable, default."""
_PLAIN = frozenset({"int", "str", "Field", "pydantic.Field"})
Constant = str | int | bool | None


_Bound = ast.expr | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Known(NamedTuple):
    """A value, and the variables that it comes from."""

    value: Constant
    by: tuple[str, ...] = ()

    @property
    def number(self) -> int | None:
        """The value as a count; ``None`` where it is none."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, str)):
            return None
        said = str(self.value).strip()
        plain = said.removeprefix("-")
        return int(said) if plain.isascii() and plain.isdecimal() and len(plain) < 6 else None


class Object(NamedTuple):
    """A class of the service's own, or what a call of it made."""

    owner: ast.ClassDef
    scope: Scope
    """Inside of the class."""
    made: Called | None
    """The call, where it is not the class itself."""


class Values:
    """Expressions in modules of one service, in one environment."""

    def __init__(
        self, modules: Sequence[Module], environment: Mapping[str, str], clock: Clock, *, whole: bool = True
    ) -> None:
        """``whole``: the environment holds all that the service reads; else no default is certain."""
        self._clock = clock
        self.indices = {module.name: Index(module, clock) for module in modules}
        self._environment = environment
        self._whole = whole

    def of(self, scope: Scope, node: ast.expr, depth: int = 0) -> Known | None:
        """``None`` where it cannot be told. Raises :class:`probes.database.poolscope.OutOfTime`."""
        self._clock.check()
        if depth > _DEPTH:
            return None
        if isinstance(node, ast.Constant):
            return Known(node.value) if isinstance(node.value, (str, int)) or node.value is None else None
        if isinstance(node, ast.Name):
            found = self.find(scope, node)
            return self.of(found[0], found[1], depth + 1) if found and isinstance(found[1], ast.expr) else None
        if isinstance(node, ast.Attribute):
            found = self.find(scope, node)
            if found is not None:
                return self.of(found[0], found[1], depth + 1) if isinstance(found[1], ast.expr) else None
            owner = self._object(scope, node.value, depth + 1)
            return None if owner is None else self._field(owner, node.attr, depth + 1)
        if isinstance(node, ast.Subscript):
            return self._item(node)
        if isinstance(node, ast.Call):
            return self._call(scope, node, depth)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            known = self.of(scope, node.operand, depth + 1)
            return None if known is None or known.number is None else Known(-known.number, known.by)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self._either(scope, node.values, depth)
        return None

    def find(self, scope: Scope, node: ast.expr, depth: int = 0) -> tuple[Scope, _Bound] | None:
        """What a name, or a module's attribute, is bound to, along imports."""
        if depth > _DEPTH:
            return None
        if isinstance(node, ast.Attribute):
            owner = self._module(scope, node.value)
            return None if owner is None else self.find(owner.top, ast.Name(node.attr, ast.Load()), depth + 1)
        found = scope.find(node.id) if isinstance(node, ast.Name) else None
        if found is None:
            return None
        where, bound = found
        if bound is None or not isinstance(bound, Imported):
            return None if bound is None else (where, bound)
        source = self.indices.get(bound.module)
        if source is None or bound.name is None:
            return None
        return self.find(source.top, ast.Name(bound.name, ast.Load()), depth + 1)

    def mapping(self, scope: Scope, node: ast.expr) -> tuple[Scope, ast.Dict | ast.Call] | None:
        """The literal behind ``**OPTIONS``: ``{…}`` or ``dict(…)``; ``None`` where it is none."""
        if isinstance(node, ast.Name):
            found = self.find(scope, node)
            if found is None or not isinstance(found[1], ast.expr):
                return None
            scope, node = found[0], found[1]
        if isinstance(node, ast.Dict):
            return scope, node
        is_dict = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict"
        return (scope, node) if is_dict and isinstance(node, ast.Call) and not node.args else None

    def _module(self, scope: Scope, node: ast.expr) -> Index | None:
        """The module that an expression names."""
        parts = _dotted(node)
        found = scope.find(parts[0]) if parts else None
        bound = None if found is None else found[1]
        if not isinstance(bound, Imported):
            return None
        name = bound.module if bound.name is None else f"{bound.module}.{bound.name}"
        return self.indices.get(".".join([name, *parts[1:]]))

    def _object(self, scope: Scope, node: ast.expr, depth: int) -> Object | None:
        """The class that an expression names, or makes an object of."""
        self._clock.check()
        if depth > _DEPTH:
            return None
        if isinstance(node, ast.Call):
            made = self._object(scope, node.func, depth + 1)
            if made is not None:
                return None if made.made is not None else made._replace(made=Called(node, scope, repeated=False))
            found = self.find(scope, node.func)
            inside = None if found is None else self._inside(found[0], found[1])
            if inside is None or len(inside.returns) != 1 or inside.returns[0] is None:
                return None
            return self._object(inside, inside.returns[0], depth + 1)
        found = self.find(scope, node)
        if found is not None:
            where, bound = found
            inside = self._inside(where, bound)
            if isinstance(bound, ast.ClassDef) and inside is not None:
                return Object(bound, inside, None)
            return self._object(where, bound, depth + 1) if isinstance(bound, ast.expr) else None
        if isinstance(node, ast.Attribute):
            owner = self._object(scope, node.value, depth + 1)
            field = None if owner is None else self._default(owner, node.attr)
            if owner is None or field is None or self._reads(owner, depth):
                return None  # the environment may give the whole part
            return self._object(field[0], field[1], depth + 1)
        return None

    def _inside(self, scope: Scope, node: ast.AST) -> Scope | None:
        index = self.indices.get(scope.module.name)
        return None if index is None else index.scopes.get(node)

    def _field(self, owner: Object, name: str, depth: int) -> Known | None:
        """A field of a class, or of an object with the arguments that it was made with."""
        if depth > _DEPTH:
            return None
        if owner.made is not None:
            call = owner.made.node
            given = next((one.value for one in call.keywords if one.arg == name), None)
            if given is not None:
                return self.of(owner.made.scope, given, depth + 1)
            if call.args or any(one.arg is None or one.arg.startswith("_") for one in call.keywords):
                return None
        reads = self._reads(owner, depth)
        bound = owner.scope.bound.get(name)
        if bound is None:
            return self._inherited(owner, name, depth, reads=reads)
        default = bound[0] if len(bound) == 1 and isinstance(bound[0], ast.expr) else None
        if reads and owner.made is not None:
            variables = (*_aliases(default), f"{_prefix(owner.owner)}{name}")
            written = [way for one in variables for way in (one, one.upper(), one.lower())]
            given_by = next((one for one in written if one in self._environment), None)
            if given_by is not None:
                return Known(self._environment[given_by], (given_by,))
            if not self._whole:
                return None
        return None if default is None else self.of(owner.scope, default, depth + 1)

    def _inherited(self, owner: Object, name: str, depth: int, *, reads: bool) -> Known | None:
        """A field of the first class of the service's own that a class is derived from."""
        for base in owner.owner.bases:
            known = self._object(owner.scope, base, depth + 1)
            if known is not None:
                made = owner.made if self._reads(known, depth) else None
                sure = made is not None or not reads  # a prefix or a file of the derived class is not seen there
                return self._field(known._replace(made=made), name, depth + 1) if sure else None
        return None

    def _default(self, owner: Object, name: str) -> tuple[Scope, ast.expr] | None:
        bound = owner.scope.bound.get(name, [])
        made = owner.made is not None and (owner.made.node.args or owner.made.node.keywords)
        return (owner.scope, bound[0]) if len(bound) == 1 and isinstance(bound[0], ast.expr) and not made else None

    def _reads(self, owner: Object, depth: int) -> bool:
        """Whether objects of a class read the environment (pydantic's ``BaseSettings``)."""
        for base in owner.owner.bases:
            if "Settings" in ast.unparse(base):
                return True
            known = None if depth > _DEPTH else self._object(owner.scope, base, depth + 1)
            if known is not None and known.owner is not owner.owner and self._reads(known, depth + 1):
                return True
        return False

    def _item(self, node: ast.Subscript) -> Known | None:
        if ast.unparse(node.value) in {"os.environ", "environ"} and isinstance(node.slice, ast.Constant):
            name = str(node.slice.value)
            return Known(self._environment[name], (name,)) if name in self._environment else None
        return None

    def _call(self, scope: Scope, node: ast.Call, depth: int) -> Known | None:
        called = ast.unparse(node.func)
        if called in _READERS and node.args and isinstance(node.args[0], ast.Constant):
            name = str(node.args[0].value)
            if name in self._environment:
                return Known(self._environment[name], (name,))
            default = node.args[1] if len(node.args) > 1 else _keyword(node, "default")
            return None if default is None or not self._whole else self.of(scope, default, depth + 1)
        if called in _PLAIN:
            inner = node.args[0] if node.args else _keyword(node, "default")
            return None if inner is None else self.of(scope, inner, depth + 1)
        return None

    def _either(self, scope: Scope, values: Sequence[ast.expr], depth: int) -> Known | None:
        for one in values:
            known = self.of(scope, one, depth + 1)
            is_read = isinstance(one, ast.Call) and ast.unparse(one.func) in _READERS
            if known is None and not (is_read and self._whole):
                return None
            if known is not None and known.value not in (None, "", 0):
                return known
        return None


def _dotted(node: ast.expr) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def _prefix(owner: ast.ClassDef) -> str:
    """``env_prefix`` of a settings class, in ``SettingsConfigDict`` or in its inner ``Config``."""
    for node in ast.walk(owner):
        if isinstance(node, ast.keyword):
            names, value = [node.arg], node.value
        elif isinstance(node, ast.Assign):
            names, value = [target.id for target in node.targets if isinstance(target, ast.Name)], node.value
        else:
            continue
        if "env_prefix" in names and isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""


def _aliases(value: ast.expr | None) -> tuple[str, ...]:
    if not isinstance(value, ast.Call):
        return ()
    named = [_keyword(value, name) for name in ("validation_alias", "alias", "env")]
    return tuple(str(one.value) for one in named if isinstance(one, ast.Constant))


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)
