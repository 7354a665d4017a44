"""Sets values in gunicorn's configuration file and leaves every other byte as it is. Pure."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from probes import gunicorn_config, syntax
from probes.base import Value
from probes.target import Refused


def edited(text: str, settings: Mapping[str, Value], environment: Mapping[str, str]) -> str:
    """The file with these settings: each in the place where it is assigned last, else in a line at the end.

    Raises :class:`Refused` where the file is not understood well enough to know that the value would be in force.
    """
    try:
        module = syntax.tree(text)
    except syntax.NotPython as error:
        raise Refused(f"gunicorn's configuration file is not valid Python: {error}") from None
    ending = "\r\n" if "\r\n" in text else "\n"
    spans: list[tuple[int, int, str]] = []
    added: list[str] = []
    starts = _line_starts(text)
    for name, value in settings.items():
        place = _last_assignment(module, name)
        if place is None:
            added.append(f"{name} = {value!r}{ending}")
        else:
            spans.append((*_span(text, starts, place), repr(value)))
    for start, end, replacement in sorted(spans, reverse=True):
        text = text[:start] + replacement + text[end:]
    if added and text and not text.endswith(("\n", "\r")):
        text += ending
    text += "".join(added)
    _check(text, settings, environment)
    return text


def _last_assignment(module: ast.Module, name: str) -> ast.expr | None:
    """The value's place in ``name = value`` at the top level, where nothing after it may assign the name again."""
    found: ast.expr | None = None
    for statement in module.body:
        value = _assigned(statement, name)
        if value is not None:
            found = value
        elif any(isinstance(one, ast.Name) and one.id == name and _stores(one) for one in ast.walk(statement)):
            found = None
    return found


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        return None
    return value if isinstance(target, ast.Name) and target.id == name else None


def _stores(one: ast.Name) -> bool:
    return isinstance(one.ctx, ast.Store | ast.Del)


def _line_starts(text: str) -> list[int]:
    """Where each line begins, in characters, as the parser counts lines."""
    starts, at = [0], 0
    for line in text.splitlines(keepends=True):
        at += len(line)
        if line.endswith(("\n", "\r")):
            starts.append(at)
    return starts


def _span(text: str, starts: list[int], place: ast.expr) -> tuple[int, int]:
    """A value's place in characters; parentheses around it stay."""
    assert place.end_lineno is not None
    assert place.end_col_offset is not None
    return (
        _at(text, starts, place.lineno, place.col_offset),
        _at(text, starts, place.end_lineno, place.end_col_offset),
    )


def _at(text: str, starts: list[int], line: int, column_bytes: int) -> int:
    start = starts[line - 1]
    row = text[start : starts[line] if line < len(starts) else len(text)]
    return start + len(row.encode()[:column_bytes].decode())


def _check(text: str, settings: Mapping[str, Value], environment: Mapping[str, str]) -> None:
    read = gunicorn_config.read(text.encode(), environment)
    for name, value in settings.items():
        if name not in read.values or read.values[name] != value:
            raise Refused(f"{name} is set in a way that an edit would not win over: change it in the file by hand.")
