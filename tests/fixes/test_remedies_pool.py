"""Pools are sized within what the server has, where a variable holds their size, and else it is said why not."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes.catalogue import remedies
from fixes.model import Finding, RemedyId
from fixes.plan import refusal
from fixes.values import BadValue, settle
from probes.base import Value
from probes.intent import Desired, Document, Step
from probes.model import Deployment
from probes.orchestrator import Orchestrated
from probes.pools import DatabaseServer, Held, Pool, Pooled, Variables
from probes.target import Refused
from probes.targets.docker.atomic import FileWriter
from probes.targets.docker.compose import Goal, edit
from probes.targets.docker.documents import version_of
from probes.targets.docker.limits import needs_recreate
from tests.fixes.fake import NOW, deployment, finding, replica

RESIZE = remedies()[RemedyId("resize-pool")]
BOTH = {"DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "10"}
RISES = ("pool-exhausted", "pool-too-small")
FALLS = ("pool-oversubscribed", "db-connections-exhausted")


def service(
    size: int | None = 5,
    overflow: int | None = 10,
    *,
    usable: int | None = 100,
    others: int = 0,
    workers: int = 1,
    replicas: int = 1,
    surge: int = 0,
    oldest: float | None = None,
    environment: dict[str, str] | None = None,
) -> Deployment:
    server = DatabaseServer("db:5432", "postgresql", NOW, usable=usable, in_use=8 + others)
    pool = Pool(
        "asked", 8, 8, size, overflow, workers, replicas, surge, Held(server, 8, oldest_transaction_seconds=oldest)
    )
    held = BOTH if environment is None else environment
    return deployment(replicas=(replica(environment=held),) * replicas, pool=pool, capabilities={"variables": None})


def about(signature: str, **facts: Value) -> Finding:
    return finding(signature, facts=facts)


def values(one: Deployment, found: Finding, **given: Value) -> dict[str, Value]:
    return settle(RESIZE.parameters(one, found, None), given)


def wanted(one: Deployment, found: Finding, **given: Value) -> Any:
    assert RESIZE.intend is not None
    return RESIZE.intend(one, found, values(one, found, **given))


@pytest.mark.parametrize(
    ("one", "signature", "expected"),
    [
        (service(), "pool-exhausted", (20, 30)),
        (service(), "pool-too-small", (20, 30)),
        (service(usable=50), "pool-exhausted", (16, 24)),
        (service(usable=100, others=40), "pool-exhausted", (16, 24)),
        (service(usable=100, workers=2), "pool-exhausted", (16, 24)),
        (service(usable=100, surge=1), "pool-exhausted", (16, 24)),
        (service(workers=4, usable=50), "pool-oversubscribed", (5, 5)),
        (service(workers=10, usable=50), "db-connections-exhausted", (4, 0)),
    ],
)
def test_the_sizes_fit_what_the_server_has(one: Deployment, signature: str, expected: tuple[int, int]) -> None:
    found = about(signature)
    assert refusal(RESIZE, one, found) is None
    size, overflow = expected
    assert wanted(one, found) == Desired(environment={"DB_POOL_SIZE": str(size), "DB_MAX_OVERFLOW": str(overflow)})


def test_the_number_of_another_pool_is_left_alone() -> None:
    one = service(environment={**BOTH, "REDIS_POOL_SIZE": "5", "CACHE_MAX_OVERFLOW": "10"})
    assert wanted(one, about("pool-exhausted")).environment == {"DB_POOL_SIZE": "20", "DB_MAX_OVERFLOW": "30"}


@pytest.mark.parametrize(
    ("variables", "environment", "expected"),
    [
        (Variables(("SHOP_CONNECTIONS",), ("SHOP_MORE",)), {"SHOP_CONNECTIONS": "5", "SHOP_MORE": "10"}, (20, 30)),
        (Variables(("SHOP_CONNECTIONS",)), {"SHOP_CONNECTIONS": "5", "MAX_OVERFLOW": "10"}, (40, None)),
        (Variables(), {"DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "10"}, None),
        (Variables(("SHOP_CONNECTIONS",)), {"DB_POOL_SIZE": "5"}, None),
    ],
)
def test_where_the_source_names_its_variables_no_other_one_is_taken(
    variables: Variables, environment: dict[str, str], expected: tuple[int, int | None] | None
) -> None:
    one, found = service(environment=environment), about("pool-exhausted")
    assert one.pool is not None
    one = replace(one, pool=replace(one.pool, variables=variables))
    if expected is None:
        assert "where the code takes it from" in str(refusal(RESIZE, one, found))
    else:
        names = [*variables.size, *variables.overflow]
        said = {name: str(number) for name, number in zip(names, expected, strict=False)}
        assert wanted(one, found).environment == said


def test_the_log_tells_the_sizes_before_anything_else() -> None:
    one = service(None, None, environment={"POOL_SIZE": "7"})
    found = about("pool-exhausted", size=7, overflow=2)
    assert refusal(RESIZE, one, found) is None
    assert wanted(one, found) == Desired(environment={"POOL_SIZE": "48"})
    assert "1 workers × 1 replicas × (48+2) = 50" in RESIZE.cautions(one, found, values(one, found))[0]


def test_the_limit_that_the_log_names_counts() -> None:
    one = deployment(replicas=(replica(environment=BOTH),), capabilities={"variables": None})
    found = about("pool-oversubscribed", size=5, overflow=10, capacity=15, limit=10)
    assert "not known" in str(refusal(RESIZE, one, found)), "its workers are not"
    one = deployment(replicas=one.replicas, capabilities=one.capabilities, pool=Pool("env", None, None, 5, 10, 1, 1))
    assert wanted(one, found) == Desired(environment={"DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "3"})


@pytest.mark.parametrize(
    ("one", "signature", "why"),
    [
        (service(None), "pool-exhausted", "with its overflow, is not known"),
        (service(5, -1), "pool-exhausted", "with its overflow, is not known"),
        (service(environment={}), "pool-exhausted", "where the code takes it from"),
        (service(environment={"DB_POOL_SIZE": "6"}), "pool-exhausted", "where the code takes it from"),
        (service(environment={"REDIS_POOL_SIZE": "5"}), "pool-exhausted", "where the code takes it from"),
        (service(environment={"THREAD_POOL_SIZE": "5"}), "pool-too-small", "where the code takes it from"),
        (
            service(environment={"DB_POOL_SIZE": "5", "POOL_SIZE": "5"}),
            "pool-exhausted",
            "where the code takes it from",
        ),
        (service(usable=None), "pool-exhausted", "--database own"),
        (replace(service(usable=None), orchestrated=Orchestrated()), "pool-exhausted", "--database env:VAR"),
        (service(oldest=300.0), "pool-exhausted", "open for 300 s"),
        (service(20, 30, environment={"POOL_SIZE": "20"}), "pool-exhausted", "no size mends"),
        (service(usable=20, others=5), "pool-exhausted", "11 connections for each worker, and its pool may open 15"),
        (service(usable=1000), "db-connections-exhausted", "others hold"),
        (service(workers=30, usable=30), "pool-oversubscribed", "run fewer"),
        (service(workers=4, usable=50, environment={"POOL_SIZE": "5"}), "pool-oversubscribed", "run fewer"),
    ],
)
def test_what_no_size_mends_is_refused(one: Deployment, signature: str, why: str) -> None:
    assert why in str(refusal(RESIZE, one, about(signature)))


def test_where_clients_wait_in_pgbouncer_a_larger_pool_is_no_answer() -> None:
    one = service()
    assert one.pool is not None
    assert one.pool.held is not None
    for waiting in (0, 3):
        pooled = (Pooled("app", "app", 5, waiting, 5, 0),)
        server = replace(one.pool.held.server, kind="pgbouncer", pooled=pooled)
        told = replace(one, pool=replace(one.pool, held=replace(one.pool.held, server=server)))
        assert ("PgBouncer's pool" in str(refusal(RESIZE, told, about("pool-exhausted")))) is bool(waiting)
        assert "PgBouncer" not in str(refusal(RESIZE, told, about("pool-oversubscribed")))


def test_more_than_the_server_has_cannot_be_asked_for() -> None:
    one, found = service(usable=50), about("pool-exhausted")
    with pytest.raises(BadValue):
        wanted(one, found, pool_size=41)
    with pytest.raises(Refused, match="21 \\+ 20 is more than the 40"):
        wanted(one, found, pool_size=21, max_overflow=20)
    with pytest.raises(Refused, match="Name 2 variables"):
        wanted(one, found, variables="DB_PASSWORD,DB_MAX_OVERFLOW")


@given(
    st.integers(1, 60),
    st.integers(0, 60),
    st.integers(1, 300),
    st.integers(0, 200),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([*RISES, *FALLS]),
)
def test_nothing_is_asked_for_that_the_server_has_not(
    size: int, overflow: int, usable: int, others: int, workers: int, replicas: int, surge: int, both: bool, name: str
) -> None:
    environment = {"POOL_SIZE": str(size)} | ({"MAX_OVERFLOW": str(overflow)} if both else {})
    one = service(
        size, overflow, usable=usable, others=others, workers=workers, replicas=replicas, surge=surge,
        environment=environment,
    )  # fmt: skip
    if refusal(RESIZE, one, about(name)) is not None:
        return
    want = wanted(one, about(name)).environment
    total = int(want["POOL_SIZE"]) + int(want.get("MAX_OVERFLOW", overflow))
    assert int(want["POOL_SIZE"]) >= 1
    assert int(want.get("MAX_OVERFLOW", overflow)) >= 0
    assert total * workers * (replicas + surge) + others <= 0.8 * usable
    assert total > size + overflow if name in RISES else total < size + overflow


LINES = st.sampled_from(
    [
        "    environment:\n      DB_POOL_SIZE: 5   # small\n      MODE: x\n",
        "    environment:\n      - MODE=x\n      - DB_POOL_SIZE=5\n",
        '    environment: {DB_POOL_SIZE: "5", MODE: x}\n',
        "    env_file: .env\n    environment:\n      MODE: x\n",
        "    env_file: .env\n",
    ]
)


@given(LINES, st.sampled_from(["", "  db: {image: x}\n", "    ports: [80]\n"]))
@settings(max_examples=30)
def test_the_compose_file_gets_the_number_and_comes_back_byte_for_byte(lines: str, tail: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compose.yaml"
        before = "services:\n  web:\n    image: a\n" + lines + tail
        path.write_bytes(before.encode())
        labels = {
            "com.docker.compose.project.config_files": str(path),
            "com.docker.compose.project.working_dir": folder,
            "com.docker.compose.service": "web",
        }
        (one,) = edit(labels, Goal(environment={"DB_POOL_SIZE": "20"})).files
        held = yaml.safe_load(one.after)["services"]["web"]["environment"]
        said = dict(item.split("=") for item in held) if isinstance(held, list) else held
        assert str(said["DB_POOL_SIZE"]) == "20"
        documents = [Document("file:x", "compose", "x", text, version_of(text)) for text in (before, one.after)]
        point = FileWriter().perform(
            Step("write-file", "write x", *documents, str(path), {"resumable": True}), "c", str
        )
        assert path.read_text() == one.after
        FileWriter().restore(point, str)
        assert path.read_bytes() == before.encode()


def test_a_container_is_made_anew_for_a_variable() -> None:
    assert needs_recreate({}, Desired(environment={"DB_POOL_SIZE": "20"}))
