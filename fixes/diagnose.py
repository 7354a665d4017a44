"""Judges pasted text by the same signatures as what runs.

The streams of a log are the replicas of one deployment, and all of it counts, however old it is: whoever pastes an hour
asks about that hour. Containers and pods that documents tell of are deployments of their own, judged as at the latest
moment that they name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import MAXYEAR, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from fixes import catalogue
from fixes.model import PASTED, Finding, Report, Signature
from fixes.pastedplaces import Places
from fixes.policy import Policy
from fixes.track import LOOK_BACK, Tracker
from probes import pastedkernel
from probes.base import DeploymentId, Failure, Frozen
from probes.history import History
from probes.loghits import LogCoverage
from probes.logs import Matcher
from probes.model import Deployment, Link, Replica, Snapshot, TargetState
from probes.pasted import Pasted
from probes.pasteddocs import documents

AFTERWARDS = timedelta(seconds=30)
"""How long after the last line it is looked at: what started in its last line has stayed up."""
LOG = DeploymentId("pasted/log")
_KERNEL = frozenset(pattern.key for pattern in pastedkernel.PATTERNS)
_TELLS = frozenset({"log", "event"})


class Diagnosed(Frozen, frozen=True):
    """A finding and where it stands in the text."""

    finding: Finding
    """Its evidence has the number of its line, where that is known."""
    lines: tuple[int, ...]
    """Numbers of lines, from 1, ascending."""


class Diagnosis(Frozen, frozen=True):
    """What was found in one text, the worst first, effects after their causes."""

    found: tuple[Diagnosed, ...] = ()
    documents: int = 0
    """Containers and pods that it describes."""
    silenced: int = 0
    """Findings that the configuration silences."""
    failures: tuple[Failure, ...] = ()


def matcher(signatures: Iterable[Signature] | None = None) -> Matcher:
    """The patterns of the catalogue, or of these signatures, and those that pasted text alone has."""
    chosen = catalogue.signatures().values() if signatures is None else signatures
    patterns = {pattern.key: pattern for signature in chosen for pattern in signature.patterns}
    return Matcher((*patterns.values(), *pastedkernel.PATTERNS))


def diagnose(pasted: Pasted, signatures: Iterable[Signature] | None = None, decided: Policy | None = None) -> Diagnosis:
    """Judges one text; raises nothing that is not a defect."""
    known = catalogue.signatures().values() if signatures is None else signatures
    chosen = [one if one.quiet_after is None else replace(one, quiet_after=None) for one in known]
    described = documents(pasted.head)
    looks = [_Look(one, _moment(one, pasted.read_at), LOOK_BACK) for one in described]
    log = _log(pasted)
    if log is not None:
        looks = [_joined(log, looks[0], pasted)] if len(looks) == 1 else [log, *looks]
    reports = [_judge(chosen, look, decided) for look in looks]
    places = Places(pasted, described, {s.id: s for s in chosen})
    found = [places.of(finding) for report in reports for finding in _proved(report.findings)]
    return Diagnosis(
        found=tuple(Diagnosed(finding, lines) for finding, lines in found),
        documents=len(described),
        silenced=sum(len(list(_proved(report.silenced))) for report in reports),
        failures=tuple(failure for report in reports for failure in report.failures),
    )


class _Look(NamedTuple):
    """A deployment, the moment at which it is looked at, and how far back."""

    deployment: Deployment
    now: datetime
    window: timedelta


def _log(pasted: Pasted) -> _Look | None:
    """The log as a deployment; ``None`` where nothing matched."""
    if not pasted.hits:
        return None
    first, last = _span(pasted)
    now = last if last.year == MAXYEAR else last + AFTERWARDS
    replicas = [
        Replica(id=identity, name=name or "log", state="running", sampled_at=now)
        for identity, name in pasted.streams.items()
    ]
    if replicas:
        replicas[0] = replace(replicas[0], events=pastedkernel.events(pasted.hits, last))
    deployment = Deployment(
        id=LOG,
        target=PASTED,
        name="log",
        kind="process" if "journal" in pasted.origins else "container",
        framework="fastapi",
        recognised_by="it was pasted",
        replicas=tuple(replicas),
        hits=tuple(hit for hit in pasted.hits if hit.key not in _KERNEL),
        logs=LogCoverage("followed", since=first, until=now),
    )
    return _Look(deployment, now, max(LOOK_BACK, now - first + AFTERWARDS))


def _joined(log: _Look, described: _Look, pasted: Pasted) -> _Look:
    """One container or pod and lines beside it: they are taken to be its own, so that one can explain the other."""
    replicas = list(described.deployment.replicas)
    main = next((index for index, one in enumerate(replicas) if one.events), 0)
    now, window = described.now, described.window
    if any(mark.at is not None for hit in pasted.hits for mark in hit.marks):
        now = max(now, log.now)
        window = max(window, now - min(described.now, log.now - log.window + LOOK_BACK))
    events = (*replicas[main].events, *pastedkernel.events(pasted.hits, now))
    replicas[main] = replace(replicas[main], events=events)
    deployment = replace(
        described.deployment,
        replicas=tuple(replicas),
        hits=tuple(replace(hit, replica=replicas[main].id) for hit in log.deployment.hits),
        logs=log.deployment.logs,
    )
    return _Look(deployment, now, window)


def _span(pasted: Pasted) -> tuple[datetime, datetime]:
    """The first and the last time that a matching line shows."""
    moments = [mark.at for hit in pasted.hits for mark in hit.marks if mark.at is not None]
    return min(moments, default=pasted.read_at), max(moments, default=pasted.read_at)


def _moment(described: Deployment, unknown: datetime) -> datetime:
    known = [r.sampled_at for r in described.replicas if r.sampled_at is not None]
    return max(known, default=unknown) + AFTERWARDS


def _judge(signatures: Sequence[Signature], look: _Look, decided: Policy | None) -> Report:
    identity = look.deployment.id
    state = TargetState(
        target=PASTED,
        link=Link("live", since=look.now),
        as_of=look.now,
        deployments={identity: look.deployment},
        changed=frozenset({identity}),
        complete=True,
    )
    return Tracker(signatures, look.window, decided).advance(Snapshot(look.now, {PASTED: state}), History(), look.now)


def _proved(findings: Mapping[DeploymentId, Sequence[Finding]]) -> Iterator[Finding]:
    return (finding for many in findings.values() for finding in many if _is_proved(finding))


def _is_proved(finding: Finding) -> bool:
    """A log proves only what its lines say: of what runs there nothing else is known."""
    return finding.deployment != LOG or any(one.source in _TELLS for one in finding.evidence)
