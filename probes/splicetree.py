"""The composed tree of a YAML text: spans, what is shared, and whether two trees say the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from probes import text as texts
from probes.target import Refused

Plain = str | list["Plain"] | dict[str, "Plain"] | None
Said = tuple[object, ...]
"""What a node says, with its tag: equal exactly when two nodes mean the same."""

SIZE_LIMIT = 1 << 20
"""Characters; a larger text is no configuration that a person edits."""
_NODE_LIMIT = 50_000
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_TAG + "map", _TAG + "seq", _TAG + "str", _TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"}


def refuse(why: str) -> Refused:
    """The refusal, as a sentence."""
    return Refused(f"The text cannot be edited safely: {why}.")


class Tree:
    """A composed document, and which of its nodes stand in more than one place."""

    def __init__(self, root: yaml.Node | None, shared: set[int]) -> None:
        self.root = root
        self._shared = shared
        self.step = _step(root)
        """Columns by which the document indents."""

    def check(self, node: yaml.Node | None, path: Sequence[str], wanted: str) -> None:
        """Raises :class:`Refused` unless ``node`` is a mapping of its own, and what it says of ``wanted`` stands in it.

        An entry of its own outranks one that a merge key takes over (YAML 1.1, "<<").
        """
        where = ".".join(path) or "the document"
        if not isinstance(node, yaml.MappingNode):
            raise refuse(f"{where} is not a mapping")
        self.check_own(node, where)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(node.value):
            raise refuse(f"{where} has a key that is not a plain word (is it a template?)")
        if "<<" in keys and wanted not in keys:
            raise refuse(f"{where} takes entries over from elsewhere (a merge key)")
        if len(set(keys)) != len(keys):
            raise refuse(f"{where} has a key twice")

    def check_leaf(self, node: yaml.Node | None, path: Sequence[str]) -> None:
        """Raises :class:`Refused` when the value, or a part of it, stands elsewhere too."""
        where = ".".join(path)
        self.check_own(node, where)
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self.check_own(item, where)

    def check_own(self, node: yaml.Node | None, where: str) -> None:
        """Raises :class:`Refused` for a node with an anchor, an alias or a tag of its own."""
        where = texts.clean(where, 200)
        if id(node) in self._shared:
            raise refuse(f"{where} is shared with other places (an anchor or an alias)")
        if node is not None and node.tag not in _PLAIN_TAGS:
            raise refuse(f"{where} carries the tag {texts.clean(node.tag, 60)}")


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, as far as PyYAML was built with it: go-yaml, by which Compose and kubectl read, is made from it. PyYAML's
own takes no tab before a comment or a value, which YAML allows (yaml/pyyaml issue 450)."""
READERS = (_LOADER, yaml.SafeLoader)
"""Parsers that a value which is written anew must mean the same to; Compose before version 2 reads by PyYAML's own."""


class _Composer(yaml.composer.Composer, yaml.resolver.Resolver):
    """Remembers which nodes have an anchor or are an alias.

    It composes in Python: the C composer crashes the process on what nests too deep.
    """

    def __init__(self, text: str, loader: Any) -> None:
        yaml.composer.Composer.__init__(self)
        yaml.resolver.Resolver.__init__(self)
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=loader)
        self._next: yaml.Event | None = None
        self.shared: set[int] = set()

    def peek_event(self) -> yaml.Event | None:
        """The event that comes next."""
        if self._next is None:
            self._next = next(self._events, None)
        return self._next

    def get_event(self) -> yaml.Event | None:
        """The event that comes next, which is over then."""
        event, self._next = self.peek_event(), None
        return event

    def check_event(self, *kinds: type[yaml.Event]) -> bool:
        """Whether the event that comes next is of one of these kinds."""
        return isinstance(self.peek_event(), kinds)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        shared = isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None
        node = super().compose_node(parent, index)
        if shared:
            self.shared.add(id(node))
        return node


