"""What databases say is added to what targets publish, and what did not change keeps its identity."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from console.pooled import PooledBoard
from fixes.signatures.pool_exhausted import QUEUE
from probes.base import DeploymentId, ReplicaId, TargetId
from probes.loghits import LogHit
from probes.model import Deployment, Link, Replica, TargetState, Worker
from probes.pools import DatabaseServer, Held

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DOCKER = TargetId("docker")


def _deployment(name: str, **environment: str) -> Deployment:
    key = ReplicaId(name)
    worker = Worker(pid=1, replica=key, role="server")
    replica = Replica(id=key, name=name, state="running", environment=environment, workers=(worker,))
    return Deployment(
        id=DeploymentId(f"docker/{name}"),
        target=DOCKER,
        name=name,
        kind="container",
        framework="fastapi",
        recognised_by="",
        replicas=(replica,),
    )


def _state(*deployments: Deployment, changed: tuple[Deployment, ...] | None = None) -> TargetState:
    told = deployments if changed is None else changed
    return TargetState(
        target=DOCKER,
        link=Link("live", NOW),
        as_of=NOW,
        deployments={d.id: d for d in deployments},
        changed=frozenset(d.id for d in told),
    )


def _held(connections: int) -> Held:
    return Held(DatabaseServer("db:5432", "postgresql", NOW, usable=97, in_use=20), connections)


def test_only_what_changed_is_made_anew() -> None:
    published: list[TargetState] = []
    board = PooledBoard(published.append)
    one, two = _deployment("one", DB_POOL_SIZE="5", DB_MAX_OVERFLOW="5"), _deployment("two")
    board.publish(_state(one, two))
    first = board.snapshot().deployments()
    assert first[0].pool is not None
    assert first[0].pool.capacity == 10
    assert first[1] is two
    board.publish(_state(one, two, changed=()))
    assert board.snapshot().deployments()[0] is first[0]
    board.hold({two.id: _held(4)}, (_held(4).server,))
    assert published[-1].changed == {two.id}
    again = board.snapshot()
    assert again.deployments()[0] is first[0]
    assert again.deployments()[1].pool is not None
    assert again.deployments()[1].pool.in_use == 4
    assert again.databases[0].name == "db:5432"


def test_the_peak_stays_and_a_server_that_is_gone_does_not() -> None:
    board = PooledBoard()
    one = _deployment("one")
    board.publish(_state(one))
    for connections in (9, 4):
        board.hold({one.id: _held(connections)}, ())
    pool = board.snapshot().deployments()[0].pool
    assert pool is not None
    assert (pool.in_use, pool.peak, pool.capacity) == (4, 9, None)
    board.hold({}, ())
    assert board.snapshot().deployments()[0] is one


def test_what_the_pool_says_of_itself_outweighs_the_environment() -> None:
    board = PooledBoard()
    one = _deployment("one", DB_POOL_SIZE="5", DB_MAX_OVERFLOW="5")
    fields = {"size": "3", "overflow": "1"}
    hit = LogHit(key=QUEUE.key, replica=one.replicas[0].id, count=1, marks=(), fields=fields)
    board.publish(_state(msgspec.structs.replace(one, hits=(hit,))))
    pool = board.snapshot().deployments()[0].pool
    assert pool is not None
    assert (pool.per_worker, pool.source) == (4, "pool by SQLAlchemy's error")


def test_a_deployment_that_left_takes_its_pool_along() -> None:
    board = PooledBoard()
    one = _deployment("one", DB_POOL_SIZE="5")
    board.publish(_state(one))
    board.publish(_state(changed=(one,)))
    assert board.snapshot().deployments() == ()
    board.publish(_state(one))
    assert board.snapshot().deployments()[0].pool is not None
