"""Connections of pods, by the pods' own addresses, on a real cluster and a real PostgreSQL outside of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.case import KubeCase
from tests.cluster.manifests import PROBED
from tests.cluster.runner import KubeLab
from tests.console._fastops import Fastops, until
from tests.databases import PODS, Postgres, bridge
from tests.lab.case import uvicorn
from tests.parts import missing

SERVICE = Path(__file__).parents[1] / "probes" / "database" / "services" / "shop.py"


@pytest.mark.slow
def test_connections_of_pods_are_known_by_the_pods_addresses(
    cluster: Path, lab_pods: KubeLab, postgres: Postgres, tmp_path: Path
) -> None:
    host = bridge(PODS)
    if host is None:
        missing("the cluster's pods are not on a bridge of this machine", "FASTOPS_REQUIRE_CLUSTER")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}}
    case = KubeCase(
        "connected",
        uvicorn("shop:app"),
        replicas=2,
        environment={
            "DATABASE_URL": postgres.dsn(host=host).replace("postgresql://", "postgresql+asyncpg://"),
            "DB_POOL_SIZE": "2",
            "DB_MAX_OVERFLOW": "1",
            "HELD": "3",
        },
        container={
            **PROBED,
            "workingDir": "/services",
            "volumeMounts": [{"name": "code", "mountPath": "/services"}],
        },
        pod={"volumes": [{"name": "code", "configMap": {"name": "code"}}]},
        objects=({**config, "data": {"shop.py": SERVICE.read_text()}},),
    )
    running = lab_pods.start(case).ready()
    until("the connections of both pods", lambda: postgres.held("shop") == 6)
    fastops = Fastops(tmp_path / "one", kubeconfig=cluster)
    fastops.env["WATCHER"] = postgres.dsn("watcher", "watch-s3cret", "postgres", host="127.0.0.1")
    done = fastops("scan", "k8s", "-n", running.namespace, "--format", "json", "--database", "env:WATCHER")
    found = next(d for d in done.json["deployments"] if d["name"] == "connected")
    pool = found["pool"]
    assert abs(pool["in_use"] - postgres.held("shop")) <= 1
    assert pool["per_worker"] == 3
    assert pool["sessions"]["applications"] == {"shop-api": 6}
    assert "watch-s3cret" not in done.said

    own = fastops("scan", "k8s", "-n", running.namespace, "--format", "json", "--database", "own")
    found = next(d for d in own.json["deployments"] if d["name"] == "connected")
    if "private" in own.err:  # pods' addresses are not reached from here, so neither is another of their network
        assert found["pool"]["in_use"] is None
    else:
        assert abs(found["pool"]["in_use"] - postgres.held("shop")) <= 1, own.said
    assert "shop-s3cret" not in own.said
