"""Findings as JSON."""

from __future__ import annotations

from datetime import datetime

from console.contract.base import Out
from fixes.model import Finding, Reference, Severity


class ReferenceOut(Out, frozen=True):
    """A finding of this or another deployment."""

    deployment: str
    signature: str


class EvidenceOut(Out, frozen=True):
    """One fact that proves a finding."""

    source: str
    replica: str | None
    worker: int | None
    file: str | None
    line: int | None
    at: datetime | None
    text: str
    value: float | None
    unit: str | None


class RemedyOut(Out, frozen=True):
    """A remedy of a finding."""

    id: str
    title: str
    applicable: bool
    why_not: str | None


class FindingOut(Out, frozen=True):
    """One failure that was found."""

    id: str
    signature: str
    severity: Severity
    title: str
    since: datetime
    count: int
    explained_by: ReferenceOut | None
    evidence: tuple[EvidenceOut, ...]
    remedies: tuple[RemedyOut, ...]


class UndecidedOut(Out, frozen=True):
    """A signature whose evidence was not enough."""

    signature: str
    needs: str


def finding(one: Finding) -> FindingOut:
    """One finding with its evidence and remedies."""
    return FindingOut(
        id=one.id,
        signature=one.signature,
        severity=one.severity,
        title=one.title,
        since=one.since,
        count=one.count,
        explained_by=reference(one.explained_by),
        evidence=evidence(one),
        remedies=tuple(RemedyOut(o.id, o.title, o.applicable, o.why_not) for o in one.remedies),
    )


def evidence(one: Finding) -> tuple[EvidenceOut, ...]:
    """The facts that prove a finding."""
    return tuple(
        EvidenceOut(e.source, e.replica, e.worker, e.file, e.line, e.at, e.text, e.value, e.unit) for e in one.evidence
    )


def reference(one: Reference | None) -> ReferenceOut | None:
    """The cause of a finding."""
    return None if one is None else ReferenceOut(one.deployment, one.signature)
