"""A unified diff in colour. It was redacted where it was made."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from fixes.model import Change


def render(changes: Sequence[Change]) -> Text:
    """All changes of a plan, one document after the other."""
    text = Text(end="")
    for n, change in enumerate(changes):
        text.append("\n\n" if n else "")
        text.append(change.document, "bold")
        text.append(f"  {change.summary}", "dim")
        for line in change.diff.splitlines():
            if line.startswith(("--- ", "+++ ")):
                continue
            text.append("\n")
            text.append(line, _style(line))
    return text


def plain(changes: Sequence[Change]) -> str:
    """The same for the clipboard, as ``patch`` reads it."""
    return "\n".join(change.diff.rstrip("\n") or f"# {change.summary}" for change in changes)


def _style(line: str) -> str:
    if line.startswith("+"):
        return "green"
    if line.startswith("-"):
        return "red"
    return "cyan" if line.startswith("@@") else "dim"
