"""The number of workers follows CPU, memory and connections, and what must not rise does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes.catalogue import remedies
from fixes.model import Finding, RemedyId
from fixes.plan import refusal
from fixes.values import GIB, MIB, BadValue, settle
from probes.base import NodeId, ReplicaId, Value
from probes.intent import Desired
from probes.model import Cpu, Deployment, Limit, Memory, Node, Setting, Worker
from probes.orchestrator import Orchestrated
from probes.pools import DatabaseServer, Held, Pool
from probes.targets.kubernetes.patches import applied, difference
from probes.targets.kubernetes.wanted import wanted
from tests.fixes.fake import NOW, deployment, finding, replica
from tests.probes.kubernetes._objects import facts, workload

SET = remedies()[RemedyId("set-workers")]


def service(
    workers: int,
    *,
    pss: int | None = 50 * MIB,
    limit: float | None = None,
    peak: int | None = None,
    cores: float | None = None,
    pool: Pool | None = None,
    server: str = "gunicorn",
    **changes: Any,
) -> Deployment:
    role: Any = "worker" if workers > 1 or server == "gunicorn" else "server"
    one = replica(
        memory=Memory(limit=Limit(limit is not None, limit), peak_bytes=peak),
        cpu=Cpu(limit=Limit(cores is not None, cores)),
        workers=tuple(Worker(7 + i, ReplicaId("c1"), role, pss_bytes=pss) for i in range(workers)),
    )
    known: dict[str, Any] = {"server": server, "settings": {"workers": Setting(workers, "command line")}}
    return deployment(**{**known, "replicas": (one,), "pool": pool, **changes})


def asked(per_worker: int, usable: int, others: int = 0, surge: int = 0) -> Pool:
    server = DatabaseServer("db:5432", "postgresql", NOW, usable=usable, in_use=10 + others)
    return Pool("asked", 10, 10, per_worker - 1, 1, 4, 1, surge, Held(server, 10))


def about(signature: str, **facts: Value) -> Finding:
    return finding(signature, facts=facts)


def default(one: Deployment, found: Finding, node: Node | None = None) -> Value:
    return settle(SET.parameters(one, found, node), {})["workers"]


def node(cpus: int, available: int | None = None) -> Node:
    return Node(NodeId("n"), "n", cpus, 64 * GIB, available)


@pytest.mark.parametrize(
    ("one", "found", "expected"),
    [
        (service(65, cores=0.5), about("worker-count", advised=2), 2),
        (service(5, cores=1.0), about("worker-count", advised=3), 3),
        (service(1, cores=2.0), about("worker-count", advised=5), 5),
        (service(1, cores=32.0), about("worker-count", advised=65), 12),
        (service(1, cores=2.0, limit=250 * MIB), about("worker-count", advised=5), 4),
        (service(1, cores=2.0, pool=asked(10, 100, others=40)), about("worker-count", advised=5), 4),
        (service(1, cores=2.0, pool=asked(10, 100, surge=1)), about("worker-count", advised=5), 4),
        (service(4, limit=GIB, pss=300 * MIB), about("worker-count", advised=2), 2),
        (service(1, server="uvicorn", cores=1.0), about("single-process"), 3),
        (service(4, limit=512 * MIB, peak=512 * MIB), about("oom-killed"), 3),
        (service(4, limit=512 * MIB, pss=200 * MIB), about("memory-near-limit"), 2),
        (service(2, limit=512 * MIB, pss=10 * MIB), about("worker-sigkill"), 1),
        (service(8, cores=1.5), about("cpu-throttled"), 2),
        (service(8, cores=3.5), about("cpu-throttled"), 4),
        (service(8, pool=asked(10, 50)), about("pool-oversubscribed"), 4),
        (service(8), about("pool-oversubscribed", capacity=10, limit=50), 4),
    ],
)
def test_the_number_follows_what_bounds_it(one: Deployment, found: Finding, expected: int) -> None:
    assert refusal(SET, one, found) is None
    assert default(one, found) == expected


def beside(used: int, *, limit: int = GIB, workers: int = 1, peak_rss: int | None = None) -> Deployment:
    """Workers of 60 MiB each, in a container where so much is used in all."""
    them = tuple(
        Worker(7 + i, ReplicaId("c1"), "worker", rss_bytes=80 * MIB, pss_bytes=60 * MIB, peak_rss_bytes=peak_rss)
        for i in range(workers)
    )
    one = replica(
        memory=Memory(limit=Limit(True, limit), used_bytes=used), cpu=Cpu(limit=Limit(True, 4.0)), workers=them
    )
    return service(workers, replicas=(one,))


def test_what_others_in_the_container_use_is_no_room_for_workers() -> None:
    found = about("worker-count", advised=9)
    assert default(beside(60 * MIB), found) == 9
    assert default(beside(700 * MIB), found) == 2, "80 % of 1 GiB less 640 MiB holds two"
    assert default(beside(700 * MIB, workers=2), found) == 3
    assert "beside 740 MiB of others" in str(refusal(SET, beside(800 * MIB), found))
    config = remedies()[RemedyId("apply-gunicorn-config")]
    one = replace(beside(800 * MIB), server="uvicorn")
    assert "beside 740 MiB of others" in str(refusal(config, one, about("single-process")))


def test_a_worker_counts_with_the_most_that_it_had() -> None:
    found = about("worker-count", advised=9)
    assert default(beside(60 * MIB, peak_rss=80 * MIB), found) == 9
    assert default(beside(60 * MIB, peak_rss=220 * MIB), found) == 4, "60 MiB, and the 140 MiB that it gave back"


def test_without_a_limit_the_machines_memory_bounds_it() -> None:
    assert default(service(1, pss=GIB), about("single-process"), node(8, 5 * GIB)) == 5
    assert default(service(1, pss=GIB), about("single-process"), node(8, 64 * GIB)) == 12


@pytest.mark.parametrize(
    ("one", "found", "why"),
    [
        (service(1, limit=GIB), about("oom-killed"), "none to take away"),
        (service(2), about("oom-killed"), "not known"),
        (service(2, limit=100 * MIB, pss=90 * MIB), about("oom-killed"), "raise the limit"),
        (service(2, cores=1.0), about("cpu-throttled"), "fewer would not help"),
        (service(4), about("cpu-throttled"), "CPU quota is not known"),
        (service(4, pool=asked(200, 100)), about("pool-oversubscribed"), "make the pool smaller"),
        (service(4), about("pool-oversubscribed"), "not known"),
        (service(1, server="uvicorn", limit=100 * MIB), about("single-process"), "do not fit into 80 %"),
        (service(1, limit=GIB, pss=None), about("single-process"), "not known"),
        (service(1, pool=asked(60, 100)), about("single-process"), "no connections left"),
        (service(1, orchestrated=Orchestrated()), about("single-process"), "more replicas"),
        (
            service(40, kind="process", cores=2.0),
            about("worker-count", advised=5),
            "workers = 40 stands on the command",
        ),
        (
            service(4, kind="process", cores=1.0, settings={"workers": Setting(4, "GUNICORN_CMD_ARGS")}),
            about("cpu-throttled"),
            "in GUNICORN_CMD_ARGS",
        ),
        (service(1, server="hypercorn"), about("worker-count", advised=3), "can be rewritten"),
        (
            service(1, server="uvicorn", settings={"reload": Setting(True, "command line")}),
            about("single-process"),
            "reloads code",
        ),
    ],
)
def test_what_would_not_help_or_not_fit_is_refused(one: Deployment, found: Finding, why: str) -> None:
    said = refusal(SET, one, found)
    assert why in str(said)


@given(
    st.integers(2, 64),
    st.integers(1, 600).map(lambda mib: mib * MIB),
    st.integers(64, 4096).map(lambda mib: mib * MIB),
    st.integers(0, 4096).map(lambda mib: mib * MIB),
    st.sampled_from(["oom-killed", "worker-sigkill", "memory-near-limit"]),
)
def test_against_memory_it_only_falls_and_fits(now: int, pss: int, limit: int, peak: int, signature: str) -> None:
    one, found = service(now, pss=pss, limit=limit, peak=peak), about(signature)
    if refusal(SET, one, found) is not None:
        return
    wanted_workers = int(default(one, found))
    assert 1 <= wanted_workers < now
    assert wanted_workers * max(pss, peak // now) <= 0.8 * limit
    with pytest.raises(BadValue):
        settle(SET.parameters(one, found, None), {"workers": now})


@given(
    st.integers(1, 8),
    st.integers(1, 600).map(lambda mib: mib * MIB),
    st.integers(64, 8192).map(lambda mib: mib * MIB),
    st.integers(1, 60),
    st.integers(1, 500),
    st.integers(0, 400),
    st.integers(0, 3),
)
def test_what_it_rises_to_fits_memory_and_connections(
    now: int, pss: int, limit: int, per_worker: int, usable: int, others: int, surge: int
) -> None:
    one = service(now, pss=pss, limit=limit, pool=asked(per_worker, usable, others, surge))
    found = about("worker-count", advised=now + 4)
    if refusal(SET, one, found) is not None:
        return
    (parameter,) = SET.parameters(one, found, None)
    most = int(parameter.maximum or 0)
    assert now < most
    assert most * pss <= 0.8 * limit
    assert most * per_worker * (1 + surge) + others <= 0.8 * usable


def test_one_process_that_becomes_several_needs_the_name_where_that_may_break() -> None:
    one = service(1, server="uvicorn", packages={"apscheduler": "3.10"}, drivers=("asyncpg",))
    found, values = about("single-process"), {"workers": 3}
    assert SET.confirm is not None
    assert "scheduled jobs" in str(SET.confirm(one, found, values))
    assert "connections rise by 3/1" in " ".join(SET.cautions(one, found, values))
    assert SET.confirm(service(2, packages={"apscheduler": "3.10"}), found, values) is None
    assert "fewer requests" in SET.cautions(service(4), found, values)[0]


def test_a_lone_uvicorn_stays_under_uvicorn() -> None:
    assert SET.intend is not None
    for server, manager in (("uvicorn", "uvicorn"), ("gunicorn", None)):
        want = SET.intend(service(1, server=server), about("single-process"), {"workers": 3})
        assert want == Desired(gunicorn={"workers": 3}, server=manager)


@given(
    st.sampled_from(["", "-w 4", "--workers=4", "--workers 4"]),
    st.sampled_from([None, "4"]),
    st.sampled_from([None, "--timeout 9", "--workers 4 --timeout 9"]),
    st.booleans(),
    st.integers(1, 9),
)
def test_on_kubernetes_taking_it_back_leaves_the_object_as_it_was(
    option: str, variable: str | None, arguments: str | None, in_image: bool, workers: int
) -> None:
    given_env = {"WEB_CONCURRENCY": variable, "GUNICORN_CMD_ARGS": arguments}
    env = [{"name": name, "value": value} for name, value in given_env.items() if value is not None]
    command = ["gunicorn", *option.split(), "a:b"]
    thing = workload(env=env, command=command)
    known = facts(server="gunicorn")
    if in_image:
        del thing["spec"]["template"]["spec"]["containers"][0]["command"]
        known = facts(server="gunicorn", command=tuple(command), given=frozenset({"workers"} if option else ()))
    want = Desired(gunicorn={"workers": workers})
    made = wanted(thing, want, known).thing
    assert applied(made, difference(made, thing)) == thing
    assert wanted(made, want, known).thing == made
    container = made["spec"]["template"]["spec"]["containers"][0]
    held = {one["name"]: one["value"] for one in container["env"]}
    said = " ".join([held.get("GUNICORN_CMD_ARGS", ""), *container.get("command", command)]).replace("=", " ")
    told = said.replace("-w ", "--workers ").rpartition("--workers ")[2].split()[0]
    assert int(told if "--workers" in said or "-w " in said else held.get("WEB_CONCURRENCY", 1)) == workers


def test_gunicorns_configuration_is_bounded_by_the_connections_too() -> None:
    config, found = remedies()[RemedyId("apply-gunicorn-config")], about("single-process")
    for usable, expected in ((1000, 5), (50, 4), (30, 2)):
        one = service(1, server="uvicorn", cores=2.0, pool=asked(10, usable))
        assert refusal(config, one, found) is None
        assert settle(config.parameters(one, found, None), {})["workers"] == expected
    assert "no connections left" in str(refusal(config, service(1, server="uvicorn", pool=asked(10, 20)), found))
