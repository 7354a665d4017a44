"""What the commands without a screen print for people: tables and sentences. Colour only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from console import tables
from console.contract import WatchOut, cpu, latency, memory
from console.tables import Column
from fixes.explain import severity_rank
from fixes.model import Entry, Evidence, Finding, Plan, Report
from fixes.values import byte_text
from probes import pooltext
from probes.base import DeploymentId, TargetId
from probes.model import Deployment

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STYLE = {
    "critical": "bold red",
    "error": "red",
    "warning": "yellow",
    "info": "cyan",
    "ok": "green",
    "stopped": "dim",
}
DEPLOYMENT_COLUMNS = (
    Column(""),
    Column("deployment", least=18, dear=64),
    Column("server", drop=6),
    Column("replicas", drop=3),
    Column("workers", drop=5),
    Column("memory"),
    Column("cpu", drop=4),
    Column("restarts", drop=1),
    Column("p95", drop=2),
    Column("worst finding", least=18, dear=32),
)
COLUMNS = tuple(column.title for column in DEPLOYMENT_COLUMNS)
ENTRY_COLUMNS = (
    Column("change"),
    Column("when (UTC)", drop=1),
    Column("deployment", least=18, dear=64),
    Column("remedy", least=12),
    Column("state"),
    Column("verified", drop=2),
    Column("by", drop=3),
)
MOST_EVIDENCE = 4
MOST_NEEDS = 3
"""Reasons why something is undecided that a line names."""
MOST_ALIKE = 3
"""Deployments of which the same is undecided that have a line each."""
PIPE_COLUMNS = 5000
"""Wider than the longest line of a log that is kept."""


def write(text: str) -> None:
    """A text and a newline on standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def console() -> Console:
    """Rich on standard output; without a terminal as wide as the text needs, so that pipes get whole lines."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def size(count: float | None) -> str:
    """Bytes for people, in binary units: ``–`` when unknown."""
    return "–" if count is None else byte_text(count)


def no_options(_: Finding) -> str:
    """Nothing but its name is needed to fix a finding."""
    return ""


def print_report(report: Report, options: Callable[[Finding], str] = no_options) -> None:
    """The table of deployments, and below it each finding with its evidence.

    ``options``: what the command that fixes a finding needs as well, after a space.
    """
    from rich.text import Text

    out = console()
    deployments = report.snapshot.deployments()
    if deployments:
        _print_table(out, deployments, report)
    for one in deployments:
        if one.pool is not None and one.pool.held is not None:
            out.print(Text(f"{one.id}  {pooltext.sentence(one.pool)}"))
    lines: list[Text] = []
    for one in sorted(deployments, key=lambda d: rank(report.of(d.id))):
        for finding in report.of(one.id):
            severity = (f"{finding.severity:8} ", STYLE[finding.severity])
            lines += [Text(), Text.assemble(severity, (one.id, "bold"), "  ", finding.title)]
            lines += [Text(f"         {line}") for line in finding_lines(finding, options(finding))]
    if lines:
        out.print(Text("\n").join(lines))  # at once: each call of print measures the terminal anew
    _print_undecided(out, deployments, report)
    shown = sum(len(found) for found in report.findings.values())
    out.print()
    silenced = sum(len(found) for found in report.silenced.values())
    hidden = f", {silenced} silenced" if silenced else ""
    out.print(f"{len(deployments)} deployments, {shown} findings{hidden}, observed for {report.observed_seconds:g} s")


def finding_lines(finding: Finding, options: str = "") -> list[str]:
    """Signature, cause, evidence and the command that fixes it with these options, a line each."""
    seen = f"{finding.signature}, {finding.count} x, since {finding.since:%H:%M:%S} UTC"
    lines = [seen]
    if finding.explained_by is not None:
        lines.append(f"explained by {finding.explained_by.signature} of {finding.explained_by.deployment}")
    evidence = list(dict.fromkeys(map(_evidence_line, finding.evidence)))
    lines += evidence[:MOST_EVIDENCE]
    if len(evidence) > MOST_EVIDENCE:
        lines.append(f"… and {len(evidence) - MOST_EVIDENCE} more; --format json has all")
    best = next((offer for offer in finding.remedies if offer.applicable), None)
    if best is not None:
        first = "" if best.id in {"advise", "profile"} else "; shows the diff first"
        lines.append(f"→ fastops fix {finding.deployment} {finding.signature}{options}    ({best.title}{first})")
    return lines


def nothing_found(targets: tuple[TargetId, ...]) -> str:
    """What was looked at, what was not found and what to try next."""
    return (
        f"no FastAPI deployment was found on {', '.join(targets) or 'any target'}: no process, container or "
        "pod runs uvicorn, gunicorn, hypercorn, granian or `fastapi run` with a FastAPI app. `--unknown` lists what "
        "cannot be told, the label fastops.enable=true names a container, the annotation fastops.io/enable=true a "
        "workload, `fastops doctor` says what could not be reached"
    )


def watch_line(event: WatchOut) -> str:
    """One line of ``watch`` for people."""
    at = f"{event.at:%Y-%m-%d %H:%M:%S}Z"
    if event.target is not None:
        why = f": {event.target.why}" if event.target.why else ""
        return f"{at} target   {event.target.target} is {event.target.state}{why}"
    assert event.finding is not None
    found = event.finding
    return f"{at} {event.event:8} {found.severity:8} {event.deployment} {found.signature}: {found.title}"


def print_plan(plan: Plan) -> None:
    """The plan with its diff, coloured on a terminal."""
    from rich.syntax import Syntax
    from rich.text import Text

    out = console()
    out.print(Text(f"{plan.remedy} on {plan.deployment}: {plan.title}", "bold"))
    for change in plan.changes:
        out.print(Text(f"• {change.summary}"))
        if change.diff:
            out.print(Syntax(change.diff, "diff", background_color="default") if out.is_terminal else Text(change.diff))
    if plan.advice is not None:
        out.print(Text(plan.advice.text))
        if plan.advice.code:
            out.print(Text(plan.advice.code))
    for warning in plan.warnings:
        out.print(Text(f"! {warning}", "yellow"))
    if plan.steps:
        out.print(Text(f"risk: {plan.risk}" + (", requests may be lost meanwhile" if plan.restart else "")))


def print_entries(entries: tuple[Entry, ...]) -> None:
    """The journal as a table."""
    if not entries:
        write("no change was made yet")
        return
    rows = [
        (
            entry.id,
            f"{entry.at:%Y-%m-%d %H:%M}",
            entry.deployment,
            entry.remedy,
            entry.state,
            entry.verified or "–",
            entry.by or "–",
        )
        for entry in entries
    ]
    tables.show(console(), ENTRY_COLUMNS, rows)


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A plain table of foreign text."""
    from rich.text import Text

    made = _plain(*columns)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    console().print(made)


