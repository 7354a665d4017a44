"""With whose credentials which server is asked: passwords are given once, and nothing is guessed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from console.databases import DatabaseWatch, Place
from console.pooled import PooledBoard
from console.supervise import Defects
from console.wanted_databases import Databases
from probes.base import DeploymentId, Failure, ReplicaId, TargetId
from probes.database import attribution, connecting, failures, own, sockets
from probes.database.dsn import Dsn, parse
from probes.database.server import Asked, Looked
from probes.database.statistics import SessionRow
from probes.model import Deployment, Link, Replica, TargetState
from probes.pools import DatabaseServer
from probes.target import Variables
from tests.databases import Postgres

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DOCKER = TargetId("docker")


class Access:
    """Environments by replica; every host is at the address that it is named by."""

    def __init__(self, environments: dict[str, Mapping[str, str]]) -> None:
        self.environments = environments

    async def environment(self, replica: ReplicaId) -> Mapping[str, str]:
        return self.environments[replica]

    @asynccontextmanager
    async def dial(self, replica: ReplicaId, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
        yield host, port


class Fleet:
    """Services of one engine, and the watch that asks their servers."""

    def __init__(self) -> None:
        self.access = Access({})
        self.board = PooledBoard()
        self.told: list[tuple[Failure, ...]] = []
        targets: Any = {DOCKER: SimpleNamespace(access=self.access)}
        self.watch = DatabaseWatch(Databases(own=True), targets, self.board, Defects(), self.told.append)

    def run(self, **environments: Mapping[str, str]) -> None:
        self.access.environments = {f"{name}-1": variables for name, variables in environments.items()}
        made = [deployment(name, replica(f"{name}-1")) for name in environments]
        self.publish(*made)

    def publish(self, *made: Deployment) -> None:
        by_target: dict[TargetId, dict[DeploymentId, Deployment]] = {DOCKER: {}}
        for one in made:
            by_target.setdefault(one.target, {})[one.id] = one
        for target, found in by_target.items():
            self.board.publish(
                TargetState(target, Link("live", NOW), NOW, deployments=found, changed=frozenset(found), complete=True)
            )

    async def look(self) -> tuple[Failure, ...]:
        return await self.watch._look()


def replica(name: str, **changes: Any) -> Replica:
    return Replica(id=ReplicaId(name), name=name, state="running", **changes)


def deployment(name: str, *replicas: Replica, target: str = "docker") -> Deployment:
    return Deployment(
        id=DeploymentId(f"{target}/{name}"),
        target=TargetId(target),
        name=name,
        kind="container",
        framework="fastapi",
        recognised_by="",
        replicas=replicas,
    )


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """The credentials that a server was given, each of which it refused."""
    seen: list[tuple[str, str, str]] = []

    async def refuse(dsn: Dsn, address: str, port: int, *_: Any) -> Any:
        seen.append((address, dsn.user, dsn.password))
        await asyncio.sleep(0)
        raise asyncpg.InvalidPasswordError("no")

    monkeypatch.setattr(connecting, "connect", refuse)
    return seen


async def test_a_refused_password_is_given_once_whoever_has_it(given: list[tuple[str, str, str]]) -> None:
    fleet = Fleet()
    old = {"DATABASE_URL": "postgresql://app:old@127.0.0.9/shop"}
    fleet.run(**{f"svc{n}": old for n in range(8)}, other={"DATABASE_URL": "postgresql://app:old@127.0.0.9/orders"})
    assert [f.code for f in await fleet.look()] == ["wrong-password"]
    assert given == [("127.0.0.9", "app", "old")]
    fleet.run(recreated=old)
    assert [f.code for f in await fleet.look()] == ["wrong-password"]
    assert len(given) == 1, "a new replica has the same password"
    fleet.run(mended={"DATABASE_URL": "postgresql://app:new@127.0.0.9/shop"})
    await fleet.look()
    assert given[1:] == [("127.0.0.9", "app", "new")], "another password is another matter"


async def test_a_real_server_sees_one_failed_login_of_eight_services(postgres: Postgres) -> None:
    fleet = Fleet()
    wrong = {"DATABASE_URL": postgres.dsn("pooled", "rotated-s3cret", host="127.0.0.1")}
    fleet.run(**{f"svc{n}": wrong for n in range(8)})
    for _ in range(2):
        assert [f.code for f in await fleet.look()] == ["wrong-password"]
    log = (postgres.folder / "log").read_text()
    assert log.count('password authentication failed for user "pooled"') == 1


@pytest.mark.parametrize(
    ("said", "times"), [('LDAP authentication failed for user "app"', 1), ("no pg_hba.conf entry, SSL encryption", 2)]
)
async def test_what_ldap_refuses_is_not_given_again_without_tls(
    said: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    async def connect(**how: Any) -> Any:
        tried.append(how["ssl"])
        raise asyncpg.InvalidAuthorizationSpecificationError(said)

    monkeypatch.setattr(asyncpg, "connect", connect)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError) as raised:
        await connecting.connect(parse("postgresql://app:pw@db/shop"), "127.0.0.9", 5432)
    assert len(tried) == times
    assert failures.refused(raised.value, pooler=False) is (times == 1)


POD, TWIN, ELSEWHERE, PUBLIC = "10.244.1.5", "10.244.7.9", "10.8.0.2", "2a01:4f8::5"


def pods_of(context: str, *addresses: str) -> Deployment:
    pods = [replica(f"api-{n}", addresses={"pod": address}) for n, address in enumerate(addresses)]
    return deployment("ns/Deployment/api", *pods, target=f"k8s/{context}")


@pytest.mark.parametrize(
    ("server", "pods", "counted"),
    [
        ("203.0.113.10", {"kind": POD}, 0),  # what arrives there as private is of a network beside that server
        ("2001:4860::1", {"kind": POD}, 0),
        ("10.0.0.5", {"kind": POD}, 1),
        ("127.0.0.1", {"kind": POD}, 1),
        ("10.0.0.5", {"kind": POD, "prod": TWIN}, 0),
        ("127.0.0.1", {"kind": POD, "prod": POD}, 0),
        ("127.0.0.1", {"kind": f"{POD} {TWIN}", "prod": TWIN}, 0),  # no address of its own, and yet the same range
        ("10.0.0.5", {"kind": POD, "prod": ELSEWHERE}, 1),
        ("203.0.113.10", {"kind": PUBLIC}, 1),
    ],
)
async def test_a_pods_private_address_is_believed_only_where_no_other_cluster_may_have_it(
    server: str, pods: Mapping[str, str], counted: int
) -> None:
    fleet = Fleet()
    fleet.publish(*(pods_of(context, *addresses.split()) for context, addresses in pods.items()))
    session = SessionRow(address=pods["kind"].split()[0], port=5, application="", state="idle")
    looked = Looked(DatabaseServer("db:5432", "postgresql", NOW), (session,))
    snapshot = fleet.board.snapshot()
    whose = await fleet.watch._whose(snapshot, snapshot.deployments(), {Place(server, 5432): looked}, {})
    ((_, by_address, by_socket),) = whose.values()
    sessions, nobodys = attribution.attribute(looked.sessions, by_address, by_socket)
    assert {d: len(s) for d, s in sessions.items()} == ({"k8s/kind/ns/Deployment/api": 1} if counted else {})
    assert nobodys == 1 - counted


async def test_addresses_at_a_server_inside_a_cluster_are_that_clusters_pods() -> None:
    fleet = Fleet()
    fleet.publish(pods_of("kind", "10.244.0.9"), pods_of("prod", "10.244.0.9"))
    sessions = (SessionRow(address="10.244.0.9", port=5, application="", state="idle"),)
    looked = Looked(DatabaseServer("db:5432", "postgresql", NOW), sessions)
    snapshot = fleet.board.snapshot()
    for inside in ("kind", "prod"):
        place = Place("10.244.0.5", 5432, TargetId(f"k8s/{inside}"))
        whose = await fleet.watch._whose(snapshot, snapshot.deployments(), {place: looked}, {})
        assert whose[place][1] == {"10.244.0.9": f"k8s/{inside}/ns/Deployment/api"}


async def test_what_may_not_be_read_is_named_once_and_what_is_whole_is_asked(given: list[tuple[str, str, str]]) -> None:
    fleet = Fleet()
    forbidden = Failure("forbidden", "the Secret shop/db", "the right `get secrets` is missing", "ask for the rule …")
    lacking = Variables({"PGHOST": "127.0.0.9", "PGUSER": "shop"}, {"PGPASSWORD": forbidden})
    whole = Variables({"ORDERS": "postgresql://app:pw@127.0.0.9/orders"}, {"REPORTS_URL": forbidden, "S_*": forbidden})
    fleet.run(half=lacking, orders=whole, more=lacking)
    told = {f.code: f for f in await fleet.look()}
    assert given == [("127.0.0.9", "app", "pw")]
    assert set(told) == {"forbidden", "wrong-password"}
    assert told["forbidden"].what.startswith("PGPASSWORD of docker/half")
    assert told["forbidden"].what.endswith(", and others")
    assert "Secret shop/db" in told["forbidden"].why
    assert await fleet.look() == tuple(told.values()), "nothing is asked again so soon, and nothing is forgotten"


@pytest.mark.parametrize(
    ("shown", "elsewhere", "expected"),
    [
        ({"DATABASE_URL": "postgresql://shop:***@db/shop"}, {}, True),
        ({}, {"DATABASE_URL": "secret shop-db/url"}, True),
        ({}, {"PGHOST": "configmap settings/host"}, True),
        ({}, {"*": "secret shop-db"}, True),
        ({}, {"*": "secret stripe", "API_KEY": "secret stripe/key"}, False),
        ({"LOG_LEVEL": "info"}, {}, False),
    ],
)
def test_a_pod_that_names_a_database_is_asked_about(
    shown: dict[str, str], elsewhere: dict[str, str], expected: bool
) -> None:
    one = replica("ns/api-1/app", environment=shown, environment_from=elsewhere)
    assert own.named(deployment("ns/Deployment/api", one, target="k8s/kind")) is expected


@pytest.mark.parametrize(("more", "counted"), [({}, 1), ({"ADMIN_URL": "postgresql://admin:pw@127.0.0.9/shop"}, None)])
async def test_one_of_two_roles_does_not_see_all_that_a_deployment_holds(
    more: Mapping[str, str], counted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(asked: Asked) -> Looked:
        session = SessionRow(address="172.18.0.2", port=5, application="", state="idle")
        return Looked(DatabaseServer(asked.dsn.name, "postgresql", NOW, hidden=1), (session,))

    monkeypatch.setattr(Asked, "look", look)
    monkeypatch.setattr(sockets, "near", lambda server, client: True)
    fleet = Fleet()
    fleet.access.environments = {"api-1": {"DATABASE_URL": "postgresql://app:pw@127.0.0.9/shop", **more}}
    fleet.publish(deployment("api", replica("api-1", addresses={"net": "172.18.0.2"})))
    assert await fleet.look() == ()
    (one,) = fleet.board.snapshot().deployments()
    assert one.pool is not None
    assert one.pool.in_use == counted


async def test_a_dsn_that_cannot_be_used_is_one_sentence_with_the_variables_name() -> None:
    fleet = Fleet()
    fleet.run(api={"DATABASE_URL": "postgresql://app:s3cret@a,b/shop"})
    for _ in range(2):
        (failure,) = await fleet.look()
        assert (failure.code, failure.what) == ("bad-dsn", "the database in DATABASE_URL of docker/api")
        assert "s3cret" not in str(failure)


async def test_a_server_is_shown_also_where_the_sockets_of_processes_are_not_read_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look(asked: Asked) -> Looked:
        rows = [SessionRow(address=one, port=5, application="", state="idle") for one in ("127.0.0.9", "172.18.0.2")]
        return Looked(DatabaseServer(asked.dsn.name, "postgresql", NOW, in_use=2), tuple(rows))

    async def late(work: object, *, within_seconds: float) -> object:
        raise TimeoutError

    monkeypatch.setattr(Asked, "look", look)
    monkeypatch.setattr(sockets, "near", lambda server, client: True)
    fleet = Fleet()
    monkeypatch.setattr(fleet.watch._aside, "call", late)
    fleet.access.environments = {"api-1": {"DATABASE_URL": "postgresql://app:pw@127.0.0.9/shop"}}
    fleet.publish(deployment("api", replica("api-1", addresses={"net": "172.18.0.2"})))
    (failure,) = await fleet.look()
    assert failure.why == "they could not be read in time"
    snapshot = fleet.board.snapshot()
    assert [(s.in_use, s.unattributed) for s in snapshot.databases] == [(2, 1)]
    (one,) = snapshot.deployments()
    assert one.pool is not None
    assert one.pool.in_use == 1
