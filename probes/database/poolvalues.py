"""What an expression in a service's source is worth, as far as that can be told without running it.

Constants, names, the environment with its defaults, fields of settings classes. What depends on anything else is not
told.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from probes.app_module import Module

_DEPTH = 12
_READERS = frozenset(
    {"os.getenv", "getenv", "os.environ.get", "environ.get", "config", "env", "env.int", "env.str", "settings.get"}
)
"""``os``, and ``starlette.config``, ``decouple`` and ``environs`` by their usual names: variable, default."""
_PLAIN = frozenset({"int", "str", "Field", "pydantic.Field"})
Constant = str | int | bool | None


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


class Values:
    """Expressions in modules of one service, in one environment."""

    def __init__(self, modules: Sequence[Module], environment: Mapping[str, str]) -> None:
        self._modules = {module.name: module for module in modules}
        self._environment = environment
        self._fields = _fields(modules)

    def of(self, module: Module, node: ast.expr, depth: int = 0) -> Known | None:
        """``None`` where it cannot be told."""
        if depth > _DEPTH:
            return None
        if isinstance(node, ast.Constant):
            return Known(node.value) if isinstance(node.value, (str, int)) or node.value is None else None
        if isinstance(node, ast.Name):
            return self._name(module, node.id, depth)
        if isinstance(node, ast.Attribute):
            return self._attribute(module, node, depth)
        if isinstance(node, ast.Subscript):
            return self._item(node)
        if isinstance(node, ast.Call):
            return self._call(module, node, depth)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            known = self.of(module, node.operand, depth + 1)
            return None if known is None or known.number is None else Known(-known.number, known.by)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self._either(module, node.values, depth)
        return None

    def mapping(self, module: Module, node: ast.expr) -> ast.Dict | ast.Call | None:
        """The literal behind ``**OPTIONS``: ``{…}`` or ``dict(…)``; ``None`` where it is none."""
        if isinstance(node, ast.Name):
            bound = _bound(module, node.id)
            node = bound if isinstance(bound, ast.expr) else node
        is_dict = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict"
        if isinstance(node, ast.Dict):
            return node
        return node if is_dict and isinstance(node, ast.Call) else None

    def _name(self, module: Module, name: str, depth: int) -> Known | None:
        bound = _bound(module, name)
        if isinstance(bound, ast.expr):
            return self.of(module, bound, depth + 1)
        if isinstance(bound, ast.ImportFrom):
            owner = self._modules.get(module.absolute(bound.level, bound.module))
            original = next((a.name for a in bound.names if (a.asname or a.name) == name), name)
            return None if owner is None else self._name(owner, original, depth + 1)
        return None

    def _attribute(self, module: Module, node: ast.Attribute, depth: int) -> Known | None:
        """``config.POOL_SIZE`` of a module, else a field of that name which all settings classes agree on."""
        if isinstance(node.value, ast.Name):
            owner = self._imported(module, node.value.id)
            if owner is not None and _bound(owner, node.attr) is not None:
                return self._name(owner, node.attr, depth + 1)
        found = {self._field(one, node.attr, depth) for one in self._fields.get(node.attr, ())}
        return next(iter(found)) if len(found) == 1 else None

    def _imported(self, module: Module, name: str) -> Module | None:
        bound = _bound(module, name)
        if isinstance(bound, ast.Import):
            original = next((a.name for a in bound.names if (a.asname or a.name) == name), name)
            return self._modules.get(original)
        if isinstance(bound, ast.ImportFrom):
            original = next((a.name for a in bound.names if (a.asname or a.name) == name), name)
            return self._modules.get(f"{module.absolute(bound.level, bound.module)}.{original}")
        return None

    def _field(self, field: _Field, name: str, depth: int) -> Known | None:
        for variable in (*field.names, f"{field.prefix}{name}") if field.by_environment else ():
            for written in dict.fromkeys((variable, variable.upper(), variable.lower())):
                if written in self._environment:
                    return Known(self._environment[written], (written,))
        return None if field.default is None else self.of(field.module, field.default, depth + 1)

    def _item(self, node: ast.Subscript) -> Known | None:
        if ast.unparse(node.value) in {"os.environ", "environ"} and isinstance(node.slice, ast.Constant):
            name = str(node.slice.value)
            return Known(self._environment[name], (name,)) if name in self._environment else None
        return None

    def _call(self, module: Module, node: ast.Call, depth: int) -> Known | None:
        called = ast.unparse(node.func)
        if called in _READERS and node.args and isinstance(node.args[0], ast.Constant):
            name = str(node.args[0].value)
            if name in self._environment:
                return Known(self._environment[name], (name,))
            default = node.args[1] if len(node.args) > 1 else _keyword(node, "default")
            return None if default is None else self.of(module, default, depth + 1)
        if called in _PLAIN:
            inner = node.args[0] if node.args else _keyword(node, "default")
            return None if inner is None else self.of(module, inner, depth + 1)
        return None

    def _either(self, module: Module, values: Sequence[ast.expr], depth: int) -> Known | None:
        for one in values:
            known = self.of(module, one, depth + 1)
            if known is None and not (isinstance(one, ast.Call) and ast.unparse(one.func) in _READERS):
                return None
            if known is not None and known.value not in (None, "", 0):
                return known
        return None


class _Field(NamedTuple):
    """A field of a class that holds settings."""

    module: Module
    default: ast.expr | None
    names: tuple[str, ...]
    """Variables that it names itself."""
    prefix: str
    by_environment: bool
    """The class reads the environment (pydantic's ``BaseSettings``)."""


def _fields(modules: Sequence[Module]) -> dict[str, list[_Field]]:
    found: dict[str, list[_Field]] = {}
    for module in modules:
        for owner in (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)):
            reads = any("Settings" in ast.unparse(base) for base in owner.bases)
            prefix = _prefix(owner) if reads else ""
            for one in owner.body:
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                    names = _aliases(one.value) if reads else ()
                    found.setdefault(one.target.id, []).append(_Field(module, one.value, names, prefix, reads))
                elif isinstance(one, ast.Assign):
                    for target in (each for each in one.targets if isinstance(each, ast.Name)):
                        found.setdefault(target.id, []).append(_Field(module, one.value, (), prefix, reads))
    return found


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


def _bound(module: Module, name: str) -> ast.AST | None:
    """What a name is bound to in a module; inside of functions only where that is the one place."""
    bound = next((node for one, node, _ in reversed(module.bindings) if one == name), None)
    if bound is not None:
        return bound
    inside = list(_inner(module, name))
    return inside[0] if len(inside) == 1 else None


def _inner(module: Module, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            yield node.value


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)
