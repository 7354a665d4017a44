"""Each remedy computes its values for the deployment at hand, and says no where its guard does."""

from __future__ import annotations

import ast
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes.catalogue import documentation, remedies, signatures
from fixes.model import Evidence, Finding, Parameter, Reference, Remedy, RemedyId, SignatureId
from fixes.plan import refusal
from fixes.remedies import profile
from fixes.remedies._advice import ADVICE
from fixes.remedies._blocking import counterpart
from fixes.values import GIB, MIB, settle
from probes.base import DeploymentId, NodeId, ReplicaId, Value
from probes.intent import Desired, Restart
from probes.model import (
    Cpu,
    Deployment,
    Frame,
    Latency,
    Limit,
    Listener,
    Memory,
    Node,
    PublishedPort,
    Setting,
    StackSample,
    Worker,
)
from tests.fixes.fake import NOW, deployment, finding, replica

NINE = {
    "set-memory-limit",
    "apply-gunicorn-config",
    "set-worker-timeout",
    "enable-worker-recycling",
    "bind-all-interfaces",
    "raise-nofile",
    "restart",
    "profile",
    "advise",
}
GUNICORN = {"gunicorn": "23.0.0", "uvicorn": "0.34.0", "uvicorn-worker": "0.3.0"}
METRICS = Latency(NOW, source="its own /metrics over 1m")


def node(total: int = 16 * GIB, available: int = 8 * GIB, cpus: int = 8) -> Node:
    return Node(NodeId("n"), "n", cpus, total, available)


def limited(value: float | None) -> Limit:
    return Limit() if value is None else Limit(limited=True, value=value)


def worker(role: str = "server", pss: int | None = 50 * MIB, **changes: Any) -> Worker:
    return Worker(7, ReplicaId("c1"), role, pss_bytes=pss, **changes)  # type: ignore[arg-type]


def container(
    *,
    limit: int | None = None,
    used: int | None = None,
    peak: int | None = None,
    cores: float | None = None,
    workers: tuple[Worker, ...] = (worker(),),
    settings: dict[str, Value] | None = None,
    stop_seconds: float | None = None,
    replicas: int = 1,
    **changes: Any,
) -> Deployment:
    one = replica(
        memory=Memory(used_bytes=used, peak_bytes=peak, limit=limited(limit)),
        cpu=Cpu(limit=limited(cores)),
        workers=workers,
        stop_signal_timeout_seconds=stop_seconds,
        listeners=changes.pop("listeners", (Listener("127.0.0.1", 8000),)),
        ports=changes.pop("ports", ()),
        stacks=changes.pop("stacks", ()),
        environment=changes.pop("environment", {}),
    )
    known = {name: Setting(value, "command line") for name, value in (settings or {}).items()}
    return deployment(replicas=(one,) * replicas, settings=known, **changes)


def parameters(remedy: Remedy, one: Deployment, about: Finding, machine: Node | None = None) -> dict[str, Parameter]:
    return {p.name: p for p in remedy.parameters(one, about, machine)}


def intent(
    name: str, one: Deployment, about: Finding, values: dict[str, Value] | None = None, machine: Node | None = None
) -> Any:
    remedy = remedies()[RemedyId(name)]
    assert remedy.intend is not None
    return remedy.intend(one, about, settle(remedy.parameters(one, about, machine), values or {}))


def why_not(name: str, one: Deployment, about: Finding) -> str | None:
    return refusal(remedies()[RemedyId(name)], one, about)


def test_the_catalogue_holds_the_nine() -> None:
    assert set(remedies()) >= NINE


@pytest.mark.parametrize("name", sorted(NINE))
def test_every_remedy_is_documented_and_either_intends_or_advises(name: str) -> None:
    remedy = remedies()[RemedyId(name)]
    text = documentation("remedies", name)
    assert "What it does:" in text
    assert "When it is right:" in text
    assert "Risk:" in text
    assert (remedy.intend is None) != (remedy.advise is None)


