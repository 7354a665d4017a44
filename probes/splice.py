"""Changing one value of a YAML text and not one byte of anything else.

The composed tree's marks give the exact span of each value. The new value is spliced into the text at the marks, the
result is parsed again, and only when nothing but the wanted path differs is it handed out. Comments, spacing, line
ends, quotes and flow style are the user's own. What cannot be changed safely is refused with a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

import yaml

from probes.splicetree import (
    READERS,
    Plain,
    Said,
    Tree,
    child,
    end_of,
    equal,
    expected,
    is_empty,
    line_end,
    line_start,
    parse,
    plain,
    refuse,
)
from probes.target import Refused

Value = str | int | Sequence[str]
Branch = Value | dict[str, "Branch"]
_EMPTY = yaml.MappingNode("tag:yaml.org,2002:map", [])


def value_at(text: str, path: Sequence[str]) -> Plain:
    """What stands at ``path``: scalars as they are written, without their quotes; ``None`` when nothing is there.

    Raises :class:`Refused` when the text is not one YAML document.
    """
    node: yaml.Node | None = parse(text).root
    for key in path:
        found = child(node, key) if isinstance(node, yaml.MappingNode) else None
        if found is None:
            return None
        node = found[1]
    return plain(node)


def set_value(text: str, path: Sequence[str], value: Value) -> str:
    """The text with ``value`` at ``path``; mappings that are missing on the way are made.

    A string or number replaces a scalar, a list replaces a list (items that stay keep their comments). Raises
    :class:`Refused` where that cannot be done without touching anything else, or where the path is shared with other
    places (anchors, aliases, merge keys, tags).
    """
    tree = parse(text)
    for candidate in _candidates(text, tree, list(path), value):
        if _says(candidate, expected(tree.root, list(path), value)):
            return candidate
    raise refuse(f"{'.'.join(path)} cannot be changed there without touching anything else")


def _says(text: str, said: Said, loader: Any = READERS[0]) -> bool:
    try:
        return equal(parse(text, loader).root, said)
    except Refused:
        return False


def _candidates(text: str, tree: Tree, path: list[str], value: Value) -> Iterator[str]:
    node = tree.root
    for depth, key in enumerate(path):
        tree.check(node, path[:depth], key)
        assert isinstance(node, yaml.MappingNode)
        found = child(node, key)
        if found is None:
            yield from _insert(text, tree, node, key, _branch(path[depth + 1 :], value))
            return
        key_node, value_node = found
        if is_empty(value_node) and depth + 1 < len(path):
            yield from _fill(text, tree, node, key_node, value_node, _branch(path[depth + 1 :], value))
            return
        node = value_node
    assert node is not None
    tree.check_leaf(node, path)
    if isinstance(value, (str, int)):
        if not isinstance(node, yaml.ScalarNode):
            raise refuse(f"{'.'.join(path)} is not a single value there")
        yield from _replace_scalar(text, node, value, in_flow=False)
        yield from _replace_scalar(text, node, value, in_flow=True)
    elif isinstance(node, yaml.SequenceNode):
        yield _replace_items(text, node, list(value))
    elif is_empty(node):
        yield text[: node.start_mark.index] + " " + _flow_list(value) + text[node.start_mark.index :]
    else:
        raise refuse(f"{'.'.join(path)} is not a list there")


def _branch(rest: list[str], value: Value) -> Branch:
    made: Branch = value
    for key in reversed(rest):
        made = {key: made}
    return made


# Scalars


def scalar(value: str | int, style: str | None = None, *, in_flow: bool = False) -> str:
    """A scalar as YAML, in the style (``'``, ``"`` or plain) of the one it replaces where the value allows it."""
    if isinstance(value, int):
        return str(value)
    single = "'" + value.replace("'", "''") + "'"
    double = json.dumps(value, ensure_ascii=False)
    order = {"'": (single, double), '"': (double,)}.get(style or "", (value, double))
    return next((one for one in order if _reads_as(one, value, in_flow=in_flow)), json.dumps(value))


def _reads_as(written: str, value: str, *, in_flow: bool) -> bool:
    text = f"k: [{written}]" if in_flow else f"k: {written}"
    said = expected(_EMPTY, ["k"], [value] if in_flow else value)
    return all(_says(text, said, loader) for loader in READERS)


def _flow_list(values: Sequence[str]) -> str:
    return "[" + ", ".join(scalar(one, '"', in_flow=True) for one in values) + "]"


def _replace_scalar(text: str, node: yaml.ScalarNode, value: str | int, *, in_flow: bool) -> Iterator[str]:
    start, end = node.start_mark.index, end_of(text, node)
    gap = " " if start == end and text[start - 1 : start] == ":" else ""
    yield text[:start] + gap + scalar(value, node.style, in_flow=in_flow) + text[end:]


# Lists


def _replace_items(text: str, node: yaml.SequenceNode, values: list[str]) -> str:
    if not all(isinstance(item, yaml.ScalarNode) for item in node.value):
        raise refuse("the list there holds more than plain values")
    old = [str(item.value) for item in node.value]
    edit = _flow_edit if node.flow_style else _block_edit
    for tag, i, j, k, m in reversed(SequenceMatcher(a=old, b=values, autojunk=False).get_opcodes()):
        if tag == "equal":
            continue
        shared = min(j - i, m - k)
        if j - i > shared or m - k > shared:
            text = edit(text, node, i + shared, j, values[k + shared : m])
        for offset in reversed(range(shared)):
            item = node.value[i + offset]
            written = scalar(values[k + offset], item.style, in_flow=bool(node.flow_style))
            text = text[: item.start_mark.index] + written + text[end_of(text, item) :]
    return text


def _flow_edit(text: str, node: yaml.SequenceNode, i: int, j: int, new: list[str]) -> str:
    """Items ``i`` to ``j`` go, or ``new`` comes before item ``i``: never both."""
    items = node.value
    if new:
        style = items[max(i - 1, 0)].style if items else '"'
        written = ", ".join(scalar(one, style, in_flow=True) for one in new)
        if not items:
            at = node.start_mark.index + 1
            return text[:at] + written + text[at:]
        if i == 0:
            at = items[0].start_mark.index
            return text[:at] + written + ", " + text[at:]
        at = items[i - 1].end_mark.index
        return text[:at] + ", " + written + text[at:]
    if i > 0:
        return text[: items[i - 1].end_mark.index] + text[items[j - 1].end_mark.index :]
    if j < len(items):
        return text[: items[0].start_mark.index] + text[items[j].start_mark.index :]
    return text[: items[0].start_mark.index] + text[items[-1].end_mark.index :]


def _block_edit(text: str, node: yaml.SequenceNode, i: int, j: int, new: list[str]) -> str:
    items, newline = node.value, newline_of(text)
    if new:
        item = items[max(i - 1, 0)]
        dash = _dash(text, item)
        indent = " " * (dash - line_start(text, dash))
        if i == 0:
            written = "".join(f"- {scalar(one, item.style)}{newline}{indent}" for one in new)
            return text[:dash] + written + text[dash:]
        at = line_end(text, end_of(text, item))
        return text[:at] + "".join(f"{newline}{indent}- {scalar(one, item.style)}" for one in new) + text[at:]
    if j - i == len(items):
        raise refuse("the list there would be left empty")
    start = line_start(text, _dash(text, items[i]))
    if j < len(items):
        return text[:start] + text[line_start(text, _dash(text, items[j])) :]
    before = line_end(text, end_of(text, items[i - 1]))
    return text[:before] + text[line_end(text, end_of(text, items[j - 1])) :]


def _dash(text: str, item: yaml.Node) -> int:
    at = item.start_mark.index - 1
    while at >= 0 and text[at] in " \t":
        at -= 1
    if at < 0 or text[at] != "-":
        raise refuse("the list there is laid out in a way that cannot be followed")
    return at


# Mappings


def newline_of(text: str) -> str:
    """The text's own line end."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def _insert(text: str, tree: Tree, node: yaml.MappingNode, key: str, branch: Branch) -> Iterator[str]:
    """``key`` comes behind the last entry of a mapping that has others (or of ``{}``)."""
    if node.flow_style:
        written = _flow_entry(key, branch)
        at = end_of(text, node.value[-1][1]) if node.value else node.start_mark.index + 1
        yield text[:at] + (", " if node.value else "") + written + text[at:]
        return
    indent = node.value[0][0].start_mark.column
    at = line_end(text, end_of(text, node))
    yield text[:at] + _block_entry(key, branch, indent, tree.step, newline_of(text)) + text[at:]


def _fill(
    text: str, tree: Tree, parent: yaml.MappingNode, key: yaml.Node, empty: yaml.Node, branch: Branch
) -> Iterator[str]:
    """A key that has no value yet gets a mapping."""
    assert isinstance(branch, dict)
    if text[empty.start_mark.index : empty.end_mark.index]:
        raise refuse("a null stands where a mapping is needed")
    at = empty.start_mark.index
    (first, rest), *_ = branch.items()
    if parent.flow_style:
        yield text[:at] + " {" + _flow_entry(first, rest) + "}" + text[at:]
        return
    at = line_end(text, at)
    indent = key.start_mark.column + tree.step
    yield text[:at] + _block_entry(first, rest, indent, tree.step, newline_of(text)) + text[at:]


def _flow_entry(key: str, branch: Branch) -> str:
    if isinstance(branch, dict):
        return f"{scalar(key, in_flow=True)}: {{" + ", ".join(_flow_entry(k, v) for k, v in branch.items()) + "}"
    written = scalar(branch, in_flow=True) if isinstance(branch, (str, int)) else _flow_list(branch)
    return f"{scalar(key, in_flow=True)}: {written}"


def _block_entry(key: str, branch: Branch, indent: int, step: int, newline: str) -> str:
    """Lines, each begun by a line end."""
    head = f"{newline}{' ' * indent}{scalar(key)}:"
    if isinstance(branch, dict):
        return head + "".join(_block_entry(k, v, indent + step, step, newline) for k, v in branch.items())
    return f"{head} {scalar(branch) if isinstance(branch, (str, int)) else _flow_list(branch)}"
