"""The JSON that scripts rely on: its types, and how a report becomes them.

The JSON Schema in the documentation is generated from these types. Fields are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from fixes.model import Finding, Outcome, Plan, Reference, Report, Severity, Verified
from probes.base import Failure
from probes.model import Deployment, HttpSample, Setting, TargetState, Worker

if TYPE_CHECKING:
    from fixes.diagnose import Diagnosed, Diagnosis

SCHEMA = 1


class Out(msgspec.Struct, frozen=True):
    """The base of all that is printed as JSON."""


class TargetOut(Out, frozen=True):
    """One target and what could not be read there."""

    target: str
    state: Literal["connecting", "live", "stale", "expired", "forbidden", "down"]
    as_of: datetime
    version: str | None
    why: str | None
    hint: str | None
    failures: tuple[Failure, ...]


class ReplicasOut(Out, frozen=True):
    """How many replicas are ready, of how many that should be."""

    ready: int
    desired: int | None


class WorkerOut(Out, frozen=True):
    """One process that serves requests, or a manager of such (``role``)."""

    pid: int
    replica: str
    role: Literal["master", "worker", "server"]
    rss_bytes: int | None
    pss_bytes: int | None
    cpu_percent: float | None
    open_files: int | None
    open_files_limit: int | None
    age_seconds: float | None


class MemoryOut(Out, frozen=True):
    """Memory of all running replicas; the limit is the sum of theirs."""

    used_bytes: int | None
    limited: bool | None
    limit_bytes: int | None


class CpuOut(Out, frozen=True):
    """CPU of all running replicas."""

    used_cores: float | None
    limited: bool | None
    limit_cores: float | None
    throttled_ratio: float | None


class LatencyOut(Out, frozen=True):
    """Percentiles of the named source."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    requests_per_second: float | None
    error_ratio: float | None
    source: str


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


class DeploymentOut(Out, frozen=True):
    """One deployment: what it is, what was measured and what was found."""

    id: str
    target: str
    name: str
    kind: str
    namespace: str | None
    framework: str
    recognised_by: str
    server: str | None
    server_version: str | None
    replicas: ReplicasOut
    restarts: int | None
    coverage: dict[str, str]
    workers: tuple[WorkerOut, ...]
    memory: MemoryOut
    cpu: CpuOut
    latency: LatencyOut | None
    settings: dict[str, Setting]
    findings: tuple[FindingOut, ...]
    undecided: tuple[UndecidedOut, ...]
    unreadable: tuple[Failure, ...]
    silenced: int
    """Findings that the configuration silences."""


class ScanOut(Out, frozen=True):
    """What ``scan --format json`` prints."""

    schema: int
    taken_at: datetime
    observed_seconds: float
    targets: tuple[TargetOut, ...]
    deployments: tuple[DeploymentOut, ...]
    interrupted: tuple[str, ...]
    """Changes that were interrupted and await ``resume``."""


class WatchOut(Out, frozen=True):
    """One line of ``watch --format jsonl``."""

    at: datetime
    event: Literal["opened", "closed", "target"]
    deployment: str | None = None
    finding: FindingOut | None = None
    target: TargetOut | None = None


class ChangeOut(Out, frozen=True):
    """One document of a plan and its redacted diff."""

    document: str
    diff: str
    summary: str


class PlanOut(Out, frozen=True):
    """What a fix would do."""

    deployment: str
    signature: str
    remedy: str
    title: str
    risk: str
    restart: bool
    changes: tuple[ChangeOut, ...]
    warnings: tuple[str, ...]
    confirm: str | None
    advice: str | None


class OutcomeOut(Out, frozen=True):
    """What became of it."""

    applied: bool
    verified: Verified | None
    change: str
    took_seconds: float
    why: str | None


class FixOut(Out, frozen=True):
    """What ``fix --format json`` prints."""

    schema: int
    plan: PlanOut
    outcome: OutcomeOut | None = None


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


def scan(report: Report) -> ScanOut:
    """The report as scripts see it."""
    return ScanOut(
        schema=SCHEMA,
        taken_at=report.snapshot.taken_at,
        observed_seconds=report.observed_seconds,
        targets=tuple(target(state) for state in report.snapshot.targets.values()),
        deployments=tuple(deployment(d, report) for d in report.snapshot.deployments()),
        interrupted=tuple(report.pending),
    )


def target(state: TargetState) -> TargetOut:
    """One target."""
    link = state.link
    return TargetOut(state.target, link.state, state.as_of, state.version, link.why, link.hint, state.failures)


