"""Recorded reports: a small fleet with every kind of trouble, and a large one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fixes.model import ChangeId, Evidence, Finding, Offer, Open, Reference, RemedyId, Report, Severity, SignatureId
from probes.base import DeploymentId, ReplicaId, TargetId
from probes.model import (
    UNLIMITED,
    Cpu,
    Deployment,
    HttpSample,
    Limit,
    Link,
    LinkState,
    Memory,
    Replica,
    Setting,
    Snapshot,
    TargetState,
    Worker,
)

NOW = datetime(2026, 3, 1, 12, 41, 7, tzinfo=UTC)
DOCKER = TargetId("docker")
LOCAL = TargetId("local")
MIB = 1 << 20


def deployment(
    name: str,
    *,
    target: TargetId = DOCKER,
    used: int | None = 120,
    limit: int | None = 512,
    cores: float | None = 0.12,
    restarts: int | None = 0,
    probes: tuple[float, ...] = (0.004, 0.005, 0.006),
    workers: int = 2,
    state: str = "running",
    sampled: datetime = NOW,
) -> Deployment:
    """A deployment of one container; memory in MiB, probes in seconds."""
    identity = DeploymentId(f"{target}/{name}")
    replica = ReplicaId(f"c-{name}")
    master = Worker(pid=4000, replica=replica, role="master", inner_pid=1, rss_bytes=28 * MIB, pss_bytes=20 * MIB)
    each = tuple(
        Worker(
            pid=4001 + n,
            inner_pid=17 + n,
            replica=replica,
            role="worker",
            rss_bytes=None if used is None else (used - 20) * MIB // max(1, workers) + n * MIB,
            pss_bytes=None if used is None else (used - 40) * MIB // max(1, workers),
            cpu_percent=None if cores is None else 100 * cores / max(1, workers),
            open_files=42 + n,
            open_files_limit=1024,
            age_seconds=3725.0 + n,
            started_at=NOW - timedelta(seconds=3725),
        )
        for n in range(workers)
    )
    running = state == "running"
    return Deployment(
        id=identity,
        target=target,
        name=name,
        kind="container" if target == DOCKER else "process",
        framework="fastapi",
        recognised_by="gunicorn shop.main:app, fastapi 0.115 installed",
        server="gunicorn",
        server_version="27.0.1",
        desired=1,
        restarts=restarts,
        settings={
            "app": Setting(value="shop.main:app", source="command line"),
            "bind": Setting(value="0.0.0.0:8000", source="GUNICORN_CMD_ARGS"),
            "timeout": Setting(value=30, source="default"),
            "workers": Setting(value=workers, source="/app/gunicorn.conf.py"),
        },
        replicas=(
            Replica(
                id=replica,
                name=name,
                state="running" if running else "exited",
                ready=running,
                exit_code=None if running else 3,
                started_at=NOW - timedelta(hours=3, minutes=7),
                memory=Memory(
                    used_bytes=None if used is None or not running else used * MIB,
                    limit=UNLIMITED if limit is None else Limit(limited=True, value=limit * MIB),
                ),
                cpu=Cpu(used_cores=cores if running else None, limit=Limit(limited=True, value=2.0)),
                workers=(master, *each) if running and workers else (),
                loop_probes=tuple(HttpSample(at=NOW, path="/-/none", took_seconds=s, status=404) for s in probes),
                sampled_at=sampled,
            ),
        ),
    )


def finding(
    of: Deployment,
    signature: str,
    severity: Severity,
    title: str,
    evidence: tuple[Evidence, ...],
    remedies: tuple[Offer, ...] = (),
    *,
    count: int = 1,
    minutes: float = 4,
    cause: str | None = None,
) -> Finding:
    """A finding that has been there for some minutes."""
    return Finding(
        id=f"{of.id}#{signature}",
        deployment=of.id,
        signature=SignatureId(signature),
        severity=severity,
        title=title,
        since=NOW - timedelta(minutes=minutes),
        count=count,
        evidence=evidence,
        remedies=remedies,
        explained_by=None if cause is None else Reference(deployment=of.id, signature=SignatureId(cause)),
    )


def offer(identity: str, title: str, why_not: str | None = None) -> Offer:
    """A remedy beside a finding."""
    return Offer(id=RemedyId(identity), title=title, applicable=why_not is None, why_not=why_not)


def state(
    target: TargetId,
    deployments: tuple[Deployment, ...],
    link: LinkState = "live",
    why: str | None = None,
    hint: str | None = None,
) -> TargetState:
    """What a target knows."""
    return TargetState(
        target=target,
        link=Link(state=link, since=NOW - timedelta(minutes=9), why=why, hint=hint),
        as_of=NOW,
        version="29.1" if target == DOCKER else None,
        deployments={d.id: d for d in deployments},
        changed=frozenset(d.id for d in deployments),
        complete=link == "live",
    )


CHECKOUT = deployment("checkout", used=498, cores=0.42, restarts=3, probes=(0.02, 0.05, 0.31))
ORDERS = deployment("shop/orders", used=211, cores=0.02, probes=(5.0, 5.0, 5.0))
REPORTS = deployment("reports", target=LOCAL, used=88, limit=None, cores=0.7, workers=1)
GATEWAY = deployment("gateway", used=64, limit=256)
BILLING = deployment("billing", state="exited", restarts=12)
SEARCH = deployment("search", used=140, limit=1024, cores=1.31)
AUTH = deployment("auth", used=96, limit=512)

_LIMIT = offer("set-memory-limit", "Raise the memory limit")
_RECYCLE = offer("enable-worker-recycling", "Recycle workers after 1000 requests")
_RESTART = offer("restart", "Restart the replicas one at a time")
OOM = finding(
    CHECKOUT,
    "oom-killed",
    "critical",
    "worker 17 was killed by the kernel for memory",
    (
        Evidence(source="cgroup", text="oom_kill rose from 2 to 3", at=NOW, value=3, unit="kills"),
        Evidence(
            source="log",
            text="[ERROR] Worker (pid:17) was sent SIGKILL! Perhaps out of memory?",
            at=NOW - timedelta(seconds=1),
            worker=17,
        ),
        Evidence(source="inspect", text="memory limit 512 MiB", value=512 * MIB, unit="bytes"),
    ),
    (_LIMIT, _RECYCLE, _RESTART, offer("apply-gunicorn-config", "Write a gunicorn configuration", "there is no file")),
    count=3,
)
LEAK = finding(
    CHECKOUT,
    "memory-leak",
    "warning",
    "worker memory rises 4.1 MiB a minute",
    (Evidence(source="proc", text="anonymous memory of worker 18 rose 61 MiB in 15 min", worker=18, at=NOW),),
    (_RECYCLE,),
    minutes=32,
)
KILLED = finding(
    CHECKOUT,
    "worker-sigkill",
    "error",
    "worker 17 died by SIGKILL",
    (Evidence(source="log", text="[ERROR] Worker (pid:17) was sent SIGKILL!", at=NOW, worker=17),),
    (_RESTART,),
    cause="oom-killed",
)
BLOCKED = finding(
    ORDERS,
    "event-loop-blocked",
    "error",
    "the event loop stands still in time.sleep",
    (
        Evidence(source="stack", text="time.sleep(5) in slow_report", at=NOW, file="/app/shop/routes.py", line=41),
        Evidence(source="http", text="an unknown path took 5.0 s", at=NOW, value=5.0, unit="seconds"),
    ),
    (offer("profile", "Show the line that blocks"),),
)
BOOT = finding(
    BILLING,
    "missing-env",
    "critical",
    "DATABASE_URL is not set",
    (Evidence(source="log", text="pydantic_core ValidationError: database_url Field required", at=NOW),),
    (offer("advise", "Show the code to write"),),
    count=12,
)
SINGLE = finding(
    REPORTS,
    "single-process",
    "warning",
    "one process serves everything",
    (Evidence(source="proc", text="1 server process, no worker manager, 1 replica", at=NOW),),
    (offer("apply-gunicorn-config", "Run under gunicorn with 3 workers"),),
)
LOW = finding(
    GATEWAY,
    "memory-limit-low",
    "info",
    "the memory limit is 256 MiB",
    (Evidence(source="inspect", text="memory limit 256 MiB", value=256 * MIB, unit="bytes"),),
    (_LIMIT,),
)


def report(*targets: TargetState, pending: tuple[str, ...] = (), findings: tuple[Finding, ...] | None = None) -> Report:
    """A report of these targets; the usual fleet when none is given."""
    chosen = targets or (
        state(DOCKER, (CHECKOUT, ORDERS, GATEWAY, BILLING, SEARCH, AUTH)),
        state(LOCAL, (REPORTS,)),
    )
    every = (OOM, KILLED, LEAK, BLOCKED, BOOT, SINGLE, LOW) if findings is None else findings
    known = {identity for target in chosen for identity in target.deployments}
    by: dict[DeploymentId, tuple[Finding, ...]] = {}
    for each in every:
        if each.deployment in known:
            by[each.deployment] = (*by.get(each.deployment, ()), each)
    undecided = {AUTH.id: (Open(signature=SignatureId("memory-leak"), needs="30 min of memory, 4 min seen"),)}
    return Report(
        snapshot=Snapshot(taken_at=NOW, targets={t.target: t for t in chosen}),
        findings=by,
        undecided={k: v for k, v in undecided.items() if k in known},
        pending=tuple(ChangeId(each) for each in pending),
        observed_seconds=240.0,
    )


def large(count: int) -> Report:
    """A fleet of many deployments, some of them ill."""
    many = tuple(deployment(f"service-{n:05}", used=60 + n % 400, cores=(n % 70) / 50) for n in range(count))
    ill = tuple(
        finding(d, "memory-limit-low", "warning", "the memory limit is low", ())
        for n, d in enumerate(many)
        if n % 9 == 0
    )
    return report(state(DOCKER, many), findings=ill)
