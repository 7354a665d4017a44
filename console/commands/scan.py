"""``fastops scan``: look once, print, and say it in the exit status."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from console import config as configuration
from console import contract, output, rules
from console.commands._session import observe, opened, say, settle, unread
from console.config import seconds
from console.exits import FINDINGS, FINE, PARTIAL
from fixes.model import SEVERITIES, Finding, Report
from probes.text import clean


class How(NamedTuple):
    """How to look, as the command line says it."""

    observe: str
    unknown: bool
    namespace: str | None
    execute: bool
    read_only: bool
    databases: tuple[str, ...] = ()
    """``own``, ``env:VAR``."""
    sources: tuple[str, ...] = ()
    """Directories with the code of services."""
    telemetry: str | None = None

    @property
    def passed(self) -> str:
        """The options that a fix of what is found needs, too, as a shell takes them; each after a space."""
        return self._passed()

    def passed_after(self, at_once: Report) -> Callable[[Finding], str]:
        """Likewise for each finding: what was not in the first report shows itself again only as late as it did."""
        early = {(one.deployment, one.signature) for found in at_once.findings.values() for one in found}
        told, later = self.passed, self._passed(("--observe", self.observe))
        return lambda finding: told if (finding.deployment, finding.signature) in early else later

    def _passed(self, *more: tuple[str, str]) -> str:
        options = [("--database", one) for one in self.databases] + [("--source", one) for one in self.sources]
        options += [("--telemetry", self.telemetry)] if self.telemetry is not None else []
        return clean("".join(f" {name} {shlex.quote(value)}" for name, value in (*options, *more)))


def run(targets: Sequence[str], how: How, *, fmt: str, fail_on: str) -> int:
    """Scans; returns the exit status. It never writes; with ``execute`` it may run a program that reads."""
    observe_seconds = seconds(how.observe, "--observe", 0, 86_400)
    execute = how.execute and not how.read_only
    session_of = opened(
        targets,
        read_only=None if execute else True,
        unknown=how.unknown,
        execute=execute,
        namespace=how.namespace,
        databases=how.databases,
        sources=how.sources,
        telemetry=how.telemetry,
    )
    with session_of as session:
        at_once = settle(session, 0)
        report = observe(session, observe_seconds) if observe_seconds > 0 else at_once
        missing = unread(report, session)
        read = tuple(t for t, s in report.snapshot.targets.items() if s.link.state == "live")
    if fmt == "json":
        output.write(contract.encode(contract.scan(report)))
    elif fmt == "sarif":
        from console import sarif

        output.write(sarif.encode(report, rules.load(configuration.load()).signatures, missing))
    elif fmt == "markdown":
        from console import markdown

        output.write(markdown.render(report, missing, how.passed_after(at_once)))
    else:
        output.print_report(report, how.passed_after(at_once))
    for sentence in missing:
        say(sentence)
    if read and not report.snapshot.deployments():
        say(output.nothing_found(read))
    return status(report, fail_on, partial=bool(missing) or not report.snapshot.deployments())


def status(report: Report, fail_on: str, *, partial: bool) -> int:
    """1 outranks 3: a finding is known, whatever else could not be read."""
    if fail_on != "never":
        bad = SEVERITIES[SEVERITIES.index(fail_on) :]
        if any(f.severity in bad for found in report.findings.values() for f in found):
            return FINDINGS
    return PARTIAL if partial else FINE