def deployment(one: Deployment, report: Report) -> DeploymentOut:
    """One deployment with its findings."""
    return DeploymentOut(
        id=one.id,
        target=one.target,
        name=one.name,
        kind=one.kind,
        namespace=one.namespace,
        framework=one.framework,
        recognised_by=one.recognised_by,
        server=one.server,
        server_version=one.server_version,
        replicas=ReplicasOut(sum(r.ready is True for r in one.replicas), one.desired),
        restarts=one.restarts,
        coverage={"logs": one.logs.state},
        workers=tuple(worker(w) for r in one.replicas for w in r.workers),
        memory=memory(one),
        cpu=cpu(one),
        latency=latency(one),
        settings=dict(one.settings),
        findings=tuple(finding(f) for f in report.of(one.id)),
        undecided=tuple(UndecidedOut(u.signature, u.needs) for u in report.undecided.get(one.id, ())),
        unreadable=(*one.unreadable, *(f for r in one.replicas for f in r.unreadable)),
        silenced=len(report.silenced.get(one.id, ())),
    )


def worker(one: Worker) -> WorkerOut:
    """One worker."""
    return WorkerOut(
        pid=one.pid,
        replica=one.replica,
        role=one.role,
        rss_bytes=one.rss_bytes,
        pss_bytes=one.pss_bytes,
        cpu_percent=one.cpu_percent,
        open_files=one.open_files,
        open_files_limit=one.open_files_limit,
        age_seconds=one.age_seconds,
    )


def memory(one: Deployment) -> MemoryOut:
    """Sums over the running replicas; unknown as soon as one of them is."""
    running = one.running
    limits = [r.memory.limit for r in running]
    limited = _all_known([limit.limited for limit in limits])
    return MemoryOut(
        used_bytes=_whole(_sum([r.memory.used_bytes for r in running])),
        limited=limited,
        limit_bytes=_whole(_sum([limit.value for limit in limits])) if limited else None,
    )


def cpu(one: Deployment) -> CpuOut:
    """Sums over the running replicas; the throttled ratio is the worst one's."""
    running = one.running
    limits = [r.cpu.limit for r in running]
    limited = _all_known([limit.limited for limit in limits])
    throttled = [r.cpu.throttled_ratio for r in running if r.cpu.throttled_ratio is not None]
    return CpuOut(
        used_cores=_sum([r.cpu.used_cores for r in running]),
        limited=limited,
        limit_cores=_sum([limit.value for limit in limits]) if limited else None,
        throttled_ratio=max(throttled, default=None),
    )


def latency(one: Deployment) -> LatencyOut | None:
    """Percentiles of fastops' own requests to a path that no route answers; ``None`` where there are none."""
    samples: list[HttpSample] = [s for r in one.running for s in r.loop_probes]
    took = sorted(s.took_seconds * 1000 for s in samples if s.error in {None, "timeout"})
    if not took:
        return None
    return LatencyOut(
        p50_ms=percentile(took, 0.50),
        p95_ms=percentile(took, 0.95),
        p99_ms=percentile(took, 0.99),
        requests_per_second=None,
        error_ratio=None,
        source=f"fastops' own requests to a path without a route ({len(took)} of them)",
    )


def percentile(ascending: list[float], share: float) -> float:
    """The nearest-rank percentile of values in ascending order."""
    rank = max(0, min(len(ascending) - 1, round(share * len(ascending) + 0.5) - 1))
    return round(ascending[rank], 1)


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


def reference(one: Reference | None) -> ReferenceOut | None:
    """The cause of a finding."""
    return None if one is None else ReferenceOut(one.deployment, one.signature)


def plan(one: Plan) -> PlanOut:
    """A plan, without the texts of documents: those may hold secrets."""
    return PlanOut(
        deployment=one.deployment,
        signature=one.signature,
        remedy=one.remedy,
        title=one.title,
        risk=one.risk,
        restart=one.restart,
        changes=tuple(ChangeOut(c.document, c.diff, c.summary) for c in one.changes),
        warnings=one.warnings,
        confirm=one.confirm,
        advice=None if one.advice is None else f"{one.advice.text}\n\n{one.advice.code}".strip(),
    )


def outcome(one: Outcome) -> OutcomeOut:
    """An outcome."""
    return OutcomeOut(one.applied, one.verified, one.change, round(one.took_seconds, 1), one.why)


def encode(value: Out) -> str:
    """JSON, indented, as one text."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def encode_line(value: Out) -> str:
    """JSON on one line."""
    return msgspec.json.encode(value).decode()


def _sum(values: list[float | None] | list[int | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if known and len(known) == len(values) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _all_known(values: list[bool | None]) -> bool | None:
    """True or false where all agree that they are known; a mixture is not a limit of the whole."""
    if not values or None in values:
        return None
    return all(values)
