"""Targets, deployments and the whole report as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from console.contract.base import SCHEMA, Out
from console.contract.findings import FindingOut, UndecidedOut, finding
from console.contract.measured import CpuOut, LatencyOut, MemoryOut, cpu, latency, memory
from console.contract.pools import DatabaseOut, PoolOut, database, pool
from console.contract.replicas import InstanceOut, OrchestratedOut, coverage, instances, orchestrated
from fixes.model import Report
from probes.base import Failure
from probes.model import Deployment, Setting, TargetState, Worker


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
    """A process that serves, or manages such; one with ``beside`` is of another server in the same container."""

    pid: int
    replica: str
    role: Literal["master", "worker", "server"]
    rss_bytes: int | None
    pss_bytes: int | None
    cpu_percent: float | None
    open_files: int | None
    open_files_limit: int | None
    age_seconds: float | None
    beside: str | None
    """The other server; ``null`` for the deployment's own, which alone are counted as its workers."""


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
    pool: PoolOut | None
    """``null`` where nothing is known of its database connections."""
    settings: dict[str, Setting]
    findings: tuple[FindingOut, ...]
    undecided: tuple[UndecidedOut, ...]
    unreadable: tuple[Failure, ...]
    silenced: int
    """Findings that the configuration silences."""
    instances: tuple[InstanceOut, ...]
    orchestrated: OrchestratedOut | None
    """``null`` where no orchestrator runs it."""


class ScanOut(Out, frozen=True):
    """What ``scan --format json`` prints."""

    schema: int
    taken_at: datetime
    observed_seconds: float
    targets: tuple[TargetOut, ...]
    deployments: tuple[DeploymentOut, ...]
    interrupted: tuple[str, ...]
    """Changes that were interrupted and await ``resume``."""
    databases: tuple[DatabaseOut, ...]
    """The database servers that were asked (``--database``)."""


class WatchOut(Out, frozen=True):
    """One line of ``watch --format jsonl``."""

    at: datetime
    event: Literal["opened", "closed", "target"]
    deployment: str | None = None
    finding: FindingOut | None = None
    target: TargetOut | None = None


def scan(report: Report) -> ScanOut:
    """The report as scripts see it."""
    return ScanOut(
        schema=SCHEMA,
        taken_at=report.snapshot.taken_at,
        observed_seconds=report.observed_seconds,
        targets=tuple(target(state) for state in report.snapshot.targets.values()),
        deployments=tuple(deployment(d, report) for d in report.snapshot.deployments()),
        interrupted=tuple(report.pending),
        databases=tuple(database(one) for one in report.snapshot.databases),
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
        replicas=ReplicasOut(one.ready, one.desired),
        restarts=one.restarts,
        coverage=coverage(one),
        workers=tuple(worker(w) for r in one.replicas for w in r.processes),
        memory=memory(one),
        cpu=cpu(one),
        latency=latency(one),
        pool=pool(one),
        settings=dict(one.settings),
        findings=tuple(finding(f) for f in report.of(one.id)),
        undecided=tuple(UndecidedOut(u.signature, u.needs) for u in report.undecided.get(one.id, ())),
        unreadable=tuple(dict.fromkeys((*one.unreadable, *(f for r in one.replicas for f in r.unreadable)))),
        silenced=len(report.silenced.get(one.id, ())),
        instances=instances(one),
        orchestrated=orchestrated(one),
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
        beside=one.beside,
    )