# set-memory-limit


@pytest.mark.parametrize(
    ("signature", "state", "expected"),
    [
        ("memory-limit-low", {"limit": 256 * MIB, "peak": 200 * MIB}, GIB),
        ("memory-limit-low", {"limit": 256 * MIB, "peak": 1000 * MIB}, 1500 * MIB),
        ("memory-limit-low", {"limit": 256 * MIB, "peak": 1000 * MIB + 1}, 1501 * MIB),
        ("oom-killed", {"limit": 1 * GIB, "peak": 300 * MIB}, 1536 * MIB),
        ("oom-killed", {"limit": None}, GIB),
        ("memory-limit-low", {"limit": 3 * GIB, "peak": 1 * GIB}, 3 * GIB),
    ],
)
def test_the_memory_limit_follows_the_peak_and_the_limit_that_was_hit(
    signature: str, state: dict[str, Any], expected: int
) -> None:
    wanted = intent("set-memory-limit", container(**state), finding(signature), machine=node())
    assert wanted == Desired(memory_limit_bytes=expected)


def test_the_peak_that_the_finding_saw_counts() -> None:
    about = finding("memory-limit-low", facts={"peak_bytes": 2 * GIB})
    assert intent("set-memory-limit", container(limit=256 * MIB), about).memory_limit_bytes == 3 * GIB


def test_the_memory_limit_is_capped_by_what_the_machine_can_give() -> None:
    crowded = container(limit=1 * GIB, used=900 * MIB, peak=3 * GIB, replicas=2)
    remedy = remedies()[RemedyId("set-memory-limit")]
    limit = parameters(remedy, crowded, finding("oom-killed"), node(available=2 * GIB))["limit"]
    assert limit.maximum == int(0.9 * 1 * GIB / MIB + 900) * MIB
    assert limit.default == limit.maximum
    assert limit.minimum == 1000 * MIB


def test_a_machine_without_room_refuses_in_one_sentence() -> None:
    remedy = remedies()[RemedyId("set-memory-limit")]
    given = remedy.parameters(container(limit=256 * MIB), finding("oom-killed"), node(available=100 * MIB))
    with pytest.raises(Exception, match="at least 512 MiB is needed and at most 90 MiB is possible"):
        settle(given, {})


@given(
    limit=st.none() | st.integers(6 * MIB, 64 * GIB),
    used=st.none() | st.integers(0, 64 * GIB),
    peak=st.none() | st.integers(0, 64 * GIB),
    available=st.integers(0, 64 * GIB),
)
def test_the_advised_limit_is_whole_safe_and_within_bounds(
    limit: int | None, used: int | None, peak: int | None, available: int
) -> None:
    remedy = remedies()[RemedyId("set-memory-limit")]
    one = container(limit=limit, used=used, peak=peak)
    found = parameters(remedy, one, finding("oom-killed"), node(total=64 * GIB, available=available))["limit"]
    assert found.minimum is not None
    assert found.maximum is not None
    assert int(found.default) % MIB == 0
    assert int(found.default) >= max(512 * MIB, (used or 0) / 0.9)
    if found.minimum <= found.maximum:
        assert found.minimum <= int(found.default) <= found.maximum


# apply-gunicorn-config


def test_the_generated_gunicorn_configuration_is_the_documented_one() -> None:
    one = container(
        server="uvicorn", packages=GUNICORN, cores=2.0, limit=GIB, settings={"host": "127.0.0.1", "port": 8080}
    )
    assert intent("apply-gunicorn-config", one, finding("single-process"), machine=node()) == Desired(
        server="gunicorn",
        gunicorn={
            "bind": "0.0.0.0:8080",
            "workers": 5,
            "worker_class": "uvicorn_worker.UvicornWorker",
            "timeout": 60,
            "graceful_timeout": 8,
            "max_requests": 1000,
            "max_requests_jitter": 100,
            "keepalive": 5,
            "worker_tmp_dir": "/dev/shm",
            "accesslog": "-",
            "errorlog": "-",
        },
    )


