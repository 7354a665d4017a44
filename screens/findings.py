"""Findings as text: the line, the evidence, the remedies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from fixes.model import Evidence, Finding, Open
from screens import words
from screens.words import Tone


def headline(finding: Finding, now: datetime) -> Text:
    """Severity, what it is and since when, in one line."""
    text = Text(end="")
    style = words.STYLES[finding.severity]
    text.append(f"{words.GLYPHS[finding.severity]} ", style)
    text.append(finding.title, style if finding.severity in ("critical", "error") else "bold")
    times = f"{finding.count}× " if finding.count > 1 else ""
    text.append(f"  {finding.signature} · {times}for {words.ago(finding.since, now)}", "dim")
    if finding.explained_by is not None:
        elsewhere = finding.explained_by.deployment
        where = "" if elsewhere == finding.deployment else f" of {elsewhere}"
        text.append(f" · effect of {finding.explained_by.signature}{where}", "cyan")
    return text


def nested(found: Sequence[Finding]) -> tuple[tuple[Finding, int], ...]:
    """Each finding with how deep it stands: an effect below its cause, where that is of the same deployment."""
    own = {finding.signature: finding for finding in found}
    below: dict[str, list[Finding]] = {}
    roots = []
    for finding in found:
        cause = finding.explained_by
        if cause is not None and cause.deployment == finding.deployment and cause.signature in own:
            below.setdefault(cause.signature, []).append(finding)
        else:
            roots.append(finding)
    placed: list[tuple[Finding, int]] = []

    def place(finding: Finding, depth: int) -> None:
        placed.append((finding, depth))
        for effect in below.pop(finding.signature, ()):
            place(effect, depth + 1)

    for finding in roots:
        place(finding, 0)
    placed += [(finding, 0) for rest in below.values() for finding in rest]  # causes in a circle hide nothing
    return tuple(placed)


def proof(evidence: Evidence) -> Text:
    """One piece of evidence: when, where from, what."""
    text = Text("  ", end="")
    text.append(f"{words.moment(evidence.at) or '        '} {evidence.source:<8} ", "dim")
    if evidence.worker is not None:
        text.append(f"[{evidence.worker}] ", "cyan")
    text.append(evidence.text)
    if evidence.value is not None and not any(map(str.isdigit, evidence.text)):
        text.append(f"  {_value(evidence.value, evidence.unit)}", "bold")
    if evidence.file is not None:
        place = evidence.file if evidence.line is None else f"{evidence.file}:{evidence.line}"
        if place not in evidence.text:
            text.append(f"  {place}", "cyan")
    return text


def _value(value: float, unit: str | None) -> str:
    if unit == "bytes":
        return words.size(value)
    if unit == "seconds":
        return words.duration(value)
    return f"{value:g}" if unit is None else f"{value:g} {unit}"


def answers(finding: Finding) -> Text:
    """The remedies: the one that a key gives first, then the others."""
    text = Text("  ", end="")
    able = [offer for offer in finding.remedies if offer.applicable]
    if not finding.remedies:
        return Text(end="")
    text.append("fix ", "dim")
    if able:
        text.append(able[0].title, "green")
        if able[1:]:
            text.append(f"  or {', '.join(offer.id for offer in able[1:])}", "dim")
    else:
        first = finding.remedies[0]
        text.append(f"{first.title}: {first.why_not or 'not possible here'}", "dim")
    return text


def answerable(found: Sequence[Finding]) -> Finding | None:
    """The worst that has an answer, else the worst."""
    return next((f for f in found if any(o.applicable for o in f.remedies)), found[0] if found else None)


def distinct(every: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Without those that would read as one before them: the same words at the same second, from the same place."""
    return tuple({proof(one).plain: one for one in reversed(every)}.values())[::-1]


INDENT = 2


