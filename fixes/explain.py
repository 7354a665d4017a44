"""Which finding causes which: causes declare their effects, and here they are joined and ordered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from fixes.model import SEVERITIES, Finding, Reference, Signature, SignatureId


def explain(findings: Iterable[Finding], signatures: Mapping[SignatureId, Signature]) -> tuple[Finding, ...]:
    """The findings of one deployment with ``explained_by`` set, the worst first and effects after their causes.

    An effect names one cause: of several the one that saw the same worker, then the worst, then the oldest. No finding
    explains itself, however long the way.
    """
    found = {finding.signature: finding for finding in findings}
    if len(found) < 2:
        return tuple(replace(finding, explained_by=None) for finding in found.values())
    causes: dict[SignatureId, SignatureId] = {}
    for effect in sorted(found):
        candidates = [c for c in found if c != effect and c in signatures and effect in signatures[c].explains]
        for cause in sorted(candidates, key=lambda c: _rank(found[c], found[effect])):
            if not _leads_to(cause, effect, causes):
                causes[effect] = cause
                break
    explained = {
        signature: replace(finding, explained_by=_reference(finding, causes.get(signature)))
        for signature, finding in found.items()
    }
    return _ordered(explained, causes)


def explained(findings: Iterable[Finding], cause: Finding) -> tuple[Finding, ...]:
    """Those of these findings of one deployment that ``cause`` explains, directly."""
    wanted = _reference(cause, cause.signature)
    return tuple(finding for finding in findings if finding.explained_by == wanted)


def severity_rank(finding: Finding) -> int:
    """0 for the worst."""
    return -SEVERITIES.index(finding.severity)


def _reference(finding: Finding, cause: SignatureId | None) -> Reference | None:
    return None if cause is None else Reference(finding.deployment, cause)


def _rank(cause: Finding, effect: Finding) -> tuple[bool, int, float, str]:
    workers = {(e.replica, e.worker) for e in effect.evidence if e.worker is not None}
    same = any((e.replica, e.worker) in workers for e in cause.evidence)
    return (not same, severity_rank(cause), cause.since.timestamp(), cause.signature)


def _leads_to(start: SignatureId, goal: SignatureId, causes: Mapping[SignatureId, SignatureId]) -> bool:
    """Whether going up from ``start``, cause by cause, arrives at ``goal``."""
    step: SignatureId | None = start
    while step is not None:
        if step == goal:
            return True
        step = causes.get(step)
    return False


def _ordered(found: Mapping[SignatureId, Finding], causes: Mapping[SignatureId, SignatureId]) -> tuple[Finding, ...]:
    effects: dict[SignatureId, list[SignatureId]] = {}
    for effect, cause in causes.items():
        effects.setdefault(cause, []).append(effect)

    def group(signature: SignatureId) -> list[Finding]:
        below = [group(effect) for effect in effects.get(signature, ())]
        return [found[signature], *(finding for part in sorted(below, key=_worst) for finding in part)]

    roots = [group(signature) for signature in found if signature not in causes]
    return tuple(finding for part in sorted(roots, key=_worst) for finding in part)


def _worst(group: Sequence[Finding]) -> tuple[int, int, str]:
    return min(severity_rank(f) for f in group), severity_rank(group[0]), group[0].signature