@pytest.mark.parametrize(
    ("state", "workers"),
    [
        ({"cores": 0.5}, 2),
        ({"cores": 1.5}, 4),
        ({"cores": None}, 17),
        ({"cores": 4.0, "limit": 512 * MIB}, 8),
        ({"cores": 4.0, "limit": 256 * MIB}, 4),
        ({"cores": 4.0, "limit": 100 * MIB}, 1),
        ({"cores": 4.0, "limit": 256 * MIB, "workers": (worker(pss=None, rss_bytes=100 * MIB),)}, 2),
        ({"cores": 4.0, "limit": 256 * MIB, "workers": (worker(pss=None),)}, 9),
    ],
)
def test_workers_follow_the_quota_and_fit_into_memory(state: dict[str, Any], workers: int) -> None:
    one = container(server="uvicorn", packages=GUNICORN, **state)
    wanted = intent("apply-gunicorn-config", one, finding("dev-server"), machine=node())
    assert wanted.gunicorn["workers"] == workers


def test_more_workers_than_fit_are_refused_also_when_asked_for() -> None:
    one = container(server="uvicorn", packages=GUNICORN, cores=4.0, limit=256 * MIB)
    with pytest.raises(Exception, match="workers can be at most 4 processes here"):
        intent("apply-gunicorn-config", one, finding("single-process"), {"workers": "5"})


def test_one_process_stays_alone_where_two_do_not_fit() -> None:
    one = container(server="uvicorn", packages=GUNICORN, limit=100 * MIB)
    assert "raise the limit first" in (why_not("apply-gunicorn-config", one, finding("single-process")) or "")


@pytest.mark.parametrize(
    ("packages", "settings", "server", "worker_class"),
    [
        (GUNICORN, {}, "uvicorn", "uvicorn_worker.UvicornWorker"),
        ({"gunicorn": "23.0.0", "uvicorn_worker": "0.3"}, {}, "uvicorn", "uvicorn_worker.UvicornWorker"),
        ({"gunicorn": "25.1.0", "uvicorn": "0.40"}, {}, "uvicorn", "asgi"),
        ({"gunicorn": "23.0.0", "uvicorn": "0.29"}, {}, "uvicorn", "uvicorn.workers.UvicornWorker"),
        ({"gunicorn": "27.0.1"}, {"worker_class": "asgi"}, "gunicorn", "asgi"),
        (GUNICORN, {"worker_class": "uvicorn.workers.UvicornWorker"}, "gunicorn", "uvicorn_worker.UvicornWorker"),
        (GUNICORN, {"worker_class": "my.UvicornWorker"}, "gunicorn", "my.UvicornWorker"),
        (GUNICORN, {"worker_class": "sync"}, "gunicorn", "uvicorn_worker.UvicornWorker"),
    ],
)
def test_the_worker_class_is_one_that_the_service_can_import(
    packages: dict[str, str], settings: dict[str, Value], server: str, worker_class: str
) -> None:
    one = container(server=server, packages=packages, settings=settings)
    wanted = intent("apply-gunicorn-config", one, finding("single-process"))
    assert wanted.gunicorn["worker_class"] == worker_class


def test_without_gunicorn_uvicorns_own_workers_are_used_and_the_plan_says_so() -> None:
    one = container(server="uvicorn", packages={"uvicorn": "0.34"}, cores=1.0)
    remedy = remedies()[RemedyId("apply-gunicorn-config")]
    wanted = intent("apply-gunicorn-config", one, finding("single-process"))
    assert wanted == Desired(server="uvicorn", gunicorn={"workers": 3}, bind_host="0.0.0.0")
    assert "gunicorn is not installed" in remedy.cautions(one, finding("single-process"), {"workers": 3})[0]


