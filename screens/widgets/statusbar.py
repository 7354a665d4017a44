"""The lines at the top: the targets and their links, what is found in all, and what must not be overlooked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from fixes.model import Report, Severity
from probes.model import Deployment, TargetState
from screens import words

if TYPE_CHECKING:
    from screens.mode import Mode

_SHOWN: tuple[Severity, ...] = ("critical", "error", "warning", "info")


def summary(report: Report, mode: Mode, width: int) -> Text:
    """One line: name, links, counts and badges."""
    left = _left(report, mode, width)
    for room in range(3):
        right = _right(report, mode, room)
        if left.cell_len + right.cell_len < width:
            break
    left.truncate(max(8, width - right.cell_len - 1), overflow="ellipsis")
    left.append(" " * max(1, width - left.cell_len - right.cell_len))
    return left + right


def _left(report: Report, mode: Mode, width: int) -> Text:
    left = Text(end="", no_wrap=True)
    left.append("fastops", "bold")
    for state in report.snapshot.targets.values():
        tone = words.LINK_TONES[state.link.state]
        left.append("   ")
        left.append(words.GLYPHS[tone] if tone != "ok" else "●", words.STYLES[tone])
        left.append(" ")
        left.append(words.target(state.target), "bold white on red" if state.target in mode.production else "")
        if not mode.read_only and state.target in mode.read_only_targets:
            left.append(" read-only", "yellow")
        if state.link.state != "live":
            left.append(f" {state.link.state}", words.STYLES[tone])
        elif not state.complete:
            left.append(" reading…", "dim")
        elif width >= 120 and state.version:
            left.append(f" {state.version}", "dim")
    if not report.snapshot.targets:
        left.append("   starting", "dim")
    return left


def _right(report: Report, mode: Mode, short: int) -> Text:
    """Counts and badges; ``short`` from 0 to 2 says how much has to be left out."""
    over = {one.id for one in report.snapshot.deployments() if _is_over(one)}
    counts = Counter(f.severity for of, findings in report.findings.items() if of not in over for f in findings)
    ended = sum(len(report.of(one)) for one in over)
    total = sum(len(state.deployments) for state in report.snapshot.targets.values())
    text = Text(no_wrap=True, end="")
    for severity in _SHOWN:
        if counts[severity]:
            text.append(f"{words.GLYPHS[severity]} {counts[severity]}  ", words.STYLES[severity])
    if ended and short == 0:
        text.append(f"{ended} of what has ended  ", "dim")
    if short == 0:
        text.append(words.plural(total, "deployment"), "dim")
    if mode.read_only:
        text.append(" ")
        text.append(" READ-ONLY " if short < 2 else " RO ", "black on yellow")
    if mode.paused_at is not None:
        text.append(" ")
        text.append(f" PAUSED {words.moment(mode.paused_at)} " if short == 0 else " PAUSED ", "black on cyan")
    return text


def _is_over(one: Deployment) -> bool:
    """Whether it is a process that somebody started by hand and that has ended: nobody waits for it to come back."""
    return one.kind == "process" and one.origin is None and not one.running


def troubles(states: Sequence[TargetState]) -> list[Text]:
    """A line for each link that is not live: what, why, what next."""
    lines = []
    for state in states:
        link = state.link
        if link.state in ("live", "connecting"):
            continue
        line = Text(no_wrap=True, end="", overflow="ellipsis")
        line.append(f"{words.target(state.target)} is {link.state}", words.STYLES[words.LINK_TONES[link.state]])
        line.append(f" since {words.moment(link.since)}", "dim")
        if link.why:
            line.append(f": {link.why}")
        if link.hint:
            line.append(f" – {link.hint}", "dim")
        if link.retry_at is not None:
            line.append(f" (tried again at {words.moment(link.retry_at)})", "dim")
        lines.append(line)
    return lines


class StatusBar(Vertical):
    """A line of summary, below it only what is wrong with the watching itself."""

    DEFAULT_CSS = """
    StatusBar {
        dock: top; height: auto;
        & > #summary { height: 1; padding: 0 1; background: $bar; }
        & > #interrupted {
            height: auto; padding: 0 1; display: none;
            background: $banner; color: $banner-text; text-style: bold;
        }
        & > #links {
            height: auto; max-height: 4; padding: 0 1; display: none;
        }
    }
    """

    def __init__(self, report: Report, mode: Mode) -> None:
        super().__init__()
        self._state = (report, mode)
        self._drawn: dict[str, Text] = {}

    def compose(self) -> ComposeResult:
        """Three parts, of which two are rarely seen."""
        yield Static(id="summary")
        yield Static(id="interrupted")
        yield Static(id="links")

    def on_resize(self) -> None:
        """The line is made for the width."""
        self.show(*self._state)

    def show(self, report: Report, mode: Mode) -> None:
        """Draws what differs."""
        self._state = (report, mode)
        self._draw("summary", summary(report, mode, max(20, (self.size.width or self.app.size.width) - 2)))
        interrupted = Text(end="")
        if report.pending:
            names = ", ".join(report.pending)
            subject = "a change was interrupted" if len(report.pending) == 1 else "changes were interrupted"
            then = "" if mode.read_only else " – h shows it: finish it, or take it back"
            interrupted.append(f"{subject}: {names}{then}")
        self._draw("interrupted", interrupted)
        lines = troubles(list(report.snapshot.targets.values()))
        lines += [Text(f"{f.what}: {f.why}", "yellow", no_wrap=True, overflow="ellipsis") for f in report.failures[:1]]
        self._draw("links", Text("\n").join(lines[:4]))

    def _draw(self, name: str, text: Text) -> None:
        if self._drawn.get(name) == text and self._drawn[name].spans == text.spans:
            return
        self._drawn[name] = text
        part = self.query_one(f"#{name}", Static)
        part.update(text)
        part.display = bool(text.plain)
