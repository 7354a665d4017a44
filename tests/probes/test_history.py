"""Which numbers of a deployment become series, and at what time."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from probes.base import DeploymentId, ReplicaId, TargetId
from probes.history import History, SeriesKey, numbers
from probes.model import Cpu, Deployment, Memory, Replica, Worker

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
