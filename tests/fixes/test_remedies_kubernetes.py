"""The remedies of Kubernetes compute their values for the deployment at hand, and say no where their guards do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fixes.catalogue import remedies
from fixes.model import Finding, Reference, RemedyId, SignatureId
from fixes.plan import refusal
from fixes.values import settle
from probes.base import DeploymentId, NodeId, Value
from probes.intent import Desired, Intent, Rollback, Scale
from probes.model import Cpu, Deployment, HttpSample, Limit, Listener, Node, Replica
from probes.orchestrator import Autoscaler, Managed, Orchestrated, ProbeSpec, Revision, ServicePort
from probes.target import Refused
from probes.targets.kubernetes.guards import NO_NOFILE, capabilities
from probes.text import HIDDEN
from tests.fixes.fake import NOW, deployment, finding, replica

READY = ProbeSpec("readiness", "http", path="/ready", port=8000)
ALIVE = ProbeSpec("liveness", "http", path="/health", port=8000)


def pod(**changes: Any) -> Replica:
    known: dict[str, Any] = {"probes": (READY, ALIVE), "listeners": (Listener("0.0.0.0", 8000),)}
    return replica(**{**known, **changes})


def workload(*pods: Replica, around: Orchestrated | None = None, **changes: Any) -> Deployment:
    known: dict[str, Any] = {
        "kind": "Deployment",
        "orchestrated": around or Orchestrated(),
        "capabilities": capabilities("Deployment"),
        "desired": 1,
    }
    return deployment(**{**known, "replicas": pods or (pod(),), **changes})


def found(signature: str, **facts: Value) -> Finding:
    return finding(signature=SignatureId(signature), facts=facts)


def defaults(remedy: str, one: Deployment, about: Finding, node: Node | None = None) -> dict[str, Value]:
    return {p.name: p.default for p in remedies()[RemedyId(remedy)].parameters(one, about, node)}


def intent(remedy: str, one: Deployment, about: Finding, **given: Value) -> Intent:
    chosen = remedies()[RemedyId(remedy)]
    assert chosen.intend is not None
    return chosen.intend(one, about, settle(chosen.parameters(one, about, None), given))


def why_not(remedy: str, one: Deployment, about: Finding) -> str | None:
    return refusal(remedies()[RemedyId(remedy)], one, about)


# Limits of CPU.


@pytest.mark.parametrize(
    ("used", "throttled", "cpus", "expected"),
    [(0.1, 0.2, 8, 0.8), (0.5, 1.0, 8, 1.5), (0.5, 3.0, 2, 2.0), (None, None, 8, 0.8)],
    ids=["half as much again", "what it would have used", "the node's", "unknown"],
)
def test_the_cpu_limit_is_what_it_would_have_used(
    used: float | None, throttled: float | None, cpus: int, expected: float
) -> None:
    one = workload(pod(cpu=Cpu(used_cores=used, limit=Limit(True, 0.5), throttled_time_ratio=throttled)))
    node = Node(NodeId("n"), "n", cpus, 1 << 34, 1 << 33)
    assert defaults("set-cpu-limit", one, found("cpu-throttled"), node)["limit"] == pytest.approx(expected)


def test_without_a_cpu_limit_there_is_none_to_raise() -> None:
    assert "No CPU limit" in str(why_not("set-cpu-limit", workload(), found("cpu-throttled")))


# Health checks.


def only(want: Intent) -> ProbeSpec:
    assert isinstance(want, Desired)
    (made,) = want.probes
    return made


def test_a_path_that_is_not_there_gives_way_to_the_one_that_answered() -> None:
    asked = tuple(HttpSample(NOW, "/health", 0.01, 200) for _ in range(3))
    one = workload(pod(health_probes=asked))
    made = only(intent("edit-probes", one, found("probe-misconfigured", probe="readiness", reason="path")))
    assert (made.role, made.path, made.port) == ("readiness", "/health", 8000)


def test_readiness_is_never_moved_from_a_path_that_answers() -> None:
    one = workload(pod(health_probes=(HttpSample(NOW, "/ready", 0.01, 503),)))
    about = found("probe-misconfigured", probe="readiness", reason="timeout", took_seconds=2.2)
    with pytest.raises(Refused, match="may test less"):
        intent("edit-probes", one, about, path="/health")
    with pytest.raises(Refused, match="may test less"):
        intent("edit-probes", one, about, path="")
    assert only(intent("edit-probes", one, about)).path == "/ready"


def test_a_path_that_moved_with_a_release_can_be_given_while_former_pods_still_answer_on_the_old_one() -> None:
    former = pod(health_probes=tuple(HttpSample(NOW, "/ready", 0.01, 200) for _ in range(3)))
    latest = pod(health_probes=(HttpSample(NOW, "/ready", 0.01, 404),))
    one = workload(former, latest)
    about = found("probe-misconfigured", probe="readiness", reason="path", status="404")
    assert only(intent("edit-probes", one, about, path="/internal/ready")).path == "/internal/ready"
    with pytest.raises(Refused, match="give the path that the new ones have"):
        intent("edit-probes", one, about)  # nothing else answered: what is there is not proposed anew


def test_a_path_that_no_other_answers_for_gives_way_to_a_connection_and_that_is_said_to_test_less() -> None:
    about = found("probe-misconfigured", probe="readiness", reason="path")
    made = only(intent("edit-probes", workload(), about))
    assert (made.handler, made.path) == ("tcp", None)
    values = {"check": "readiness", "path": ""}
    (said,) = remedies()[RemedyId("edit-probes")].cautions(workload(), about, values)
    assert said.startswith("Only a connection is asked for")


def test_a_time_out_is_twice_what_the_answer_took() -> None:
    about = found("probe-misconfigured", probe="readiness", reason="timeout", took_seconds=2.2)
    assert only(intent("edit-probes", workload(), about)).timeout_seconds == 5


def test_a_check_asks_the_port_on_which_the_server_listens() -> None:
    wrong = ProbeSpec("readiness", "http", path="/ready", port=80)
    about = found("probe-misconfigured", probe="readiness", reason="port", asked=80, port=8000)
    made = only(intent("edit-probes", workload(pod(probes=(wrong,))), about))
    assert (made.path, made.port) == ("/ready", 8000)


def test_a_check_speaks_as_the_server_does() -> None:
    secure = ProbeSpec("readiness", "http", path="/ready", port=8000, scheme="HTTPS")
    about = found("probe-misconfigured", probe="readiness", reason="scheme")
    assert only(intent("edit-probes", workload(pod(probes=(secure,))), about)).scheme == "HTTP"


@pytest.mark.parametrize(("facts", "least"), [({"start_seconds": 90}, 180), ({"lived_seconds": 30}, 120), ({}, 60)])
def test_a_slow_start_is_allowed_at_least_twice_what_was_seen(facts: dict[str, Value], least: int) -> None:
    made = only(intent("edit-probes", workload(), found("probe-misconfigured", reason="slow-start", **facts)))
    assert made.role == "startup"
    assert made.period_seconds * made.failure_threshold >= least


def test_a_check_that_ends_what_works_becomes_patient_and_waits_for_the_start() -> None:
    want = intent("edit-probes", workload(), found("probe-misconfigured", probe="liveness", reason="kills"))
    assert isinstance(want, Desired)
    alive, start = want.probes
    assert (alive.role, alive.path, alive.failure_threshold >= 6, alive.timeout_seconds >= 5) == (
        "liveness",
        "/health",
        True,
        True,
    )
    assert start.role == "startup"


def test_a_missing_check_is_readiness_first_and_asks_a_path_that_answered() -> None:
    bare = pod(probes=(), health_probes=(HttpSample(NOW, "/health", 0.01, 200),))
    made = only(intent("edit-probes", workload(bare), found("probe-missing", readiness=False, liveness=False)))
    assert (made.role, made.handler, made.path) == ("readiness", "http", "/health")
    blind = intent("edit-probes", workload(pod(probes=())), found("probe-missing", readiness=False))
    assert only(blind).handler == "tcp"


def test_a_program_keeps_its_command_where_only_its_time_was_short() -> None:
    run = ProbeSpec("liveness", "exec", command=("cat", "/tmp/ok"))
    about = found("probe-misconfigured", probe="liveness", reason="timeout", took_seconds=3)
    made = only(intent("edit-probes", workload(pod(probes=(run,))), about))
    assert (made.handler, made.command, made.timeout_seconds) == ("exec", ("cat", "/tmp/ok"), 6)


def test_a_check_is_not_edited_for_the_effect_of_something_else() -> None:
    effect = finding(
        signature=SignatureId("probe-misconfigured"),
        explained_by=Reference(deployment().id, SignatureId("event-loop-blocked")),
    )
    assert "event-loop-blocked" in str(why_not("edit-probes", workload(), effect))


def test_neither_checks_nor_stacks_are_of_use_before_the_init_containers_ended() -> None:
    about = found("startup-stalled", init_container="wait")
    assert "after the init containers" in str(why_not("edit-probes", workload(), about))
    profile = remedies()[RemedyId("profile")]
    assert "before the init container" in str(profile.why_not(workload(), about))


# Ports.


def test_a_service_s_port_is_led_to_where_the_server_listens() -> None:
    services = (ServicePort("web", 80, 80), ServicePort("web", 81, 8000), ServicePort("web", 82, None, "metrics"))
    want = intent(
        "align-ports", workload(around=Orchestrated(services=services)), found("port-mismatch", listening=8000)
    )
    assert want == Desired(target_ports={"web:80": 8000, "web:82": 8000})


def test_services_that_lead_there_are_left_alone() -> None:
    around = Orchestrated(services=(ServicePort("web", 80, 8000),))
    assert "Every port" in str(why_not("align-ports", workload(around=around), found("port-mismatch")))


# Variables.


def test_each_missing_variable_is_asked_for() -> None:
    about = found("missing-env", missing="DB_HOST,API_TOKEN")
    assert defaults("set-env", workload(), about) == {"DB_HOST": "", "API_TOKEN": ""}
    asked = remedies()[RemedyId("set-env")].asks({"DB_HOST": "", "API_TOKEN": ""})
    assert asked is not None
    want = intent("set-env", workload(), about, DB_HOST="db", API_TOKEN="secret:api/token")
    assert want == Desired(environment={"DB_HOST": "db"}, environment_from={"API_TOKEN": "secret api/token"})


def test_the_prefix_of_fields_that_pydantic_names_is_asked_for_and_never_guessed_in_silence() -> None:
    about = found("missing-env", missing="APP_DB_HOST,APP_CACHE__PORT", fields="db_host,cache.port", prefix="APP_")
    assert defaults("set-env", workload(), about) == {"env_prefix": "APP_", "DB_HOST": "", "CACHE__PORT": ""}
    assert intent("set-env", workload(), about, DB_HOST="db") == Desired(environment={"APP_DB_HOST": "db"})
    other = intent("set-env", workload(), about, env_prefix="SHOP_", CACHE__PORT="1", DB_HOST="db")
    assert other == Desired(environment={"SHOP_DB_HOST": "db", "SHOP_CACHE__PORT": "1"})
    asked = remedies()[RemedyId("set-env")].asks(defaults("set-env", workload(), about))
    assert asked is not None
    assert "--set env_prefix=APP_ --set DB_HOST=…" in asked.code
    assert "does not show it" in asked.text
    (said,) = remedies()[RemedyId("set-env")].cautions(workload(), about, {})
    assert "db_host, cache.port" in said
    assert "APP_ is what other variables of the deployment begin with" in said


def test_of_fields_beside_variables_only_these_are_asked_for_and_the_doubt_is_said() -> None:
    about = found("missing-env", missing="TOKEN_FILE,DB_HOST", fields="db_host", prefix="")
    assert defaults("set-env", workload(), about) == {"TOKEN_FILE": ""}
    assert remedies()[RemedyId("set-env")].cautions(workload(), about, {})


@pytest.mark.parametrize(
    ("name", "value"), [("API_TOKEN", "abc"), ("DATABASE_URL", "postgresql://u:pw@db/shop"), ("A", "AKIA" + "A" * 16)]
)
def test_a_secret_becomes_no_literal_value(name: str, value: str) -> None:
    with pytest.raises(Refused, match="holds a secret"):
        intent("set-env", workload(), found("db-unreachable"), name=name, value=value)


def test_the_variable_that_names_the_database_is_proposed() -> None:
    one = workload(pod(environment={"DATABASE_URL": "x", "MODE": "1"}))
    assert defaults("set-env", one, found("db-unreachable"))["name"] == "DATABASE_URL"


def test_hidden_values_move_into_a_secret() -> None:
    one = workload(pod(environment={"DB_PASSWORD": HIDDEN, "MODE": "1", "DB_URL": f"postgresql://u:{HIDDEN}@db"}))
    want = intent("use-secret", one, found("plaintext-secret", names="DB_PASSWORD, DB_URL and 1 more"))
    assert isinstance(want, Desired)
    assert set(want.secret_variables) <= {"DB_PASSWORD", "DB_URL"}
    assert "None of its variables" in str(why_not("use-secret", workload(), found("plaintext-secret")))


# Replicas and revisions.


def test_one_replica_becomes_two_and_several_one_more() -> None:
    assert intent("scale", workload(), found("single-process")) == Scale(2)
    assert intent("scale", workload(desired=4), found("slow-requests")) == Scale(5)


def test_an_autoscaler_is_named() -> None:
    around = Orchestrated(autoscaler=Autoscaler("web", 2, 6))
    assert "2 to 6" in str(why_not("scale", workload(around=around), found("single-process")))


def test_what_is_in_one_process_s_memory_needs_a_typed_name() -> None:
    one = workload(packages={"apscheduler": "3.10"})
    remedy = remedies()[RemedyId("scale")]
    assert "every replica" in str(remedy.confirm(one, found("single-process"), {"replicas": 2}))


NEW = Revision(3, "web-3", NOW - timedelta(minutes=5), images=("shop:3",), current=True)
SAME = Revision(2, "web-2", NOW - timedelta(days=1), images=("shop:3",))
OLD = Revision(1, "web-1", NOW - timedelta(days=2), images=("shop:1",))


def revised(*revisions: Revision, managed: Managed | None = None) -> Deployment:
    return workload(around=Orchestrated(revisions=revisions, managed=managed))


def test_a_rollback_goes_to_the_latest_revision_with_another_image() -> None:
    about = finding(signature=SignatureId("crash-loop"), since=NOW - timedelta(minutes=4))
    assert why_not("rollback", revised(NEW, SAME, OLD), about) is None
    assert intent("rollback", revised(NEW, SAME, OLD), about) == Rollback(1)
    newer = Revision(2, "web-2", NOW - timedelta(days=1), images=("shop:2",))
    alive = Revision(1, "web-1", NOW - timedelta(days=2), images=("shop:1",), desired=2, ready=2)
    assert intent("rollback", revised(NEW, newer, alive), about) == Rollback(1), "one that is ready before all others"


@pytest.mark.parametrize(
    ("one", "since", "said"),
    [
        (revised(NEW, SAME), timedelta(minutes=4), "another image"),
        (revised(), timedelta(minutes=4), "not known"),
        (revised(NEW, OLD), timedelta(hours=1), "older than this revision"),
        (revised(NEW, OLD, managed=Managed("helm", "shop")), timedelta(minutes=4), "helm rollback shop"),
    ],
    ids=["same image", "unknown", "older failure", "helm"],
)
def test_a_rollback_that_would_not_help_is_not_offered(one: Deployment, since: timedelta, said: str) -> None:
    about = finding(signature=SignatureId("crash-loop"), since=NOW - since)
    assert said in str(why_not("rollback", one, about))


def test_a_failure_that_began_long_after_the_revision_is_not_its_fault() -> None:
    aged = Revision(3, "web-3", NOW - timedelta(hours=2), images=("shop:3",), current=True)
    about = finding(signature=SignatureId("error-rate"), since=NOW - timedelta(minutes=4))
    assert "more than 15 minutes" in str(why_not("rollback", revised(aged, OLD), about))


def test_a_failure_of_a_dependency_is_met_again() -> None:
    cause = Reference(DeploymentId("k8s/c/shop/StatefulSet/db"), SignatureId("disk-full"))
    about = finding(signature=SignatureId("error-rate"), since=NOW - timedelta(minutes=4), explained_by=cause)
    assert "disk-full" in str(why_not("rollback", revised(NEW, OLD), about))


# What a kind allows.


@pytest.mark.parametrize(
    ("kind", "possible"),
    [
        ("Deployment", {"memory-limit", "probes", "scale", "rollback", "restart", "secret", "gunicorn", "bind"}),
        ("StatefulSet", {"memory-limit", "probes", "scale", "rollback", "restart"}),
        ("DaemonSet", {"memory-limit", "probes", "rollback", "restart"}),
        ("Pod", {"memory-limit", "cpu-limit", "ports"}),
        ("Job", {"ports"}),
    ],
)
def test_a_kind_allows_what_it_can_do(kind: Any, possible: set[str]) -> None:
    known = capabilities(kind)
    allowed = {name for name, cannot in known.items() if cannot is None}
    assert possible <= allowed
    assert known["nofile"] == NO_NOFILE
    assert all(cannot is None or cannot.endswith(".") for cannot in known.values())
    if kind in {"Pod", "Job"}:
        assert allowed == possible | {"profile"}
    assert capabilities(kind, "No exec here.")["profile"] == "No exec here."
