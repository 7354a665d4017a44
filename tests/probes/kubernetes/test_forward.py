"""A port of a pod through the API server: a server that is reached so, what is said of why not, and who may use it.

The relay is a pod before the PostgreSQL of these tests, which the cluster has no image of.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest

from probes.base import ReplicaId
from probes.database import connecting
from probes.database.dsn import parse
from probes.database.server import Asked, Unanswered
from probes.model import Replica
from probes.target import ReadOnly, Unreadable, Variables
from probes.targets.kubernetes import collectors
from probes.targets.kubernetes.access import ClusterAccess
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.contexts import resolve
from tests.cluster import accounts
from tests.cluster.case import KubeCase, Pods
from tests.cluster.runner import KubeLab
from tests.databases import PODS, Postgres, bridge
from tests.parts import missing

RELAY = """
import asyncio, sys
async def carry(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()
async def serve(reader, writer):
    theirs = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    await asyncio.gather(carry(reader, theirs[1]), carry(theirs[0], writer))
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", 5432) as server:
        await server.serve_forever()
asyncio.run(main())
"""
"""On loopback alone: no address of the pod leads to it, only a port that is forwarded."""
LOOK = [{"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["list", "watch"]}]


class Relayed(NamedTuple):
    config: Any
    namespace: str
    pod: str
    api: Any
    postgres: Postgres

    @property
    def replica(self) -> ReplicaId:
        return ReplicaId(f"{self.namespace}/{self.pod}/app")


def secret(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def relayed(cluster: Any, kube_api: Any, make_namespace: Any, postgres_server: Postgres) -> Iterator[Relayed]:
    """A pod with its credentials in a Secret, which is at the same time the relay that they lead to."""
    host = bridge(PODS)
    if host is None:
        missing("the cluster's pods are not on a bridge of this machine", "FASTOPS_REQUIRE_CLUSTER")
    namespace = make_namespace()
    case = KubeCase(
        "relay",
        ("python3", "-I", "-c", RELAY, host, str(postgres_server.port)),
        container={
            "env": [
                {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "shop-db", "key": "password"}}},
                {"name": "DATABASE_URL", "value": "postgresql://shop:$(DB_PASSWORD)@db/shop"},
                {"name": "STRIPE_KEY", "valueFrom": {"secretKeyRef": {"name": "stripe", "key": "key"}}},
                {"name": "PGHOST", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "host"}}},
            ]
        },
        objects=(
            secret("shop-db", password="shop-s3cret"),
            secret("stripe", key="sk_live"),
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "settings"},
                "data": {"host": "db"},
            },
            service("db", selector={"app": "relay"}, ports=[{"port": 5432, "targetPort": 5432}]),
            service("otel", selector={"app": "relay"}, ports=[{"port": 4318}]),
            service("aside", selector={"app": "relay"}, ports=[{"name": "otlp-http", "port": 8080}]),
            service("tempo", selector={"app": "relay"}, ports=[{"port": 4318}]),
            service("absent", selector={"app": "nobody"}, ports=[{"port": 4318}]),
            service("other", selector={"app": "relay"}, ports=[{"port": 5433, "targetPort": 5433}]),
        ),
        up=Pods(ready=True),
        port=None,
    )
    with KubeLab(kube_api, namespace) as lab:
        pods = lab.start(case).ready().pods()
        yield Relayed(cluster, namespace, pods[0]["metadata"]["name"], kube_api, postgres_server)


def opened(relayed: Relayed, config: Any = None, *, read_only: bool = False) -> tuple[ApiClient, ClusterAccess]:
    place = resolve("k8s", None, {"KUBECONFIG": str(config or relayed.config)})
    client = ApiClient(place, read_only=read_only)
    replica = Replica(id=relayed.replica, name=relayed.pod, state="running")
    return client, ClusterAccess(client, lambda _: replica, execute=False, read_only=read_only)


@pytest.fixture
async def access(relayed: Relayed) -> AsyncIterator[ClusterAccess]:
    client, made = opened(relayed)
    yield made
    await made.close()
    await client.close()


async def test_a_pods_own_credentials_lead_through_a_forwarded_port_to_its_server(
    relayed: Relayed, access: ClusterAccess
) -> None:
    variables = await access.environment(relayed.replica)
    assert "sk_live" not in variables.values()
    assert variables["PGHOST"] == "db"
    dsn = parse(variables["DATABASE_URL"])
    reached = await access.reach(relayed.replica, dsn.host, dsn.port)
    assert reached.way is not None
    asked = Asked(dsn, reached.address, reached.port, way=reached.way, inside=reached.inside)
    for _ in range(2):
        looked = await asked.look()
        assert looked.server.name == "db:5432"
        assert looked.server.own_encrypted  # TLS goes through as it is
        assert sum(one.own for one in looked.sessions) == 1
    before = relayed.postgres.asked()
    await asked.close()
    for mode in ("disable", "verify-full"):
        other = parse(f"{variables['DATABASE_URL']}?sslmode={mode}")
        if mode == "verify-full":
            with pytest.raises(Exception, match="certificate"):
                await connecting.connect(other, reached.address, reached.port, None, reached.way)
        else:
            connection = await connecting.connect(other, reached.address, reached.port, None, reached.way)
            await connecting.close(connection)
            assert relayed.postgres.asked() > before


async def test_a_port_on_which_nothing_listens_is_named_and_not_asked_for_again_at_once(
    relayed: Relayed, access: ClusterAccess
) -> None:
    reached = await access.reach(relayed.replica, "other", 5433)
    asked = Asked(parse("postgresql://a:b@other:5433/c"), reached.address, reached.port, way=reached.way)
    with pytest.raises(Unanswered) as first:
        await asked.look()
    assert "cannot be forwarded" in first.value.failure.why
    assert relayed.pod in first.value.failure.what
    assert reached.way is not None
    with pytest.raises(Unreadable):
        await reached.way.open()
    with pytest.raises(Unreadable, match="no port 1"):
        await access.reach(relayed.replica, "db", 1)


async def test_nothing_is_forwarded_in_read_only_mode(relayed: Relayed) -> None:
    client, access = opened(relayed, read_only=True)
    try:
        assert "DATABASE_URL" in await access.environment(relayed.replica)
        with pytest.raises(Unreadable, match="read-only"):
            await access.reach(relayed.replica, "db", 5432)
        with pytest.raises(ReadOnly):
            await client.forward(relayed.namespace, relayed.pod, 5432)
    finally:
        await client.close()


async def test_rights_that_are_missing_are_named_with_the_variable_or_the_port(relayed: Relayed, tmp_path: Any) -> None:
    account = await asyncio.to_thread(accounts.make, relayed.api, relayed.namespace, "looks", LOOK, tmp_path)
    client, access = opened(relayed, account)
    try:
        variables = await access.environment(relayed.replica)
        assert isinstance(variables, Variables)
        assert set(variables.unread) == {"DB_PASSWORD", "DATABASE_URL", "PGHOST"}
        assert variables.unread["DATABASE_URL"].why == "the right `get secrets` is missing"
        assert "secrets" in variables.unread["DATABASE_URL"].hint
        reached = await access.reach(relayed.replica, f"db.{relayed.namespace}.svc.cluster.local", 5432)
        assert reached.way is not None
        with pytest.raises(Unreadable) as refused:
            await reached.way.open()
        assert "pods/portforward` is missing" in refused.value.failure.why
        assert "pods/portforward" in refused.value.failure.hint
    finally:
        await client.close()


async def test_collectors_are_services_of_otlp_with_a_pod_that_is_ready(relayed: Relayed) -> None:
    client, _ = opened(relayed)
    try:
        found = await collectors.find(client, relayed.namespace, everywhere=True)
        own = [one for one in found if f".{relayed.namespace}.svc:" in one]
        assert own == [
            f"http://otel.{relayed.namespace}.svc:4318/v1/metrics",
            f"http://aside.{relayed.namespace}.svc:8080/v1/metrics",
        ]
        with pytest.raises(Unreadable, match="no Service has a port 4318"):
            await collectors.find(client, "kube-node-lease", everywhere=False)
    finally:
        await client.close()