@pytest.mark.parametrize(
    ("kind", "settings", "bind"),
    [
        ("process", {"host": "127.0.0.1", "port": 8000}, "127.0.0.1:8000"),
        ("process", {"host": "::1", "port": 8000}, "[::1]:8000"),
        ("container", {"bind": "127.0.0.1:9000"}, "0.0.0.0:9000"),
        ("container", {"bind": "[::1]:9000,unix:/run/app.sock"}, "[::]:9000,unix:/run/app.sock"),
        ("container", {}, "0.0.0.0:8000"),
    ],
)
def test_a_container_listens_everywhere_and_a_local_process_where_it_did(
    kind: str, settings: dict[str, Value], bind: str
) -> None:
    one = container(server="uvicorn", packages=GUNICORN, kind=kind, settings=settings)
    assert intent("apply-gunicorn-config", one, finding("single-process")).gunicorn["bind"] == bind


@pytest.mark.parametrize(("stop", "graceful"), [(None, 8), (60.0, 30), (5.0, 3), (1.0, 1)])
def test_the_graceful_time_out_ends_before_the_engine_kills(stop: float | None, graceful: int) -> None:
    one = container(server="uvicorn", packages=GUNICORN, stop_seconds=stop)
    assert intent("apply-gunicorn-config", one, finding("single-process")).gunicorn["graceful_timeout"] == graceful


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"packages": GUNICORN | {"apscheduler": "3.10"}}, "scheduled jobs"),
        ({"packages": GUNICORN, "latency": METRICS}, "one worker's numbers"),
        ({"packages": GUNICORN | {"aiosqlite": "0.20"}, "workers": (worker(pss=None),)}, "SQLite"),
        ({"packages": GUNICORN | {"python-socketio": "5"}}, "Socket.IO"),
        ({"packages": GUNICORN, "drivers": ("sqlite3",)}, "SQLite"),
    ],
)
def test_several_processes_need_a_typed_yes_where_one_was_relied_upon(changes: dict[str, Any], said: str) -> None:
    remedy = remedies()[RemedyId("apply-gunicorn-config")]
    one = container(server="uvicorn", **changes)
    assert said in (remedy.confirm(one, finding("single-process"), {"workers": 4}) or "")
    assert remedy.confirm(one, finding("single-process"), {"workers": 1}) is None
    several = container(server="gunicorn", settings={"workers": 4}, **changes)
    assert remedy.confirm(several, finding("deprecated-worker-class"), {"workers": 4}) is None


def test_metrics_that_are_collected_from_all_processes_are_no_objection() -> None:
    remedy = remedies()[RemedyId("apply-gunicorn-config")]
    packages = GUNICORN | {"prometheus-client": "0.20"}
    one = container(
        server="uvicorn", packages=packages, latency=METRICS, environment={"PROMETHEUS_MULTIPROC_DIR": "/tmp"}
    )
    assert remedy.confirm(one, finding("single-process"), {"workers": 4}) is None
    assert not any(
        "worker's numbers" in said for said in remedy.cautions(one, finding("single-process"), {"workers": 4})
    )


def test_a_metrics_package_that_is_merely_installed_is_a_condition_and_no_objection() -> None:
    remedy = remedies()[RemedyId("apply-gunicorn-config")]
    one = container(server="uvicorn", packages=GUNICORN | {"prometheus-client": "0.20"})
    assert remedy.confirm(one, finding("single-process"), {"workers": 4}) is None
    said = remedy.cautions(one, finding("single-process"), {"workers": 4})
    assert [text for text in said if text.startswith("prometheus-client is installed: if the service counts with it")]


@pytest.mark.parametrize("server", ["hypercorn", "granian", None])
def test_other_servers_are_not_rewritten(server: str | None) -> None:
    assert why_not("apply-gunicorn-config", container(server=server, packages=GUNICORN), finding("single-process"))


# set-worker-timeout