def parse(text: str, loader: Any = _LOADER) -> Tree:
    """The tree of one document; raises :class:`Refused` when the text is not that."""
    if len(text) > SIZE_LIMIT:
        raise refuse("it is larger than a configuration should be")
    try:
        composer = _Composer(text, loader)
        return Tree(composer.get_single_node(), composer.shared)
    except yaml.composer.ComposerError as error:
        raise refuse(texts.line(f"{error.context or ''} {error.problem or ''}".strip(), 200)) from None
    except yaml.MarkedYAMLError as error:
        at = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise refuse(f"it is not valid YAML{at}: {texts.line(str(error.problem), 200)}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise refuse("it is not valid YAML") from None


def child(node: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """The key's and the value's node."""
    for key_node, value_node in node.value:
        if isinstance(key_node, yaml.ScalarNode) and key_node.value == key:
            return key_node, value_node
    return None


def is_empty(node: yaml.Node) -> bool:
    """Whether nothing, or a null, stands there."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null"


def end_of(text: str, node: yaml.Node) -> int:
    """Where a node's own text ends: before comments and blank lines that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if not isinstance(last, tuple):
            return end_of(text, last)
        key, value = last
        # An alias carries the marks of what it points to: it stands on its key's own line.
        return end_of(text, key if value.end_mark.index < key.end_mark.index else value)
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        return start + len(text[start:end].rstrip())
    return int(end)


def line_start(text: str, at: int) -> int:
    """The index of the first character of the line."""
    return text.rfind("\n", 0, at) + 1


def line_end(text: str, at: int) -> int:
    """The index of the line's end, before its line break."""
    end = text.find("\n", at)
    if end < 0:
        return len(text)
    return end - 1 if end > at and text[end - 1] == "\r" else end


def plain(node: yaml.Node | None) -> Plain:
    """The node as plain data; scalars as they are written, null as ``None``. Aliases are followed, 16 levels deep."""
    return _plain(node, 0)


def _plain(node: yaml.Node | None, depth: int) -> Plain:
    if node is None or depth > 16:
        return None
    if isinstance(node, yaml.ScalarNode):
        return None if is_empty(node) else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth + 1) for item in node.value]
    pairs = [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    return {str(key.value): _plain(value, depth + 1) for key, value in pairs}


def equal(node: yaml.Node | None, said: Said) -> bool:
    """Whether a node says exactly this."""
    return _say(node, [0]) == said


def expected(root: yaml.Node | None, path: list[str], value: str | int | Sequence[str]) -> Said:
    """What the tree says once ``value`` stands at ``path``."""
    return _with(_say(root, [0]), path, _say_value(value))


def _say(node: yaml.Node | None, seen: list[int]) -> Said:
    seen[0] += 1
    if seen[0] > _NODE_LIMIT:
        raise refuse("it is too large once its aliases are followed")
    if node is None:
        return ("nothing",)
    if isinstance(node, yaml.ScalarNode):
        return (node.tag, "" if node.tag == _TAG + "null" else node.value)
    if isinstance(node, yaml.SequenceNode):
        return (node.tag, *(_say(item, seen) for item in node.value))
    return (node.tag, *((_say(key, seen), _say(value, seen)) for key, value in node.value))


def _say_value(value: str | int | Sequence[str]) -> Said:
    if isinstance(value, str):
        return (_TAG + "str", value)
    if isinstance(value, int):
        return (_TAG + "int", str(value))
    return (_TAG + "seq", *((_TAG + "str", one) for one in value))


def _with(said: Said, path: list[str], value: Said) -> Said:
    if not path:
        return value
    if said[:1] == (_TAG + "null",):
        said = (_TAG + "map",)
    pairs = list(said[1:])
    for index, pair in enumerate(pairs):
        assert isinstance(pair, tuple)
        if pair[0][1] == path[0]:
            pairs[index] = (pair[0], _with(pair[1], path[1:], value))
            return (said[0], *pairs)
    return (said[0], *pairs, ((_TAG + "str", path[0]), _with((_TAG + "map",), path[1:], value)))


def _step(root: yaml.Node | None) -> int:
    if isinstance(root, yaml.MappingNode) and not root.flow_style:
        for _, value in root.value:
            if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
                return max(1, min(8, int(value.value[0][0].start_mark.column)))
    return 2
