"""Unified diffs of documents that may hold secrets.

The texts are compared as they are and hidden afterwards, line by line: a secret never shows, and a change of one does,
as two lines that look alike with the remark that what differs is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from probes.intent import Document
from probes.text import HIDDEN, clean, is_secret_name, line

CONTEXT_LINES = 3
CHANGED = "  (changed, hidden)"
NO_NEWLINE = "\\ No newline at end of file"

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.\-]*"
# NAME=value and NAME: value at the start of a line or list item, in YAML, JSON, Python and environment files.
_ITEM = re.compile(rf"""(?P<head>\s*(?:-\s+|export\s+)*["']?(?P<name>{_NAME})["']?\s*[=:]\s*["']?)(?P<value>.*)""")
# The same anywhere in a line, and options with their value behind a space.
_INLINE = re.compile(
    rf"""(?P<head>(?<![A-Za-z0-9_.])["']?(?P<name>{_NAME})["']?\s*(?:=|:\s|:(?=["']))\s*)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"?|'[^']*'?|(?:(?i:bearer|basic|digest|token)\s+)?[^\s,}\]"']+)"""
)
_OPTION = re.compile(rf"""(?P<head>--(?P<name>{_NAME})(?:\s+|["']\s*,\s*))(?P<value>["'][^"']*["']?|[^\s"',]+)""")
_LONE_OPTION = re.compile(rf"""\s*(?:-\s+)?["']?--(?P<name>{_NAME})["']?\s*,?\s*""")
_BLOCK_SCALAR = re.compile(r"\s*(?:[!&]\S+\s+)*[|>][0-9+\-]*\s*(?:#.*)?")
_NESTED = re.compile(rf"""\s*(?:-(?:\s|$)|["']?{_NAME}["']?\s*:(?:\s|$)|[\[{{}}\]])""")
# Of a Kubernetes object: the name of an entry of a Secret, not what stands in it.
_REFERENCE = re.compile(r" +key: (?P<key>[A-Za-z0-9._-]{1,253})")
_QUOTES = "\"'"
_TRIPLE = ('"""', "'''")


