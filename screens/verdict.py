"""Plans, questions, outcomes and advice as text. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from fixes.model import Advice, Outcome, Plan, Risk
from screens import words
from screens.widgets import diff

Undone = Literal["undoing", "undone"] | None
"""Whether a change is being, or was, taken back."""

LINES, LINES_SMALL = 8, 5
"""For a plan's title and its warnings, as in the style sheet of its screen."""
_RISKS: dict[Risk, tuple[str, str]] = {
    "none": ("nothing is interrupted", "green"),
    "reload": ("workers are reloaded one after the other", "green"),
    "restart": ("processes are restarted", "yellow"),
    "recreate": ("the container is replaced", "yellow"),
}


def summary(plan: Plan) -> Text:
    """What a plan does, at what risk, and what to know before."""
    text = Text(end="")
    text.append(plan.title, "bold")
    if plan.advice is not None:
        text.append("  changes nothing", "green")
        return text
    risk, style = _RISKS[plan.risk]
    text.append(f"  {risk}", style)
    if plan.restart:
        text.append(", requests in flight may be lost", "yellow")
    if plan.warnings:
        text.append("\n").append_text(warnings(plan))
    return text


def told(plan: Plan, console: Console, width: int, key: str, *, small: bool) -> tuple[Text, Text]:
    """The plan in lines of ``width`` cells, and what stands above its diff: warnings too long for the lines there.

    ``key`` pages the diff.
    """
    whole = summary(plan)
    if plan.advice is not None or len(whole.wrap(console, width)) <= (LINES_SMALL if small else LINES):
        return whole, Text(end="")
    short = summary(replace(plan, warnings=()))
    short.append(f"\n▲ what to know before stands above the diff; {key} reads on", "yellow")
    return short, warnings(plan).append("\n\n")


def progress(lines: Sequence[str], *, done: bool) -> Text:
    """What was done so far; the last line is under way unless all is done."""
    text = Text(end="")
    for n, each in enumerate(lines, 1):
        text.append("\n" if n > 1 else "")
        text.append("• " if n == len(lines) and not done else "✓ ", "green")
        text.append(each)
    return text


def warnings(plan: Plan) -> Text:
    """What to know before."""
    return Text("\n".join(f"▲ {warning}" for warning in plan.warnings), "yellow", end="")


_BAR = "  │ "


def advice(of: Advice, width: int = 0) -> Text:
    """Words, then code with a bar beside it; in ``width`` cells, where one is given, long paths lose their middle."""
    text = Text(of.text, end="")
    if of.code:
        text.append("\n\n")
        for n, line in enumerate(of.code.strip("\n").splitlines()):
            text.append("\n" if n else "")
            text.append(_BAR, "dim")
            text.append(_fitted(line, width - len(_BAR)) if width else line, "cyan")
    return text


def _fitted(line: str, room: int) -> str:
    """A line whose longest path is shortened in the middle when the line is too long; its name and number stay."""
    path = max((part for part in re.findall(r"\S+", line) if "/" in part), key=len, default="")
    keep = len(path) - (len(line) - room)
    if len(line) <= room or not path:
        return line
    tail = max(1, min(max(keep // 2, len(path.rsplit("/", 1)[-1])), keep - 1))
    head = max(0, keep - 1 - tail)
    return line.replace(path, f"{path[:head]}…{path[-tail:]}", 1)


def copied(plan: Plan) -> tuple[str, str]:
    """What goes to the clipboard, and what it is called."""
    if plan.advice is not None:
        return plan.advice.code or plan.advice.text, "the code" if plan.advice.code else "the text"
    return diff.plain(plan.changes), "the diff"


def question(
    verb: str,
    plan: Plan | None,
    stage: str,
    result: Outcome | None,
    key: Callable[[str], str],
    undone: Undone = None,
    *,
    undo: bool = True,
) -> Text:
    """The line below the diff, for each stage; ``undo``: the change can be taken back, ``undone``: it was.

    ``key`` tells how the key of a binding is written.
    """
    text = Text(end="")
    if plan is None:
        return text
    if stage == "planned" and plan.advice is None:
        text.append(f"{key('apply')} ", "bold cyan")
        text.append(f"{verb.lower()} this: it asks first, and nothing has been changed yet", "dim")
    elif stage == "asking":
        text.append(f"{verb} this on {plan.deployment}?  ", "bold")
        text.append(key("yes"), "bold cyan")
        text.append(" yes   ")
        text.append(key("no"), "bold cyan")
        text.append(" no")
    elif stage == "typing":
        text.append(f"{plan.confirm}\n", "yellow")
        text.append(f"{verb} this? Type the deployment's name and press enter; {key('back')} changes nothing.", "bold")
    elif stage == "applying":
        text.append("working … ", "bold cyan")
        text.append(f"{key('back')} leaves; it goes on", "dim")
    elif stage == "done" and result is not None:
        if undone is not None and result.applied:
            if undone == "undoing":
                text.append("↶ being taken back …", "bold cyan")
            else:
                text.append("↶ taken back", "bold cyan")
                text.append("  what was there before is in force again", "dim")
            return text
        text.append_text(outcome(result) if undo else reverted(result))
        if result.applied and undo:
            text.append(f"   {key('undo')}", "bold cyan")
            text.append(" takes it back", "dim")
    return text


def reverted(of: Outcome) -> Text:
    """What became of an undo, in one line."""
    if not of.applied:
        return outcome(of)
    text = Text(end="")
    text.append("↶ taken back", "bold green")
    text.append(f": {of.why}" if of.why else "")
    text.append(f"  {words.duration(of.took_seconds)}", "dim")
    return text


def outcome(of: Outcome) -> Text:
    """What became of a change, in one line."""
    text = Text(end="")
    why = f": {of.why}" if of.why else ""
    if not of.applied:
        text.append(f"✗ not applied{why}", "red")
        if not of.half_done:
            text.append("  nothing is left half done", "dim")
        return text
    match of.verified:
        case "gone":
            text.append(f"✓ gone{why}", "bold green")
            text.append("  applied, and the failure did not come back", "dim")
        case "present":
            text.append(f"◆ still there{why}", "bold red")
            text.append("  applied, but the failure is still seen", "dim")
        case _:
            text.append(f"? not verified{why}", "yellow")
            text.append("  applied", "dim")
    text.append(f"  {words.duration(of.took_seconds)}", "dim")
    return text
