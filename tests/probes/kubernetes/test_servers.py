"""Names of the cluster's DNS, and where they lead by the cluster's own data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from probes.base import ReplicaId
from probes.model import Replica
from probes.target import Unreadable
from probes.targets.kubernetes import servers
from probes.targets.kubernetes.reaching import Reaching
from probes.targets.kubernetes.servers import Name, Spot

WEB = ReplicaId("shop/web-1/app")


@pytest.mark.parametrize(
    ("host", "expected", "certain"),
    [
        ("db", [Name("db", "shop")], True),
        ("DB.", [Name("db", "shop")], True),
        ("db.data", [Name("data", "shop", "db"), Name("db", "data")], False),
        ("db.data.svc", [Name("db", "data")], True),
        ("db.data.svc.cluster.local", [Name("db", "data")], True),
        ("db-0.db.data", [Name("db", "data", "db-0")], False),
        ("db-0.db.data.svc.example.org", [Name("db", "data", "db-0")], True),
        ("a.b.c.d", [], False),
        ("../secrets", [], False),
        ("a_b", [], False),
        ("", [], False),
    ],
)
def test_a_host_is_what_the_clusters_dns_would_make_of_it(host: str, expected: list[Name], certain: bool) -> None:
    found, sure = servers.names(host, "shop")
    assert list(found) == expected
    assert sure is certain


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


def pod(name: str, address: str, *, ready: bool = True, **ports: int) -> dict[str, Any]:
    declared = [{"name": port, "containerPort": number} for port, number in ports.items()]
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "db", "ports": declared}]},
        "status": {"podIP": address, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


class Api:
    """The objects of a namespace, by the end of their list's path."""

    def __init__(self, *services: dict[str, Any], pods: Any = (), slices: Any = ()) -> None:
        self.services = {one["metadata"]["name"]: one for one in services}
        self.lists = {"pods": pods, "endpointslices": slices}
        self.asked = 0

    async def get(self, path: str, params: Any = None, *, limit: int = 0) -> bytes:
        self.asked += 1
        kind = path.rpartition("/")[2]
        if kind == "services":
            found = self.services.get(params["fieldSelector"].removeprefix("metadata.name="))
            return json.dumps({"items": [found] if found and "/shop/" in path else []}).encode()
        return json.dumps({"items": list(self.lists[kind])}).encode()

    @property
    def place(self) -> Any:
        return type("Place", (), {"target": "k8s/test"})


async def test_a_service_leads_to_a_pod_that_is_ready_and_to_the_port_that_it_names() -> None:
    pods = [pod("db-1", "10.0.0.2", ready=False, pg=5432), pod("db-2", "10.0.0.3", pg=5432), pod("db-3", "10.0.0.4")]
    named = [{"port": 6432, "targetPort": "pg"}]
    api = Api(service("db", selector={"app": "db"}, ports=named, clusterIP="10.1.1.1"), pods=pods)
    assert await servers.find(api, Name("db", "shop"), 6432) == Spot("10.0.0.3", 5432, "shop", "db-2")
    assert await servers.find(api, Name("other", "shop"), 6432) is None
    with pytest.raises(Unreadable, match="no port 5432"):
        await servers.find(api, Name("db", "shop"), 5432)
    with pytest.raises(Unreadable, match="no pod of the Service is ready"):
        await servers.find(api, Name("db", "shop", "db-1"), 6432)


async def test_a_headless_service_leads_to_the_port_itself_and_to_the_pod_that_is_named() -> None:
    pods = [pod("db-0", "10.0.0.2"), pod("db-1", "10.0.0.3")]
    api = Api(service("db", selector={"app": "db"}, clusterIP="None"), pods=pods)
    assert await servers.find(api, Name("db", "shop", "db-1"), 5432) == Spot("10.0.0.3", 5432, "shop", "db-1")


async def test_a_service_without_a_selector_leads_where_its_slices_say() -> None:
    slices = [
        {
            "ports": [{"name": "pg", "port": 5433}, {"name": "x", "port": 1}],
            "endpoints": [
                {"addresses": ["10.9.9.8"], "conditions": {"ready": False}},
                {"addresses": ["10.9.9.9"], "conditions": {}},
            ],
        }
    ]
    api = Api(service("db", ports=[{"name": "pg", "port": 5432}], clusterIP="10.1.1.1"), slices=slices)
    assert await servers.find(api, Name("db", "shop"), 5432) == Spot("10.9.9.9", 5433, "shop", None)


async def reached(api: Any, host: str, *, leads: bool = False) -> Any:
    async def inside(_: ReplicaId) -> bool:
        return leads

    reaching = Reaching(api, inside, read_only=False)
    return await reaching.reach(WEB, Replica(id=WEB, name="web-1", state="running"), host, 5432)


async def test_an_alias_and_a_name_that_the_cluster_does_not_know_are_resolved_here() -> None:
    alias = service("db", type="ExternalName", externalName="pg.example.org")
    again = service("again", type="ExternalName", externalName="db.shop.svc.cluster.local")
    for host in ("db", "again"):
        assert (await reached(Api(alias, again), host))[:3] == ("pg.example.org", 5432, None)
    assert (await reached(Api(), "db.example.org"))[:3] == ("db.example.org", 5432, None)
    for host in ("db", "db_1", "db.shop.svc"):  # on this machine, a name without a dot may mean any other server
        with pytest.raises(Unreadable, match="no Service of that name in the namespace shop"):
            await reached(Api(), host)
    looped = service("loop", type="ExternalName", externalName="loop.shop.svc")
    assert (await reached(Api(looped), "loop")).way is None


async def test_a_private_address_is_asked_only_where_the_clusters_network_is_reached() -> None:
    assert (await reached(Api(), "10.3.3.3", leads=True))[:3] == ("10.3.3.3", 5432, None)
    assert (await reached(Api(), "8.8.4.4")).way is None
    with pytest.raises(Unreadable, match="another machine may have it"):
        await reached(Api(), "10.3.3.3")
    pods = Api(service("db", selector={"app": "db"}, clusterIP="None"), pods=[pod("db-0", "10.0.0.2")])
    through = await reached(pods, "db")
    assert through.way is not None
    assert through.inside == "k8s/test"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "db.localhost", "127.0.1.1", "::1", "0.0.0.0"])
async def test_loopback_is_the_pods_and_never_this_machines(host: str) -> None:
    assert (await reached(Api(), host, leads=True)).way is not None


async def test_what_one_deployment_found_out_holds_for_the_others_of_the_same_look() -> None:
    api = Api(service("db", selector={"app": "db"}, clusterIP="None"), pods=[pod("db-0", "10.0.0.2")])

    async def inside(_: ReplicaId) -> bool:
        return False

    reaching = Reaching(api, inside, read_only=False)  # type: ignore[arg-type]
    replica = Replica(id=WEB, name="web-1", state="running")
    first, second = [await reaching.reach(WEB, replica, "db", 5432) for _ in range(2)]
    assert first.way is second.way
    assert api.asked == 2
