"""What scripts see: unknown is null, unlimited is a value of its own, sums are honest."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from console import contract
from console.contract.pools import pool as pool_out
from fixes.model import Evidence, Finding, Offer, Report, SignatureId
from probes.base import DeploymentId, NodeId, ReplicaId, TargetId
from probes.model import (
    UNLIMITED,
    Cpu,
    Deployment,
    HttpSample,
    Limit,
    Link,
    Memory,
    Replica,
    Snapshot,
    TargetState,
    Worker,
)
from probes.orchestrator import (
    Ended,
    Managed,
    Orchestrated,
    ProbeSpec,
    Revision,
    Rollout,
    ServicePort,
    Waiting,
)
from probes.pools import DatabaseServer, Held, Pool

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DOCKER = TargetId("docker")
SHOP = DeploymentId("docker/shop/web")


def deployment(*replicas: Replica) -> Deployment:
    return Deployment(
        id=SHOP,
        target=DOCKER,
        name="web",
        kind="compose-service",
        framework="fastapi",
        recognised_by="uvicorn",
        replicas=replicas,
    )


def replica(name: str, memory: Memory, **more: object) -> Replica:
    return Replica(id=ReplicaId(name), name=name, state="running", memory=memory, **more)  # type: ignore[arg-type]


def test_memory_is_the_sum_of_the_replicas() -> None:
    told = contract.memory(
        deployment(
            replica("a", Memory(used_bytes=100, limit=Limit(True, 1000))),
            replica("b", Memory(used_bytes=50, limit=Limit(True, 1000))),
        )
    )
    assert told == contract.MemoryOut(150, True, 2000)


def test_one_unknown_replica_makes_the_sum_unknown() -> None:
    told = contract.memory(deployment(replica("a", Memory(used_bytes=100, limit=UNLIMITED)), replica("b", Memory())))
    assert told == contract.MemoryOut(None, None, None)


def test_unlimited_is_not_unknown() -> None:
    assert contract.memory(deployment(replica("a", Memory(used_bytes=1, limit=UNLIMITED)))).limited is False
    assert contract.cpu(deployment(replica("a", Memory(), cpu=Cpu(limit=UNLIMITED)))).limited is False


def test_latency_names_its_source_and_is_null_where_nothing_was_asked() -> None:
    assert contract.latency(deployment(replica("a", Memory()))) is None
    probes = tuple(HttpSample(NOW, "/x", took / 1000) for took in range(1, 13))
    told = contract.latency(deployment(replica("a", Memory(), loop_probes=probes)))
    assert told is not None
    assert told.p50_ms == 6.0
    assert told.p99_ms == 12.0
    assert "12 of them" in told.source
    assert told.requests_per_second is None


def test_a_refused_connection_is_not_a_fast_answer() -> None:
    probes = (HttpSample(NOW, "/x", 0.0001, error="refused"),)
    assert contract.latency(deployment(replica("a", Memory(), loop_probes=probes))) is None


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_values_and_enough_lie_at_or_below_it(values: list[float], share: float) -> None:
    ascending = sorted(round(v, 1) for v in values)
    found = contract.percentile(ascending, share)
    assert found in ascending
    assert sum(v <= found for v in ascending) >= share * len(ascending) - 1e-6


def test_the_report_has_every_field_of_the_contract() -> None:
    one = deployment(replica("a", Memory(used_bytes=1, limit=UNLIMITED)))
    finding = Finding(
        id=f"{SHOP}#single-process",
        deployment=SHOP,
        signature=SignatureId("single-process"),
        severity="warning",
        title="one process serves everything",
        since=NOW,
        count=1,
        evidence=(Evidence("proc", "one process"),),
        remedies=(Offer(id="advise", title="Advice", applicable=True),),  # type: ignore[arg-type]
    )
    state = TargetState(DOCKER, Link("live", NOW), NOW, deployments={SHOP: one})
    report = Report(Snapshot(NOW, {DOCKER: state}), findings={SHOP: (finding,)})
    told = msgspec.json.decode(contract.encode(contract.scan(report)))
    assert {"schema", "taken_at", "observed_seconds", "targets", "deployments"} <= told.keys()
    (only,) = told["deployments"]
    assert {
        "id",
        "target",
        "name",
        "kind",
        "namespace",
        "framework",
        "server",
        "server_version",
        "replicas",
        "restarts",
    } <= only.keys()
    assert {"coverage", "workers", "memory", "cpu", "latency", "settings", "findings", "undecided"} <= only.keys()
    assert only["latency"] is None
    assert only["memory"] == {"used_bytes": 1, "limited": False, "limit_bytes": None, "source": None}
    assert only["coverage"] == {"logs": "unread", "workers": "unread"}
    assert only["orchestrated"] is None
    assert only["findings"][0]["remedies"] == [{"id": "advise", "title": "Advice", "applicable": True, "why_not": None}]


def test_what_an_orchestrator_says_is_told_replica_by_replica_and_around_them() -> None:
    probe = ProbeSpec("readiness", "http", path="/health", port=8000)
    stuck = Replica(
        id=ReplicaId("shop/web-1/app"),
        name="web-1",
        state="restarting",
        restarts=7,
        node=NodeId("n1"),
        revision="5c9f",
        waiting=Waiting("CrashLoopBackOff", "back-off 5m0s restarting failed container"),
        last_end=Ended(NOW, "OOMKilled", exit_code=137),
        probes=(probe,),
        error="PreemptionByScheduler: default-scheduler: preempting",
        memory=Memory(limit=Limit(True, 512.0)),
        memory_request_bytes=256,
    )
    around = Orchestrated(
        services=(ServicePort("web", 80, 8000),),
        rollout=Rollout(complete=False, reason="ProgressDeadlineExceeded"),
        revisions=(Revision(2, "web-5c9f", current=True), Revision(1, "web-77aa")),
        managed=Managed("helm", "shop"),
    )
    one = msgspec.structs.replace(deployment(stuck), kind="Deployment", namespace="shop", orchestrated=around)
    state = TargetState(DOCKER, Link("live", NOW), NOW, deployments={SHOP: one})
    told = msgspec.json.decode(contract.encode(contract.scan(Report(Snapshot(NOW, {DOCKER: state})))))
    (only,) = told["deployments"]
    (pod,) = only["instances"]
    assert pod["waiting"]["reason"] == "CrashLoopBackOff"
    assert pod["last_end"]["exit_code"] == 137
    assert pod["ended_by"] == "PreemptionByScheduler: default-scheduler: preempting"
    assert (pod["node"], pod["revision"], pod["memory_limit_bytes"], pod["memory_bytes"]) == ("n1", "5c9f", 512, None)
    assert only["orchestrated"]["rollout"]["reason"] == "ProgressDeadlineExceeded"
    assert [r["number"] for r in only["orchestrated"]["revisions"]] == [2, 1]
    assert only["orchestrated"]["managed"] == {"by": "helm", "name": "shop"}
    assert only["orchestrated"]["probes"][0]["path"] == "/health"
    assert only["namespace"] == "shop"


def test_the_schema_says_which_processes_are_no_workers_of_the_deployment() -> None:
    told = msgspec.json.schema(contract.ScanOut)["$defs"]["WorkerOut"]["description"]
    assert "``beside``" in told
    assert "another server in the same container" in told
    own = Worker(pid=7, replica=ReplicaId("a"), role="server")
    other = replace(own, pid=9, beside="gunicorn admin:app on :8001")
    one = deployment(replica("a", Memory(), workers=(own,), others=(other,)))
    listed = contract.deployment(one, Report(Snapshot(NOW, {}))).workers
    assert [w.pid for w in listed if w.beside is None] == [w.pid for w in one.workers] == [7]
    assert [w.beside for w in listed if w.pid == 9] == ["gunicorn admin:app on :8001"]


def test_whose_limit_counts_for_its_connections_is_told() -> None:
    server = DatabaseServer("db:5432", "postgresql", NOW, usable=20, in_use=18, limited_by="role shop")
    one = pool_out(_with_pool(server))
    assert one is not None
    assert one.sessions is not None
    assert (one.sessions.usable, one.sessions.in_use, one.sessions.limited_by) == (20, 18, "role shop")
    whole = pool_out(_with_pool(replace(server, limited_by="")))
    assert whole is not None
    assert whole.sessions is not None
    assert whole.sessions.limited_by is None


def _with_pool(server: DatabaseServer) -> Deployment:
    return Deployment(
        id=DeploymentId("docker/web"),
        target=DOCKER,
        name="web",
        kind="container",
        framework="fastapi",
        recognised_by="fastapi 0.115 installed",
        replicas=(),
        pool=Pool("pg_stat_activity of db:5432", held=Held(server, 3)),
    )