def test_an_asgi_worker_gets_no_longer_time_out_unless_its_start_is_slow() -> None:
    asgi = container(settings={"worker_class": "uvicorn_worker.UvicornWorker"})
    assert "prolongs the outage" in (why_not("set-worker-timeout", asgi, finding("worker-timeout")) or "")
    assert why_not("set-worker-timeout", asgi, finding("worker-timeout", facts={"boot": True})) is None
    assert why_not("set-worker-timeout", container(server="uvicorn"), finding("worker-timeout"))


@pytest.mark.parametrize(("now", "then"), [(None, 60), (30, 60), (60, 120), (400, 600)])
def test_a_sync_worker_gets_sixty_seconds_or_twice_what_it_had(now: int | None, then: int) -> None:
    settings: dict[str, Value] = {"worker_class": "sync"} | ({} if now is None else {"timeout": now})
    one = container(settings=settings)
    assert why_not("set-worker-timeout", one, finding("worker-timeout")) is None
    assert intent("set-worker-timeout", one, finding("worker-timeout")) == Desired(gunicorn={"timeout": then})


@pytest.mark.parametrize(
    ("remedy", "name"), [("set-worker-timeout", "timeout"), ("enable-worker-recycling", "max_requests")]
)
def test_a_local_gunicorn_whose_command_line_outranks_its_file_is_offered_no_file(remedy: str, name: str) -> None:
    settings: dict[str, Value] = {"worker_class": "sync", "workers": 2, name: 30}
    one = container(settings=settings, kind="process")
    told = replace(one, settings={k: replace(v, source="default") for k, v in one.settings.items()})
    assert why_not(remedy, told, finding("worker-timeout")) is None
    assert "which outranks the file" in str(why_not(remedy, one, finding("worker-timeout")))


# enable-worker-recycling


def test_recycling_needs_two_workers_under_a_manager() -> None:
    leak = finding("memory-leak")
    assert "lone server" in (why_not("enable-worker-recycling", container(server="uvicorn"), leak) or "")
    assert "two workers" in (why_not("enable-worker-recycling", container(settings={"workers": 1}), leak) or "")
    two = container(settings={"workers": 2})
    assert why_not("enable-worker-recycling", two, leak) is None
    wanted = intent("enable-worker-recycling", two, leak, {"max_requests": 500})
    assert wanted == Desired(gunicorn={"max_requests": 500, "max_requests_jitter": 100})


@pytest.mark.parametrize(
    ("each", "requests", "says"),
    [
        (None, 1000, "only if 1100 requests of each worker fit into the memory."),
        (2 << 10, 1000, "bounds the leak: 1100 requests add about 2.1 MiB to each of 2 workers."),
        (2 << 20, 1000, "and the limit is 512 MiB: choose 64 or fewer, or the leak comes to it first."),
        (2 << 20, -40, "bounds the leak: 60 requests add about 120 MiB to each of 2 workers."),
    ],
)
def test_recycling_is_said_to_bound_a_leak_where_it_does(each: int | None, requests: int, says: str) -> None:
    leaking = container(limit=512 * MIB, settings={"workers": 2})
    facts = {} if each is None else {"bytes_per_request": each}
    values = {"max_requests": requests, "max_requests_jitter": 100}
    remedy = remedies()[RemedyId("enable-worker-recycling")]
    (said,) = remedy.cautions(leaking, finding("memory-leak", facts=facts), values)
    assert says in said


@pytest.mark.parametrize(
    ("release", "settings"),
    [
        ("0.41.0", {"max_requests": 1000, "max_requests_jitter": 100}),
        ("0.34.2", {"max_requests": 1000}),
        ("0.29", None),
    ],
)
def test_uvicorns_workers_are_recycled_as_far_as_its_release_can(release: str, settings: dict[str, int] | None) -> None:
    managed = container(
        server="uvicorn",
        packages={"uvicorn": release},
        workers=(worker("master"), worker("worker"), worker("worker")),
    )
    refused = why_not("enable-worker-recycling", managed, finding("memory-leak"))
    if settings is None:
        assert "0.30" in (refused or "")
        return
    assert refused is None
    assert intent("enable-worker-recycling", managed, finding("memory-leak")) == Desired(
        gunicorn=settings, server="uvicorn"
    )