def unified(before: Document, after: Document) -> str:
    """The redacted unified diff between two documents; empty when their texts are the same."""
    old, new = _tokens(before.text), _tokens(after.text)
    if old == new:
        return ""
    shown_old, shown_new = hidden(before.text), hidden(after.text)
    title = clean(before.title, 300)
    lines = [f"--- {title}", f"+++ {clean(after.title, 300)}"]
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT_LINES):
        first, last = group[0], group[-1]
        lines.append(f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += _side(" ", old[i1:i2], shown_old[i1:i2])
                continue
            lines += _side("-", old[i1:i2], shown_old[i1:i2])
            lines += _side("+", new[j1:j2], _remarked(old[i1:i2], shown_old[i1:i2], new[j1:j2], shown_new[j1:j2]))
    return "\n".join(lines) + "\n"


def redacted(text: str) -> str:
    """A whole document for people: every line clean, every secret hidden."""
    return "\n".join(hidden(text))


def reverse(diff: str) -> str:
    """The diff of the way back, from a diff made here: what was added is removed, in the same order of blocks."""
    lines: list[str] = []
    removed: list[str] = []
    added: list[str] = []
    sign = ""
    for one in diff.splitlines():
        if one.startswith(("--- ", "+++ ")) and not any(x.startswith("@@") for x in lines):
            lines.append(one)
        elif one.startswith("-"):
            added.append("+" + one[1:])
            sign = "-"
        elif one.startswith("+"):
            removed.append("-" + one[1:])
            sign = "+"
        elif one == NO_NEWLINE and sign:
            (added if sign == "-" else removed).append(one)
        else:
            lines += [*removed, *added, _swapped(one)]
            removed, added, sign = [], [], ""
    return "\n".join([*lines, *removed, *added]) + "\n" if diff else ""


def hidden(text: str) -> list[str]:
    """The lines of a document, one for one, clean and with what is secret replaced."""
    from fixes.yamlsecrets import covered  # its parser is dear to import, and most commands show no diff

    hider, lines = _Hider(), _lines(text)
    made = [hider.line(raw) for raw in covered(text, lines, HIDDEN, _one)]
    for number, (above, raw) in enumerate(pairwise(lines), 1):
        named = _REFERENCE.fullmatch(raw) if above.strip() == "secretKeyRef:" else None
        if named is not None and line(named["key"]) == named["key"]:
            made[number] = raw
    return made


class _Hider:
    """Hides what a line shows to be secret, and what it tells of the next ones: block scalars, options, PEM blocks."""

    def __init__(self) -> None:
        self._until: str | None = None
        """All is hidden up to the line that holds this."""
        self._deeper_than: int | None = None
        """All that is indented by more than this is hidden."""
        self._empty_at: int | None = None
        """A secret's name without a value stood at this indentation: a deeper scalar is its value."""
        self._value_next = False
        """The option before this line takes a secret."""

    def line(self, raw: str) -> str:
        indent = len(raw) - len(raw.lstrip())
        if self._until is not None:
            if self._until in raw:
                self._until = None
            return raw[:indent] + HIDDEN
        if not raw.strip():
            return ""
        if self._empty_at is not None:
            if indent > self._empty_at and not _NESTED.match(raw):
                self._deeper_than = self._empty_at
            self._empty_at = None
        if self._deeper_than is not None:
            if indent > self._deeper_than:
                return raw[:indent] + HIDDEN
            self._deeper_than = None
        option = _LONE_OPTION.fullmatch(raw)
        if self._value_next and not option:
            self._value_next = False
            return _value_only(raw)
        self._value_next = bool(option and is_secret_name(option["name"]))
        return self._named(raw, indent)

    def _named(self, raw: str, indent: int) -> str:
        """A line outside of any hidden block."""
        if "PRIVATE KEY-----" in raw and "-----BEGIN" in raw and "-----END" not in raw:
            self._until = "-----END"
        item = _ITEM.fullmatch(raw)
        if item is None or not is_secret_name(item["name"]):
            return _one(raw)
        value = item["value"]
        if not value.strip("\"', "):
            self._empty_at = indent
            return line(raw)
        if value.strip() in {"[", "{", "[]", "{}", "[],", "{},"}:
            return line(raw)
        if _BLOCK_SCALAR.fullmatch(value):
            self._deeper_than = indent
            return line(raw)
        self._until = next((q for q in _TRIPLE if q in raw and raw.count(q) < 2), self._until)
        quote = item["head"][-1]
        if self._until is None and quote in _QUOTES and quote not in value.replace(f"\\{quote}", ""):
            self._until = quote
        return line(item["head"]) + HIDDEN


def _one(raw: str) -> str:
    """A line of which only parts are secret."""
    for pattern in (_INLINE, _OPTION):
        at = 0
        while found := pattern.search(raw, at):
            if is_secret_name(found["name"]):
                raw = raw[: found.end("head")] + HIDDEN + raw[found.end() :]
                at = found.end("head") + len(HIDDEN)
            else:
                at = found.end("head")  # what stands behind it may have a name of its own
    return line(raw)


def _value_only(raw: str) -> str:
    """A list item that is the value of the option before it: its place stays, its text does not."""
    found = re.match(r"""\s*(?:-\s+)?["']?""", raw)
    return (found[0] if found else "") + HIDDEN


def _remarked(
    old: Sequence[tuple[str, bool]], shown_old: Sequence[str], new: Sequence[tuple[str, bool]], shown_new: Sequence[str]
) -> list[str]:
    """The new side of a change, each line that looks like an old one marked: what differs is not shown."""
    raw_by_shown: dict[str, set[str]] = {}
    for (raw, _), shown in zip(old, shown_old, strict=True):
        raw_by_shown.setdefault(shown, set()).add(raw)
    return [
        shown + CHANGED if shown in raw_by_shown and raw not in raw_by_shown[shown] else shown
        for (raw, _), shown in zip(new, shown_new, strict=True)
    ]


def _side(sign: str, tokens: Sequence[tuple[str, bool]], shown: Sequence[str]) -> Iterator[str]:
    for (_, ended), text in zip(tokens, shown, strict=True):
        yield sign + text
        if not ended:
            yield NO_NEWLINE


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _tokens(text: str) -> list[tuple[str, bool]]:
    """Each line and whether a newline ends it."""
    lines = _lines(text)
    return [(one, number < len(lines) or text.endswith("\n")) for number, one in enumerate(lines, 1)]


def _range(start: int, stop: int) -> str:
    """A hunk's place as unified diffs write it: line and count, counted from 1."""
    count = stop - start
    if count == 1:
        return str(start + 1)
    return f"{start + (count > 0)},{count}"


def _swapped(header: str) -> str:
    found = re.fullmatch(r"@@ -(\S+) \+(\S+) @@", header)
    return f"@@ -{found[2]} +{found[1]} @@" if found else header