def full(finding: Finding, now: datetime, limit: int | None = None, width: int = 0, depth: int = 0) -> Text:
    """A finding with its evidence (the first ``limit`` pieces) and its remedies, wrapped where a width is given.

    An effect stands ``depth`` steps to the right, below its cause.
    """
    if depth:
        inner = full(finding, now, limit, max(20, width - INDENT * depth) if width else 0)
        lead = Text(" " * (INDENT * (depth - 1)) + "└ ", "dim", end="")
        space = Text(" " * INDENT * depth, end="")
        return Text("\n", end="").join((space if n else lead) + line for n, line in enumerate(inner.split("\n")))
    evidence = distinct(finding.evidence)
    shown = evidence if limit is None or len(evidence) <= limit + 1 else evidence[:limit]
    lines = [hang(headline(finding, now), width, 2), *(hang(proof(one), width, 20) for one in shown)]
    if len(shown) < len(evidence):
        lines.append(Text(f"  … {len(evidence) - len(shown)} more", "dim"))
    if finding.remedies:
        lines.append(hang(answers(finding), width, 6))
    return Text("\n", end="").join(lines)


def hang(text: Text, width: int, indent: int) -> Text:
    """The text in lines of ``width`` cells at most, broken at spaces, all but the first indented; as it is for 0."""
    if width <= indent + 8 or text.cell_len <= width:
        return text
    lines: list[Text] = []
    rest, room = text, width
    while rest.cell_len > room:
        head, rest = rest.divide([_fitting(rest.plain, room, (len(lines) and 1) or indent)])
        lines.append(head)
        rest = rest[len(rest.plain) - len(rest.plain.lstrip(" ")) :]
        room = width - indent
    lines.append(rest)
    return Text("\n" + " " * indent, end="").join(lines)


def _fitting(text: str, room: int, least: int) -> int:
    """How many characters go into ``room`` cells: up to the last space after ``least``, else as many as there are."""
    most = room
    while cell_len(text[:most]) > room:
        most -= 1
    space = text.rfind(" ", least, most + 1)
    return space if space > 0 else max(1, most)


def undecided(opens: Sequence[Open]) -> Text:
    """What could not be told yet, a line for each thing that is missing."""
    missing: dict[str, list[str]] = {}
    for each in opens:
        missing.setdefault(each.needs, []).append(each.signature)
    lines = (f"? {', '.join(of)} {'needs' if len(of) == 1 else 'need'} {needs}" for needs, of in missing.items())
    return Text("\n".join(lines), "dim", end="")


def pane(
    findings: Sequence[Finding],
    opens: Sequence[Open],
    now: datetime,
    limit: int = 3,
    width: int = 0,
    tone: Tone = "ok",
) -> Text:
    """All that is known to be wrong with a deployment, which is of this tone while nothing is."""
    parts = [full(finding, now, limit, width, depth) for finding, depth in nested(findings)]
    if not parts:
        parts.append(nothing(tone))
    if opens:
        parts.append(undecided(opens))
    return Text("\n\n", end="").join(parts)


def nothing(tone: Tone) -> Text:
    """No finding is good news only of what runs and is read."""
    text = "stopped, nothing found" if tone == "stopped" else "nothing found"
    return Text(f"{words.GLYPHS[tone]} {text}", words.STYLES[tone], end="", no_wrap=True)


def brief(findings: Sequence[Finding], now: datetime, tone: Tone = "ok") -> Text:
    """Two lines: the worst finding, and its first evidence; without any, what :func:`pane` says."""
    if not findings:
        return nothing(tone)
    first = findings[0]
    line = headline(first, now)
    if len(findings) > 1:
        line.append(f" · {len(findings) - 1} more", "dim")
    second = proof(first.evidence[0]) if first.evidence else answers(first)
    text = Text("\n", end="").join([line, second])
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def plain(name: str, findings: Sequence[Finding], now: datetime) -> str:
    """The same without colour, for the clipboard."""
    return "\n\n".join([name, *(full(finding, now, depth=depth).plain for finding, depth in nested(findings))])