def cells(one: Deployment, report: Report) -> tuple[str, ...]:
    """A deployment's row: its worst severity, without a finding ``ok`` only for what runs; below :data:`COLUMNS`."""
    found = report.of(one.id)
    first = found[0] if found else None
    return (
        min(found, key=severity_rank).severity if found else "ok" if one.running else "stopped",
        one.id,
        f"{one.server or '?'} {one.server_version or ''}".strip(),
        f"{one.ready}/{one.desired if one.desired is not None else '?'}",
        str(len(one.workers)) if one.workers or not one.running else "–",
        _memory(one),
        _cpu(one),
        "–" if one.restarts is None else str(one.restarts),
        _p95(one),
        f"{first.signature}{f' and {len(found) - 1} more' if len(found) > 1 else ''}" if first else "",
    )


def _print_table(out: Console, deployments: tuple[Deployment, ...], report: Report) -> None:
    rows = [cells(one, report) for one in sorted(deployments, key=lambda d: (rank(report.of(d.id)), d.id))]
    tables.show(out, DEPLOYMENT_COLUMNS, rows, [STYLE.get(row[0], "") for row in rows])


def _evidence_line(evidence: Evidence) -> str:
    at = f"{evidence.at:%H:%M:%S} " if evidence.at else ""
    return f"{evidence.source}: {at}{evidence.text}"


def _print_undecided(out: Console, deployments: tuple[Deployment, ...], report: Report) -> None:
    """A line for each deployment of which something could not be told, with what is missing; one for many alike."""
    from rich.text import Text

    alike: dict[tuple[str, ...], list[DeploymentId]] = {}
    for one in deployments:
        if still := report.undecided.get(one.id):
            alike.setdefault(tuple(each.signature for each in still), []).append(one.id)
    if alike:
        out.print()
    for ids in alike.values():
        if len(ids) > MOST_ALIKE:
            first = f"{_undecided(report, ids[0])}; this of {ids[0]}"
            out.print(Text(f"? {len(ids)} deployments  undecided: {first}", "dim"))
            continue
        for identity in ids:
            out.print(Text(f"? {identity}  undecided: {_undecided(report, identity)}", "dim"))


def _undecided(report: Report, identity: DeploymentId) -> str:
    needs: dict[str, list[str]] = {}
    for each in report.undecided[identity]:
        needs.setdefault(each.needs, []).append(each.signature)
    said = [f"{', '.join(signatures)} (needs {missing})" for missing, signatures in needs.items()]
    more = f"; and {len(said) - MOST_NEEDS} more, --format json has all" if len(said) > MOST_NEEDS else ""
    return "; ".join(said[:MOST_NEEDS]) + more


def _plain(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def _memory(one: Deployment) -> str:
    told = memory(one)
    limit = size(told.limit_bytes) if told.limited else ("no limit" if told.limited is False else "?")
    return f"{size(told.used_bytes)} / {limit}"


def _cpu(one: Deployment) -> str:
    used = cpu(one).used_cores
    return "–" if used is None else f"{used:.2f}"


def _p95(one: Deployment) -> str:
    told = latency(one)
    return "–" if told is None or told.p95_ms is None else f"{told.p95_ms:.0f} ms"


def rank(found: tuple[Finding, ...]) -> int:
    """Where a deployment with these findings stands: the worst ones first."""
    return min(map(severity_rank, found), default=1)
