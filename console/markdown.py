"""A report as Markdown, to be pasted into an incident's channel or a ticket.

All that deployments said is escaped: it can neither format, nor embed, nor call anybody by name, nor be a link: neither
with words of its own, nor as a bare address, nor as the number of an issue. What a host links beyond Markdown, such as
hashes of commits and addresses in a chat, shows where it leads.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from console import output
from fixes.model import SEVERITIES, Evidence, Finding, Report
from probes import text

_MARKS = re.compile(r"[\\`*|~$]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|!(?=\[)|\[(?=\^)|:(?=//)|(?<=[Ww]{3})\.")
"""The last two begin a bare address (GitHub Flavored Markdown, section 6.9)."""
_ISSUE = re.compile(r"#(?=\d)|(?i:(?<=\bGH))-(?=\d)")
_ALIKE = {"#": "＃", "-": "‑"}
"""A host finds issues' numbers in what is shown, after all escapes."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "＠"}
"""No escape keeps every host from calling a person by an ``@``: another character that looks like it does."""
_SPECIAL = re.compile("[&<>@]")


def escape(said: str) -> str:
    """One line of foreign text that every Markdown shows as it is."""
    numbered = _ISSUE.sub(lambda found: _ALIKE[found.group()], text.clean(said))
    marked = _MARKS.sub(lambda found: "\\" + found.group(), numbered)
    return _SPECIAL.sub(lambda found: _ENTITIES[found.group()], marked)


def render(report: Report, unread: Sequence[str], options: Callable[[Finding], str] = output.no_options) -> str:
    """The deployments as a table, the findings with their evidence, the worst first, and what was not read.

    ``options``: what the command that fixes a finding needs as well, after a space.
    """
    return "\n".join(_lines(report, unread, options))


def _lines(report: Report, unread: Sequence[str], options: Callable[[Finding], str]) -> Iterator[str]:
    deployments = sorted(report.snapshot.deployments(), key=lambda one: (output.rank(report.of(one.id)), one.id))
    count = Counter(finding.severity for found in report.findings.values() for finding in found)
    told = ", ".join(f"{count[one]} {one}" for one in reversed(SEVERITIES) if count[one]) or "nothing found"
    yield f"# fastops: {told}"
    yield ""
    silenced = sum(len(found) for found in report.silenced.values())
    hidden = f", {silenced} silenced" if silenced else ""
    yield (
        f"{report.snapshot.taken_at:%Y-%m-%d %H:%M:%S} UTC, {len(deployments)} deployments, "
        f"observed for {report.observed_seconds:g} s{hidden}"
    )
    if deployments:
        yield from ("", f"| {' | '.join(output.COLUMNS)} |", "|" + "---|" * len(output.COLUMNS))
        for one in deployments:
            yield f"| {' | '.join(escape(cell) for cell in output.cells(one, report))} |"
    for one in deployments:
        for finding in report.of(one.id):
            yield from _finding(finding, options)
    if unread:
        yield from ("", "## Not read", "", *(f"- {escape(sentence)}" for sentence in unread))


def _finding(finding: Finding, options: Callable[[Finding], str]) -> Iterator[str]:
    yield ""
    yield f"## {finding.severity}: {finding.signature} on {escape(finding.deployment)}"
    yield ""
    yield f"{finding.count} x since {finding.since:%Y-%m-%d %H:%M:%S} UTC: {escape(finding.title)}"
    yield ""
    if finding.explained_by is not None:
        cause = finding.explained_by
        yield f"- explained by {cause.signature} of {escape(cause.deployment)}"
    for evidence in finding.evidence[: output.MOST_EVIDENCE]:
        yield f"- {_evidence(evidence)}"
    if len(finding.evidence) > output.MOST_EVIDENCE:
        yield f"- and {len(finding.evidence) - output.MOST_EVIDENCE} more"
    best = next((offer for offer in finding.remedies if offer.applicable), None)
    if best is not None:
        command = f"fastops fix {finding.deployment} {finding.signature}{options(finding)}"
        yield f"- remedy: {escape(best.title)}, {_code(command)}"


def _code(command: str) -> str:
    """A span of code; between more backticks than it has in a row."""
    longest = max((len(run) for run in re.findall("`+", command)), default=0)
    return f"{'`' * (longest + 1)}{command}{'`' * (longest + 1)}"


def _evidence(one: Evidence) -> str:
    at = f" {one.at:%Y-%m-%d %H:%M:%S} UTC" if one.at else ""
    file = f" ({escape(one.file)}{f':{one.line}' if one.line else ''})" if one.file else ""
    return f"{one.source}{at}: {escape(one.text)}{file}"