# bind-all-interfaces


def test_a_container_on_loopback_is_opened_and_a_local_process_is_not() -> None:
    loopback = finding("bind-loopback")
    assert intent("bind-all-interfaces", container(), loopback) == Desired(bind_host="0.0.0.0")
    six = container(listeners=(Listener("::1", 8000),))
    assert intent("bind-all-interfaces", six, loopback) == Desired(bind_host="::")
    assert why_not("bind-all-interfaces", container(kind="process"), loopback)
    in_code = finding("bind-loopback", facts={"in_code": True})
    assert "uvicorn.run" in (why_not("bind-all-interfaces", container(), in_code) or "")


# raise-nofile


def test_open_files_are_raised_as_far_as_the_hard_limit_allows() -> None:
    files = finding("fd-exhausted")
    low = worker(open_files_limit=64, open_files_hard_limit=4096)
    process = container(kind="process", workers=(low,))
    assert intent("raise-nofile", process, files) == Desired(open_files_limit=4096)
    remedy = remedies()[RemedyId("raise-nofile")]
    assert "4096" in remedy.cautions(process, files, {"limit": 4096})[0]
    assert "4096" in remedy.parameters(process, files, None)[0].title
    inside = container(workers=(low,))
    assert intent("raise-nofile", inside, files) == Desired(open_files_limit=4096), "what any engine grants"
    assert "4096" in remedy.cautions(inside, files, {"limit": 4096})[0]
    assert "raises the hard limit, too (4096)" in remedy.cautions(inside, files, {"limit": 65_536})[0]
    for hard in (64, 100, None, 1 << 20):
        other = container(workers=(worker(open_files_limit=64, open_files_hard_limit=hard),))
        assert intent("raise-nofile", other, files) == Desired(open_files_limit=65_536), "too little to stay within"
    at_the_top = container(kind="process", workers=(worker(open_files_limit=4096, open_files_hard_limit=4096),))
    assert "LimitNOFILE" in (why_not("raise-nofile", at_the_top, files) or "")


# restart


def test_a_restart_is_refused_where_it_would_meet_its_cause_again() -> None:
    assert intent("restart", container(), finding("worker-died")) == Restart()
    elsewhere = Reference(DeploymentId("docker/db"), SignatureId("oom-killed"))
    assert "docker/db" in (why_not("restart", container(), finding("error-rate", explained_by=elsewhere)) or "")
    assert why_not("restart", container(), finding("missing-env"))


# profile

SLOW = (Frame("/usr/lib/python3.11/ssl.py", 4, "read"), Frame("/app/main.py", 12, "slow"))


def sample(*frames: Frame, idle: bool = False, pid: int = 7) -> StackSample:
    return StackSample(NOW, pid, frames, idle)


def test_a_profile_names_the_applications_own_line() -> None:
    advice = profile.from_samples("checkout", [sample(*SLOW), sample(*SLOW), sample(*SLOW[:1], idle=True)])
    assert advice.text == "/app/main.py:12 slow was on the stack in 2 of 3 samples."
    assert "→ /app/main.py:12 slow" in advice.code


def test_a_profile_of_a_waiting_loop_says_that_nothing_blocks() -> None:
    assert "nothing blocks" in profile.from_samples("checkout", [sample(SLOW[0], idle=True)]).text
    assert "No worker" in profile.from_samples("checkout", []).text


def test_the_remedy_renders_the_stacks_that_were_taken_or_the_place_of_the_finding() -> None:
    advise = remedies()[RemedyId("profile")].advise
    assert advise is not None
    assert "main.py:12" in advise(container(stacks=(sample(*SLOW),)), finding("event-loop-blocked")).text
    about = finding("event-loop-blocked", facts={"file": "/app/x.py", "line": 3, "call": "time.sleep"})
    assert advise(container(), about).text == "/app/x.py:3 time.sleep"


