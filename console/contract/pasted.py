"""What pasted texts show, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from console.contract.base import SCHEMA, Out
from console.contract.findings import EvidenceOut, ReferenceOut, evidence, reference
from fixes.model import Severity

if TYPE_CHECKING:
    from fixes.diagnose import Diagnosed, Diagnosis


class DiagnosedOut(Out, frozen=True):
    """One failure that a text shows."""

    signature: str
    severity: Severity
    title: str
    deployment: str
    """``pasted/log`` for log lines; else the container or pod that the text describes."""
    count: int
    lines: tuple[int, ...]
    """Numbers of the lines that prove it, from 1, ascending; the latest 200."""
    explained_by: ReferenceOut | None
    evidence: tuple[EvidenceOut, ...]
    """``line`` is the line's number in the text."""


class DiagnosedFileOut(Out, frozen=True):
    """One text."""

    file: str
    """As it was named; ``-`` is standard input."""
    findings: tuple[DiagnosedOut, ...]
    silenced: int
    """Findings that the configuration silences."""


class DiagnoseOut(Out, frozen=True):
    """What ``diagnose --format json`` prints: the texts that could be read."""

    schema: int
    files: tuple[DiagnosedFileOut, ...]


def diagnosis(files: Iterable[tuple[str, Diagnosis]]) -> DiagnoseOut:
    """What was found in each text."""
    return DiagnoseOut(
        SCHEMA, tuple(DiagnosedFileOut(name, tuple(map(diagnosed, one.found)), one.silenced) for name, one in files)
    )


def diagnosed(one: Diagnosed) -> DiagnosedOut:
    """One finding of a text."""
    found = one.finding
    return DiagnosedOut(
        signature=found.signature,
        severity=found.severity,
        title=found.title,
        deployment=found.deployment,
        count=found.count,
        lines=one.lines,
        explained_by=reference(found.explained_by),
        evidence=evidence(found),
    )
