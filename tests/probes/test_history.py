"""Which numbers of a deployment become series, and at what time."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import history as module
from probes.base import DeploymentId, ReplicaId, TargetId
from probes.history import CAPACITY, LEAST, SERIES_KEPT, History, Ring, SeriesKey, numbers
from probes.model import Cpu, Deployment, Latency, Link, Memory, Replica, TargetState, Worker

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_cpu_that_was_measured_later_gives_no_other_number_a_new_time() -> None:
    later = NOW + timedelta(seconds=30)
    replica = Replica(
        id=ReplicaId("web-1"),
        name="web-1",
        state="running",
        memory=Memory(used_bytes=7, oom_kills=1),
        cpu=Cpu(used_cores=0.2, throttled_ratio=0.5, at=later),
        workers=(Worker(pid=9, replica=ReplicaId("web-1"), role="worker", rss_bytes=5),),
        sampled_at=NOW,
    )
    deployment = Deployment(
        id=DeploymentId("k8s/c/shop/Deployment/web"),
        target=TargetId("k8s/c"),
        name="web",
        kind="Deployment",
        framework="fastapi",
        recognised_by="fastapi 0.115 installed",
        replicas=(replica,),
    )
    found = {(key.metric, key.label): (at, value) for key, at, value in numbers(deployment)}
    assert found == {
        ("cpu-cores", "web-1"): (later.timestamp(), 0.2),
        ("throttled-ratio", "web-1"): (later.timestamp(), 0.5),
        ("memory-used", "web-1"): (NOW.timestamp(), 7.0),
        ("oom-kills", "web-1"): (NOW.timestamp(), 1.0),
        ("worker-rss", "web-1/9"): (NOW.timestamp(), 5.0),
    }


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
def test_a_series_takes_no_point_that_is_no_number_or_an_absurd_one(bad: float) -> None:
    history, key = History(), SeriesKey(DeploymentId("docker/web"), "request-p95", "its own /metrics")
    history.add(key, 1.0, bad)
    assert history.labels(key.deployment, "request-p95") == ()
    history.add(key, 2.0, 0.5)
    assert [tuple(one) for one in history.series(key)] == [(2.0, 0.5)]


def fleet(replicas: tuple[Replica, ...]) -> TargetState:
    one = Deployment(
        id=DeploymentId("k8s/c/shop/Deployment/web"),
        target=TargetId("k8s/c"),
        name="web",
        kind="Deployment",
        framework="fastapi",
        recognised_by="fastapi 0.115 installed",
        replicas=replicas,
    )
    link = Link(state="live", since=NOW)
    changed = frozenset({one.id})
    return TargetState(target=one.target, link=link, as_of=NOW, deployments={one.id: one}, changed=changed)


def sampled(name: str, second: int) -> Replica:
    return Replica(
        id=ReplicaId(name),
        name=name,
        state="running",
        memory=Memory(used_bytes=second, oom_kills=0),
        cpu=Cpu(used_cores=0.1),
        sampled_at=NOW + timedelta(seconds=second),
    )


def test_the_series_of_pods_that_run_are_never_forgotten_however_many_there_are() -> None:
    history, key = History(), DeploymentId("k8s/c/shop/Deployment/web")
    for second in range(3):
        history.record(fleet(tuple(sampled(f"shop/web-{n}/app", second) for n in range(200))))
    assert {len(history.series(SeriesKey(key, "memory-used", f"shop/web-{n}/app"))) for n in range(200)} == {3}


def test_replicas_that_come_and_go_leave_no_more_than_a_bounded_number_of_series() -> None:
    history, key = History(), DeploymentId("k8s/c/shop/Deployment/web")
    for second in range(SERIES_KEPT * 2):
        history.record(fleet((sampled(f"{1000 + second}:77", second),)))
    kept = [label for metric in ("memory-used", "cpu-cores", "oom-kills") for label in history.labels(key, metric)]
    assert len(kept) <= SERIES_KEPT
    assert f"{1000 + SERIES_KEPT * 2 - 1}:77" in kept


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=6 * LEAST), st.integers(8, LEAST))
def test_a_thinned_series_keeps_its_peak_its_low_and_its_last_value(values: list[float], capacity: int) -> None:
    ring = Ring()
    for at, value in enumerate(values):
        ring.add(float(at), value, capacity)
    kept = [point.value for point in ring.points]
    assert len(kept) <= capacity
    assert (max(kept), min(kept), kept[-1]) == (max(values), min(values), values[-1])
    assert [p.at for p in ring.points] == sorted({p.at for p in ring.points})


def test_all_series_together_are_bounded_and_still_keep_their_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALL_POINTS", 4 * CAPACITY)
    history, of, chance = History(), DeploymentId("docker/web"), random.Random(7)
    keys = [SeriesKey(of, "memory-used", str(n)) for n in range(40)]
    peaks = {key: chance.randrange(CAPACITY) for key in keys}
    for second in range(CAPACITY):
        for key in keys:
            history.add(key, float(second), 9.0 if peaks[key] == second else chance.random())
    held = [history.series(key) for key in keys]
    assert sum(map(len, held)) <= 40 * LEAST
    assert all(max(point.value for point in points) == 9.0 for points in held)


@pytest.mark.parametrize("probed", [False, True])
def test_the_rate_of_users_is_kept_whoever_tells_the_percentiles(probed: bool) -> None:
    told = Latency(NOW, p95_seconds=0.2, requests_per_second=7.5, source="access log; percentiles: …", probed=probed)
    one = msgspec.structs.replace(fleet(()).deployments[DeploymentId("k8s/c/shop/Deployment/web")], latency=told)
    found = {(key.metric, key.label): value for key, _, value in numbers(one)}
    assert found[("request-rate", "access log")] == 7.5
    assert (("request-p95", told.source) in found) is not probed
