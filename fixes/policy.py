"""What the user decided about signatures: silenced ones, other severities, other thresholds. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase

from fixes import values
from fixes.model import Parameter, Severity, Signature, SignatureId, Threshold
from probes import text
from probes.base import DeploymentId, Frozen, Value


class BadPolicy(ValueError):
    """Something was decided that cannot be: one sentence that names the entry and the reason."""


class Silence(Frozen, frozen=True, forbid_unknown_fields=True):
    """A signature that is known and shall not be shown."""

    signature: SignatureId
    reason: str
    deployment: str | None = None
    """An id, its tail, or either with ``*`` and ``?``; every deployment when ``None``."""
    until: date | None = None
    """The last day (UTC) on which it is silenced; for good when ``None``."""


class Override(Frozen, frozen=True, forbid_unknown_fields=True):
    """What is different for one signature; thresholds as they were written (``400MiB``, ``2s``, 0.8)."""

    severity: Severity | None = None
    thresholds: Mapping[str, Value] = {}


class Policy(Frozen, frozen=True):
    """All that was decided."""

    silences: tuple[Silence, ...] = ()
    severities: Mapping[SignatureId, Severity] = {}
    """Replace whatever a signature says."""
    thresholds: Mapping[Threshold, float] = {}


def make(
    silences: Iterable[Silence],
    overrides: Mapping[str, Override],
    signatures: Mapping[SignatureId, Signature],
    also: Collection[str] = (),
) -> Policy:
    """The policy, checked against what is known; raises :class:`BadPolicy`.

    ``also`` are ids that may be named although they are not known: of files that could not be read.
    """
    kept = tuple(silences)
    for one in kept:
        _check_silence(one, signatures, also)
    severities: dict[SignatureId, Severity] = {}
    thresholds: dict[Threshold, float] = {}
    for name, override in overrides.items():
        identity = SignatureId(name)
        _check_known(identity, "[signatures]", signatures, also)
        if override.severity is not None:
            severities[identity] = override.severity
        if identity in signatures:
            thresholds |= _thresholds(signatures[identity], override.thresholds)
    return Policy(kept, severities, thresholds)


def silenced(policy: Policy, deployment: DeploymentId, now: datetime) -> frozenset[SignatureId]:
    """The signatures that are not shown on a deployment now."""
    return frozenset(
        one.signature for one in policy.silences if not is_over(one, now) and _means(one.deployment, deployment)
    )


def is_over(silence: Silence, now: datetime) -> bool:
    """Whether its last day has passed."""
    return silence.until is not None and now.astimezone(UTC).date() > silence.until


def _means(pattern: str | None, deployment: DeploymentId) -> bool:
    return pattern is None or fnmatchcase(deployment, pattern) or fnmatchcase(deployment, f"*/{pattern}")


def _check_silence(one: Silence, signatures: Mapping[SignatureId, Signature], also: Collection[str]) -> None:
    _check_known(one.signature, "[[silence]]", signatures, also)
    if not one.reason.strip():
        raise BadPolicy(f"[[silence]] of {one.signature}: say why in `reason`, for whoever reads it next")
    if one.deployment is not None and not one.deployment.strip():
        raise BadPolicy(f"[[silence]] of {one.signature}: `deployment` is empty; leave it out to mean every one")


def _check_known(
    identity: SignatureId, where: str, signatures: Mapping[SignatureId, Signature], also: Collection[str]
) -> None:
    if identity not in signatures and identity not in also:
        shown = text.line(identity, 100)
        raise BadPolicy(f"{where} names {shown!r}, which is no signature; `fastops signatures` lists them")


def _thresholds(signature: Signature, given: Mapping[str, Value]) -> dict[Threshold, float]:
    known = {one.name: one for one in signature.thresholds}
    found: dict[Threshold, float] = {}
    for name, value in given.items():
        one = known.get(name)
        if one is None:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise BadPolicy(f"[signatures] {signature.id} has no threshold {text.line(name, 100)!r}; {has}")
        asked = Parameter(one.name, one.what, one.default, one.unit, one.minimum, one.maximum)
        try:
            found[one] = float(values.check(asked, values.read(asked, value)))
        except values.BadValue as error:
            raise BadPolicy(f"[signatures] {signature.id}: {error}") from None
    return found
