"""gunicorn's configuration file, read and never executed: literals, and what is plainly made of them."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from probes import syntax
from probes.base import Frozen

LARGEST = 256_000


class ConfigFile(Frozen, frozen=True):
    """What a configuration file sets."""

    values: Mapping[str, object]
    """Names that end up with a value that can be told."""
    unknown: frozenset[str] = frozenset()
    """Names that are set to something that cannot be told without running the file."""
    opaque: bool = False
    """Any name may be set (a syntax error, ``from x import *``): what is not in ``values`` is unknown."""


class _Unknown(Exception):
    """The value cannot be told."""


def read(source: bytes, environment: Mapping[str, str]) -> ConfigFile:
    """Reads a file's top level. Never raises.

    Understood: constants, lists, names set before, f-strings, ``os.getenv``/``os.environ`` and ``int(…)`` of these.
    """
    if len(source) > LARGEST:
        return ConfigFile(values={}, opaque=True)
    try:
        module = syntax.tree(source)
    except syntax.NotPython:
        return ConfigFile(values={}, opaque=True)
    return top_level(module, environment)


def plain(node: ast.expr, values: Mapping[str, object], environment: Mapping[str, str]) -> object:
    """The value of an expression, or ``None`` when it cannot be told without running it."""
    try:
        return evaluate(node, values, environment)
    except (_Unknown, RecursionError):
        return None


def top_level(module: ast.Module, environment: Mapping[str, str]) -> ConfigFile:
    """What the statements of a module bind its names to."""
    values: dict[str, object] = {}
    unknown: set[str] = set()
    opaque = False
    for statement in module.body:
        try:
            opaque = _statement(statement, values, unknown, environment) or opaque
        except RecursionError:
            return ConfigFile(values={}, opaque=True)
    return ConfigFile(values=values, unknown=frozenset(unknown), opaque=opaque)


def _statement(
    statement: ast.stmt, values: dict[str, object], unknown: set[str], environment: Mapping[str, str]
) -> bool:
    """Takes one statement in; true when it may set anything."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                try:
                    values[target.id] = evaluate(statement.value, values, environment)
                    unknown.discard(target.id)
                except _Unknown:
                    _forget({target.id}, values, unknown)
            else:
                _forget(_stored(target), values, unknown)
        return False
    _forget(_stored(statement), values, unknown)
    return any(
        isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        for node in ast.walk(statement)
    ) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and _writes_names(statement.value))


def _writes_names(call: ast.Call) -> bool:
    text = ast.dump(call.func)
    return "'globals'" in text or "'locals'" in text or "'vars'" in text or "'exec'" in text


def _forget(names: set[str], values: dict[str, object], unknown: set[str]) -> None:
    for name in names:
        values.pop(name, None)
    unknown |= names


def _stored(node: ast.AST) -> set[str]:
    names: set[str] = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store | ast.Del):
            names.add(one.id)
        elif isinstance(one, ast.ImportFrom | ast.Import):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in one.names}
        elif isinstance(one, ast.Global):
            names |= set(one.names)
    return names


def evaluate(node: ast.expr, values: Mapping[str, object], environment: Mapping[str, str]) -> object:
    """The value of an expression that is plainly known; raises otherwise."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [evaluate(one, values, environment) for one in node.elts]
    if isinstance(node, ast.Name) and node.id in values:
        return values[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        operand = evaluate(node.operand, values, environment)
        if isinstance(operand, int | float):
            return -operand
    if isinstance(node, ast.JoinedStr):
        return "".join(_formatted(part, values, environment) for part in node.values)
    if isinstance(node, ast.Call) and not node.keywords:
        return _call(node, values, environment)
    return _combined(node, values, environment)


def _combined(node: ast.expr, values: Mapping[str, object], environment: Mapping[str, str]) -> object:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = evaluate(node.left, values, environment), evaluate(node.right, values, environment)
        if isinstance(left, str) and isinstance(right, str):
            return left + right
        if isinstance(left, int) and isinstance(right, int):
            return left + right
    if isinstance(node, ast.Subscript) and _dotted(node.value) == "os.environ":
        key = evaluate(node.slice, values, environment)
        if isinstance(key, str) and key in environment:
            return environment[key]
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        told = [evaluate(one, values, environment) for one in node.values]
        return next((one for one in told if one), told[-1])
    raise _Unknown


def _formatted(part: ast.expr, values: Mapping[str, object], environment: Mapping[str, str]) -> str:
    if isinstance(part, ast.FormattedValue):
        if part.format_spec is not None or part.conversion != -1:
            raise _Unknown
        part = part.value
    return str(evaluate(part, values, environment))


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _call(node: ast.Call, values: Mapping[str, object], environment: Mapping[str, str]) -> object:
    name = _dotted(node.func)
    arguments = [evaluate(one, values, environment) for one in node.args]
    if name in ("os.getenv", "os.environ.get", "getenv", "environ.get") and 1 <= len(arguments) <= 2:
        return environment.get(str(arguments[0]), arguments[1] if len(arguments) == 2 else None)
    if name in ("int", "float", "str", "bool") and len(arguments) == 1 and isinstance(arguments[0], str | int | float):
        try:
            return {"int": int, "float": float, "str": str, "bool": bool}[name](arguments[0])
        except (ValueError, OverflowError) as error:
            raise _Unknown from error
    raise _Unknown