# advise


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("time.sleep", "asyncio.sleep"),
        ("requests.get", "AsyncClient"),
        ("urllib.request.urlopen", "AsyncClient"),
        ("open", "to_thread"),
        ("subprocess.run", "create_subprocess_exec"),
        ("psycopg2.connect", "create_async_engine"),
        ("bcrypt.checkpw", "to_thread"),
        ("fibonacci", "run_in_executor"),
        ("redis.client.get", "redis.asyncio"),
    ],
)
def test_a_blocking_call_has_an_asynchronous_counterpart(call: str, said: str) -> None:
    assert said in counterpart(call).code
    about = finding("event-loop-blocked", facts={"call": call, "file": "/app/main.py", "line": 7})
    advice = ADVICE["event-loop-blocked"](container(), about)
    assert said in advice.code
    assert "/app/main.py:7" in advice.text


@pytest.mark.parametrize("signature", sorted(ADVICE))
@pytest.mark.parametrize("kind", ["container", "compose-service", "process"])
def test_advice_is_code_in_its_language_with_and_without_facts(signature: str, kind: str) -> None:
    facts: dict[str, Value] = {"missing": "DATABASE_URL, API_TOKEN", "call": "time.sleep", "listening": 9000}
    ports = (PublishedPort(8000, "0.0.0.0", 80),)
    for about in (finding(signature), finding(signature, facts=facts)):
        advice = ADVICE[signature](container(kind=kind, name="shop/web", ports=ports), about)
        assert advice.title
        assert advice.text
        assert advice.code
        if advice.language == "python" and "await" not in advice.code.splitlines()[0]:
            compile(advice.code, "advice", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if advice.language == "yaml":
            assert set(yaml.safe_load(advice.code)) == {"services"}


def test_missing_variables_and_ports_are_written_as_compose_lines() -> None:
    web = container(kind="compose-service", name="web", ports=(PublishedPort(8000, "0.0.0.0", 80),))
    missing = ADVICE["missing-env"](web, finding("missing-env", facts={"missing": "DATABASE_URL, API_TOKEN"}))
    assert list(yaml.safe_load(missing.code)["services"]["web"]["environment"]) == ["DATABASE_URL", "API_TOKEN"]
    assert "env_prefix" not in missing.text
    facts: dict[str, Value] = {"missing": "DATABASE_URL", "fields": "database_url", "prefix": ""}
    assert "with an env_prefix or an alias" in ADVICE["missing-env"](web, finding("missing-env", facts=facts)).text
    port = ADVICE["port-mismatch"](web, finding("port-mismatch", facts={"listening": 9000}))
    assert yaml.safe_load(port.code)["services"]["web"]["ports"] == ["80:9000"]


def test_where_the_command_is_locked_the_advice_says_why_and_what_to_write() -> None:
    locked = container(settings={"app": "shop:app", "port": 9000}, capabilities={"bind": "Its command is locked."})
    advice = ADVICE["bind-loopback"](locked, finding("bind-loopback"))
    assert "Its command is locked." in advice.text
    assert advice.code == "gunicorn shop:app --bind 0.0.0.0:9000"
    in_code = ADVICE["bind-loopback"](locked, finding("bind-loopback", facts={"in_code": True}))
    assert in_code.code.startswith("uvicorn.run(")


def test_advice_names_the_place_that_the_evidence_holds() -> None:
    shown = Evidence("stack", "time.sleep", file="/app/main.py", line=12)
    advice = ADVICE["event-loop-blocked"](container(), finding("event-loop-blocked", evidence=(shown,)))
    assert "(/app/main.py:12)" in advice.text


def test_every_signature_that_offers_advice_has_some() -> None:
    offering = {s.id for s in signatures().values() if "advise" in s.remedies}
    assert offering
    assert offering <= set(ADVICE)


def test_there_is_no_advice_where_none_was_written() -> None:
    assert why_not("advise", container(), finding("memory-limit-low")) is not None
    assert why_not("advise", container(), finding("pool-exhausted")) is None
