"""Remedies of database connections on a real cluster, with a real PostgreSQL outside of it, there and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.wanted_databases import Databases, wanted
from probes.targets.kubernetes.rendering import lasting
from tests.cluster.case import KubeCase
from tests.cluster.manifests import PROBED, http, limits
from tests.cluster.runner import KubeLab
from tests.console._pods import Bring, Sick, account, bring, container, lab, there_and_back, watch
from tests.console._remedies import Remedied
from tests.console._watching import Watch
from tests.databases import PODS, USABLE, Postgres, bridge
from tests.lab.case import Logged, uvicorn
from tests.parts import missing

__all__ = ["account", "bring", "lab", "watch"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SERVICE = Path(__file__).parents[1] / "probes" / "database" / "services" / "shop.py"
CA = "/services/ca.pem"


@pytest.fixture(scope="module")
def databases(postgres_server: Postgres) -> Iterator[Databases]:
    """The server is asked by a role that may see everybody's sessions."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WATCHER", postgres_server.dsn("watcher", "watch-s3cret", "postgres", host="127.0.0.1"))
        yield wanted(["env:WATCHER"])


@pytest.fixture
def host(cluster: Path) -> str:
    """The address at which pods reach this machine."""
    found = bridge(PODS)
    if found is None:
        missing("the cluster's pods are not on a bridge of this machine", "FASTOPS_REQUIRE_CLUSTER")
    return found


def shop(name: str, url: str, postgres: Postgres, **more: Any) -> KubeCase:
    """A service with a pool of connections, and the authority of the database's certificate beside its code."""
    files = {"shop.py": SERVICE.read_text(), "ca.pem": postgres.certificate.read_text()}
    code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-code"}, "data": files}
    sizes = {"DB_POOL_SIZE": "2", "DB_MAX_OVERFLOW": "1", "HELD": "1"}
    return KubeCase(
        name,
        uvicorn("shop:app"),
        environment={**sizes, **more.pop("environment", {}), "DATABASE_URL": url},
        container={
            **more.pop("container", PROBED),
            "resources": limits("1Gi"),
            "workingDir": "/services",
            "volumeMounts": [{"name": "code", "mountPath": "/services"}],
        },
        pod={"volumes": [{"name": "code", "configMap": {"name": f"{name}-code"}}]},
        objects=(code,),
        **more,
    )


def test_pools_are_sized_for_what_the_server_lets_in(lab: KubeLab, watch: Watch, postgres: Postgres, host: str) -> None:
    url = postgres.dsn(host=host).replace("postgresql://", "postgresql+asyncpg://")
    sick = Sick(
        shop("oversized", url, postgres, environment={"DB_POOL_SIZE": "15", "DB_MAX_OVERFLOW": "10"}),
        "pool-oversubscribed",
        "resize-pool",
        lambda app: 0 < int(variable(app, "DB_POOL_SIZE")) <= USABLE / 2 and variable(app, "DB_MAX_OVERFLOW") == "0",
    )
    there_and_back(lab, watch, sick)


def test_tls_is_asked_for_and_then_the_certificate_verified(
    bring: Bring, watch: Watch, postgres: Postgres, host: str
) -> None:
    url = postgres.dsn("tlsonly", "tls-s3cret", "tlsonly", host=host).replace("postgresql://", "postgresql+asyncpg://")
    case = shop(
        "in-the-clear",
        f"{url}?ssl=disable",
        postgres,
        container={"readinessProbe": http(timeoutSeconds=5)},
        up=None,
        until=(Logged("no encryption"),),
    )
    running, refused = bring(case, "db-ssl-required")
    Remedied(watch, refused.deployment, "worker-boot-failed").await_found()  # nothing but a start is needed to tell
    first = lasting(running.workload())
    plan = refused.plan("require-db-ssl")
    required = refused.apply(plan)
    refused.is_gone(required)
    assert variable(container(running), "DATABASE_URL") == f"{url}?ssl=require"
    assert postgres.held("tlsonly") >= 1

    unverified = Remedied(watch, refused.deployment, "db-ssl-unverified")
    unverified.await_found()
    second = lasting(running.workload())
    assert unverified.plan("trust-db-ca").advice is not None, (
        "where the authority's certificate is has to be said first"
    )
    trusting = unverified.plan("trust-db-ca", {"ca": CA})
    verified = unverified.apply(trusting, case.name)
    unverified.is_gone(verified)
    assert variable(container(running), "DATABASE_URL") == f"{url}?ssl=verify-full"
    assert variable(container(running), "PGSSLROOTCERT") == CA
    assert postgres.held("tlsonly") >= 1
    assert "tls-s3cret" not in f"{plan}{trusting}{refused.said}{unverified.said}", "no plan shows the password"

    assert unverified.undo(verified).applied, unverified.said
    assert lasting(running.workload()) == second
    unverified.await_found()
    assert refused.undo(required).applied, refused.said
    assert lasting(running.workload()) == first
    refused.await_found()


def variable(app: Any, name: str) -> str:
    """A variable of the container, written out."""
    return str({one["name"]: one.get("value") for one in app["env"]}[name])
