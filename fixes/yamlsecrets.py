"""Where the secrets of a YAML text stand: a scalar may go on over lines that tell nothing of its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from probes.text import is_secret_name

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Line breaks to YAML 1.1 and to no line of a diff: replaced, so that both count the same lines.
_OTHER_BREAKS = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
_ASSIGNED = re.compile(r"\s*([A-Za-z0-9_][A-Za-z0-9_.\-]*)\s*[=:]")
_KEY = re.compile(r"[\w.\- ]+")
"""A key that is a name: ``curl -H 'Authorization: …`` has one to the parser, and is a command."""
_OPTION = re.compile(r"\s*--([A-Za-z0-9_][A-Za-z0-9_.\-]*)\s*")
Place = tuple[int, int, int, int]
"""First line, column in it, last line, column in it behind the end; all from 0."""


@dataclass
class _Collection:
    mapping: bool
    secret: bool = False
    """What comes next is the value of a secret's name or option."""
    at_value: bool = False


def covered(text: str, lines: list[str], mask: str, shows: Callable[[str], str]) -> list[str]:
    """The lines with ``mask`` over every secret scalar; those of a text that is no YAML as they are.

    ``shows`` gives back a line without the secrets that it shows by itself.
    """
    made = list(lines)
    for first, start, last, end in reversed(_places(text, lines, shows)):  # what stands behind in a line goes first
        for number in range(first, min(last + 1, len(made))):
            raw = made[number]
            begin = start if number == first else len(raw) - len(raw.lstrip())
            stop = end if number == last else len(raw)
            if raw[begin:stop].strip():
                made[number] = raw[:begin] + mask + raw[stop:]
    return made


def _places(text: str, lines: list[str], shows: Callable[[str], str]) -> list[Place]:
    found: set[Place] = set()
    anchors: dict[str, Place] = {}
    around: list[_Collection] = []
    try:
        for event in yaml.parse(_OTHER_BREAKS.sub("_", text.removeprefix("\ufeff")), Loader=_LOADER):
            inner = around[-1] if around else None
            if isinstance(event, yaml.ScalarEvent) and inner is not None:
                place = _place(event, lines)
                secret = inner.secret or (not _is_key(inner) and _tells(event, lines, shows))
                if event.anchor:
                    anchors[event.anchor] = place
                if secret:
                    found.add(place)
                _pass(inner, event.value)
            elif isinstance(event, yaml.AliasEvent) and inner is not None:
                if inner.secret and event.anchor in anchors:
                    found.add(anchors[event.anchor])
                _pass(inner, "")
            elif isinstance(event, yaml.CollectionStartEvent):
                if inner is not None:
                    _pass(inner, "")
                around.append(_Collection(isinstance(event, yaml.MappingStartEvent)))
            elif isinstance(event, yaml.CollectionEndEvent):
                around.pop()
    except (yaml.YAMLError, ValueError):
        pass  # up to where it is YAML
    return sorted(found)


def _is_key(inner: _Collection) -> bool:
    return inner.mapping and not inner.at_value


def _pass(inner: _Collection, value: str) -> None:
    """A node of the collection is over; a scalar's value tells whether the next one is secret."""
    if _is_key(inner):
        inner.secret = _KEY.fullmatch(value) is not None and is_secret_name(value)
    else:
        option = None if inner.mapping else _OPTION.fullmatch(value)
        inner.secret = option is not None and is_secret_name(option[1])
    inner.at_value = inner.mapping and not inner.at_value


def _tells(event: yaml.ScalarEvent, lines: list[str], shows: Callable[[str], str]) -> bool:
    """Whether a scalar has a secret in it that its lines, each taken alone, may not show to be one."""
    assigned = _ASSIGNED.match(event.value)
    if assigned is not None and is_secret_name(assigned[1]):
        return True
    first, _, last, _ = _marks(event)
    if first == last or event.style == "|":
        return False
    folded = " ".join(event.value.split())
    hidden = shows(folded)
    if event.style in {'"', "'"}:
        return hidden != folded
    own = lines[first + (event.style == ">") : last + 1]
    return hidden != folded and hidden not in " ".join(" ".join(shows(one).split()) for one in own)


def _place(event: yaml.ScalarEvent, lines: list[str]) -> Place:
    """Its text: without the quote that opens it, the header of a block, and the name that an assignment begins with."""
    first, start, last, end = _marks(event)
    if event.style in {"|", ">"}:
        return first + 1, 0, last, end
    raw = lines[first] if first < len(lines) else ""
    assigned = _ASSIGNED.match(event.value)
    quote = raw.find(event.style, start) if event.style else -1
    named = assigned is not None and is_secret_name(assigned[1])
    begin = start if quote < 0 or (first != last and not named) else quote + 1
    if assigned is not None and named and raw.startswith(assigned[0], begin):
        begin += len(assigned[0])
    if event.style and first == last:
        end -= 1
    return first, begin, last, end


def _marks(event: yaml.ScalarEvent) -> Place:
    first, last = event.start_mark, event.end_mark
    assert first is not None, "only events that were made without a parser have no marks"
    assert last is not None
    return first.line, first.column, last.line, last.column
