"""Whose a connection is, and what a deployment may open: nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from probes import pooltext
from probes.base import DeploymentId, ReplicaId, TargetId
from probes.database import attribution, budget, processlist, sockets
from probes.database.budget import Found, Stated
from probes.database.statistics import Limit, SessionRow
from probes.model import Deployment, Replica, Worker
from probes.orchestrator import Orchestrated, Rollout
from probes.pools import DatabaseServer, Held, Pool, Variables

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _replica(name: str, *, address: str = "", workers: int = 1, **changes: object) -> Replica:
    made = Replica(
        id=ReplicaId(name),
        name=name,
        state="running",
        addresses={"net": address} if address else {},
        workers=tuple(Worker(pid=n + 1, replica=ReplicaId(name), role="worker") for n in range(workers)),
    )
    return msgspec.structs.replace(made, **changes)


def _deployment(name: str, *replicas: Replica, **changes: object) -> Deployment:
    made = Deployment(
        id=DeploymentId(f"docker/{name}"),
        target=TargetId("docker"),
        name=name,
        kind="container",
        framework="fastapi",
        recognised_by="",
        replicas=replicas,
    )
    return msgspec.structs.replace(made, **changes)


def _server(**changes: object) -> DatabaseServer:
    return msgspec.structs.replace(DatabaseServer("db:5432", "postgresql", NOW, usable=97, in_use=48), **changes)


def _session(address: str | None, port: int = 1, **changes: object) -> SessionRow:
    return msgspec.structs.replace(SessionRow(address, port, "", "idle"), **changes)


def test_an_address_of_two_deployments_is_nobodys() -> None:
    one = _deployment("one", _replica("a", address="172.18.0.2"))
    two = _deployment("two", _replica("b", address="172.18.0.3"), _replica("c", address="172.18.0.2"))
    assert attribution.addresses([one, two]) == {"172.18.0.3": two.id}


def test_who_shares_anothers_network_takes_its_address_from_it() -> None:
    one = _deployment("one", _replica("a", address="172.18.0.2"))
    beside = _deployment("two", _replica("b", network_mode="container:a"))
    assert attribution.addresses([one, beside]) == {}


def test_the_machines_own_address_says_nothing() -> None:
    assert attribution.addresses([_deployment("one", _replica("a", address="10.0.0.1", network_mode="host"))]) == {}


def test_sessions_go_to_their_address_or_socket_and_the_rest_to_nobody() -> None:
    one, two = DeploymentId("docker/one"), DeploymentId("local/two")
    sessions = [
        _session("172.18.0.2"),
        _session("::ffff:172.18.0.2"),
        _session("127.0.0.1", 4000),
        _session("127.0.0.1", 4001),
        _session(None),
        _session("127.0.0.1", 5000, own=True),
    ]
    whose, nobodys = attribution.attribute(sessions, {"172.18.0.2": one}, {("127.0.0.1", 4000): two})
    assert {d: len(s) for d, s in whose.items()} == {one: 2, two: 1}
    assert nobodys == 2


def test_none_at_all_is_known_only_where_nobody_else_may_hold_some() -> None:
    assert attribution.held(_server(), [], own=True).connections == 0
    assert attribution.held(_server(unattributed=3), [], own=True).connections is None
    assert attribution.held(_server(hidden=1), [], own=True).connections is None
    assert attribution.held(_server(hidden=1), [_session("a")], own=False).connections is None
    assert attribution.held(_server(hidden=1), [_session("a")], own=True).connections == 1


def test_an_address_is_believed_on_this_machine_alone() -> None:
    assert sockets.near("127.0.0.1", "172.18.0.2")
    assert not sockets.near("203.0.113.9", "172.18.0.2")
    assert not sockets.near("db", "172.18.0.2")


def test_the_budget_is_a_workers_pool_times_workers_times_replicas() -> None:
    one = _deployment("one", _replica("a", workers=2), _replica("b", workers=2), desired=2)
    pool = budget.pool(one, Stated(5, 10, "SQLAlchemy's error"), Held(_server(), 12), 14)
    assert pool is not None
    assert (pool.per_worker, pool.capacity, pool.in_use) == (15, 60, 12)
    assert pooltext.sentence(pool) == "pool 12 of 60 (2 × 2 × (5+10)); server 48 of 97 in use"


def test_the_variables_that_the_source_names_count_where_its_numbers_are_in_force() -> None:
    one, read = _deployment("one", _replica("a", workers=2)), Variables(("SHOP_CONNECTIONS",))
    code = Found(code=Stated(5, 10, "source db.py:3", read))
    for said, expected in ((None, read), (Stated(5, 10, "log"), read), (Stated(20, 10, "log"), None)):
        pool = budget.pool(one, said, None, None, code)
        assert pool is not None
        assert pool.variables == expected


def test_a_rollout_opens_more() -> None:
    around = Orchestrated(rollout=Rollout(complete=True, max_surge=1))
    one = _deployment("one", _replica("a", workers=2), desired=3, orchestrated=around)
    pool = budget.pool(one, Stated(5, 5, "x"), None, None)
    assert pool is not None
    assert (pool.capacity, pool.product) == (80, "2 × (3+1) × (5+5)")


def test_sizes_come_from_variables_of_the_usual_names_and_no_others() -> None:
    def stated(**environment: str) -> tuple[int, int | None] | None:
        found = budget.by_environment(_replica("a", environment=environment))
        return None if found is None else found[:2]

    assert stated(DB_POOL_SIZE="5", DB_MAX_OVERFLOW="10") == (5, 10)
    assert stated(POOL_SIZE="5") == (5, None)
    assert stated(DB_POOL_SIZE="5", MAX_OVERFLOW="-1") == (5, -1)
    assert stated(DB_POOL_MAX_SIZE="20") == (20, 0)
    assert stated(THREAD_POOL_SIZE="5", DB_POOL_SIZE="many") is None


def test_what_is_not_known_is_said_and_makes_no_capacity() -> None:
    for size, overflow, words in (
        (None, None, "pool 12 open, 14 at most were seen, its size is not known"),
        (5, None, "pool 12 open, 5 per worker and an overflow that is not known"),
        (5, -1, "pool 12 open, 5 per worker and an overflow without bound"),
        (5, 5, "pool 12 open, (5+5) per worker, the number of workers is not known"),
    ):
        pool = Pool("x", 12, 14, size, overflow)
        assert pool.capacity is None
        assert pooltext.sentence(pool) == words


def test_doubts_about_a_server_stand_beside_its_numbers() -> None:
    assert pooltext.server(_server(unattributed=3, hidden=2)) == (
        "server 48 of 97 in use (3 of no known replica, 2 hidden from this role)"
    )


@pytest.mark.parametrize(
    ("limits", "usable", "in_use", "by"),
    [
        ((), 97, 48, ""),
        ((Limit("role", "shop", 20, 9),), 20, 9, "role shop"),
        ((Limit("account", "shop", 20, 9),), 20, 9, "account shop"),
        ((Limit("role", "shop", 20, 9), Limit("database", "orders", 12, 5)), 12, 5, "database orders"),
        ((Limit("role", "shop", 200, 9), Limit("role", "other", 3, 1), Limit("database", "x", 3, 1)), 97, 48, ""),
    ],
)
def test_the_least_limit_that_is_over_a_deployment_counts_and_is_named(
    limits: tuple[Limit, ...], usable: int, in_use: int, by: str
) -> None:
    session = SessionRow(address=None, port=None, application="", state="idle", role="shop", database="orders")
    held = attribution.held(_server(), [session, session], own=True, limits=limits)
    assert (held.server.usable, held.server.in_use, held.server.limited_by) == (usable, in_use, by)
    named = pooltext.server(held.server)
    assert named.startswith(f"server {in_use} of {usable} in use" + (f" by the limit of {by}" if by else ""))


def test_a_deployment_without_a_session_has_the_limit_of_its_role_and_one_of_two_roles_none() -> None:
    limits = (Limit("role", "shop", 20, 0),)
    assert attribution.held(_server(), [], own=True, limits=limits, roles={"shop"}).server.usable == 20
    assert attribution.held(_server(), [], own=True, limits=limits, roles={"shop", "admin"}).server.usable == 97


def test_mysqls_limit_of_an_account_is_its_own_where_that_is_seen() -> None:
    rows = [SessionRow(None, None, "", "idle", role=role) for role in ("shop", "shop", "cart")]
    found = {(one.name, one.most, one.in_use) for one in processlist.limits(rows, "shop", each=0, mine=30)}
    assert found == {("shop", 30, 2)}
    found = {(one.name, one.most, one.in_use) for one in processlist.limits(rows, "watcher", each=50, mine=5)}
    assert found == {("shop", 50, 2), ("cart", 50, 1)}
