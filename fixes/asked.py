"""Remedies that a person may ask for where nothing is found: what is then planned, applied and verified like a fix."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from fixes import catalogue
from fixes.model import Finding, Offer, RemedyId, Signature, SignatureId
from probes.base import Value
from probes.model import Deployment


def signature(identity: SignatureId) -> Signature | None:
    """What shows that the remedy of this id did what it is for; ``None`` where it is none that may be asked for."""
    remedy = catalogue.remedies().get(RemedyId(identity))
    return None if remedy is None else remedy.asked


def named() -> tuple[Signature, ...]:
    """What may be asked for."""
    return tuple(remedy.asked for remedy in catalogue.remedies().values() if remedy.asked is not None)


def wish(deployment: Deployment, asked: Signature, facts: Mapping[str, Value] = MappingProxyType({})) -> Finding:
    """What a person asks for, in the place of a finding; it is in no report. The plan says where it cannot be had."""
    return Finding(
        id=f"{deployment.id}#{asked.id}",
        deployment=deployment.id,
        signature=asked.id,
        severity=asked.severity,
        title=asked.title,
        since=datetime.now(UTC),
        count=1,
        evidence=(),
        remedies=tuple(Offer(r, catalogue.remedies()[r].title, applicable=True) for r in asked.remedies),
        facts=facts,
    )
