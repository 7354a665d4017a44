"""Each wish changes what it names in a pod's description, and every other field stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.intent import Desired, Intent, Restart, Rollback, Scale
from probes.orchestrator import ProbeSpec
from probes.target import Refused
from probes.targets.kubernetes import rendering, sealing
from probes.targets.kubernetes.commanding import FILE
from probes.targets.kubernetes.patches import applied, difference
from probes.targets.kubernetes.resources import is_guaranteed
from probes.targets.kubernetes.wanted import RESTARTED, wanted
from probes.text import HIDDEN
from tests.probes.kubernetes._objects import GUNICORN, Json, container, facts, service, workload

MIB = 1 << 20


def app(thing: Json) -> Any:
    """The serving container."""
    return next(c for c in thing["spec"]["template"]["spec"]["containers"] if c["name"] == "app")


def made(want: Intent, thing: Json | None = None, **known: Any) -> Any:
    """The serving container as wanted."""
    return app(wanted(workload() if thing is None else thing, want, facts(**known)).thing)


def probe(role: str = "readiness", **changes: Any) -> ProbeSpec:
    return ProbeSpec(**{"role": role, "handler": "http", "path": "/health", "port": 8000, **changes})


# Any wish, taken back.

WISHES = st.one_of(
    st.builds(Scale, st.integers(0, 9)),
    st.builds(Desired, memory_limit_bytes=st.integers(1, 1 << 34)),
    st.builds(Desired, cpu_limit_cores=st.floats(0.01, 64)),
    st.builds(Desired, environment=st.dictionaries(st.sampled_from(["MODE", "NEW", "DB_PASSWORD"]), st.just("v"))),
    st.builds(Desired, environment_from=st.just({"MODE": "secret other/key", "NEW": "configmap c/k.x"})),
    st.builds(Desired, secret_variables=st.just(("DB_PASSWORD",))),
    st.builds(
        Desired,
        probes=st.lists(
            st.builds(
                ProbeSpec,
                role=st.sampled_from(["readiness", "liveness", "startup"]),
                handler=st.sampled_from(["http", "tcp"]),
                path=st.just("/ready"),
                port=st.integers(1, 65535),
                timeout_seconds=st.integers(1, 60).map(float),
                failure_threshold=st.integers(1, 60),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
    ),
    st.just(Desired(bind_host="::")),
    st.just(Desired(server="gunicorn", gunicorn={"workers": 3, "timeout": 60, "bind": "0.0.0.0:8000"})),
)


@settings(max_examples=150)
@given(WISHES, st.sampled_from(["shop:1", "shop:2"]), st.booleans())
def test_a_wish_that_is_taken_back_leaves_the_object_as_it_was(want: Intent, image: str, sidecar: bool) -> None:
    before = workload(*([{"name": "proxy", "image": "p:1"}] if sidecar else []), image=image)
    after = wanted(before, want, facts()).thing
    back = difference(after, before)
    assert applied(after, back) == before
    sealed = sealing.seal(back, getattr(want, "secret_variables", ()))
    kept = sealing.secret("shop", "kept", sealed.kept, "20261122-aaaaaa")
    moved = sealing.secret("shop", "web-fastops", {"DB_PASSWORD": "hunter2"}, "20261122-aaaaaa")
    assert sealing.unseal(sealed.puts, kept, moved) == back
    assert "hunter2" not in str(sealed.puts)
    assert wanted(after, want, facts()).thing == after, "twice is once"


@settings(max_examples=60)
@given(WISHES)
def test_what_a_wish_does_not_name_stays(want: Intent) -> None:
    before = workload({"name": "proxy", "image": "p:1", "env": [{"name": "MODE", "value": "9"}]})
    after = wanted(before, want, facts()).thing
    touched = {put.path for put in difference(before, after)}
    serving = ("spec", "template", "spec", "containers", "[name=app]")
    mounted = ("spec", "template", "spec", "volumes")
    assert all(path[:5] == serving or path == ("spec", "replicas") or path[:4] == mounted for path in touched)


# Limits.


@pytest.mark.parametrize(
    ("resources", "limits", "requests"),
    [
        ({"limits": {"memory": "300Mi"}}, {"memory": "1Gi"}, {"memory": "300Mi"}),
        ({"limits": {"memory": "300Mi"}, "requests": {"memory": "32Mi"}}, {"memory": "1Gi"}, {"memory": "32Mi"}),
        ({"limits": {"memory": "4Gi"}, "requests": {"memory": "2Gi"}}, {"memory": "1Gi"}, {"memory": "1Gi"}),
        ({}, {"memory": "1Gi"}, {"memory": "70Mi"}),
        (
            {"limits": {"memory": "300Mi", "cpu": "1"}, "requests": {"memory": "300Mi", "cpu": "1"}},
            {"memory": "1Gi", "cpu": "1"},
            {"memory": "1Gi", "cpu": "1"},
        ),
        ({"limits": {"memory": "300Mi", "cpu": "1"}}, {"memory": "1Gi", "cpu": "1"}, None),
    ],
    ids=["limit alone", "both", "lowered", "none", "guaranteed", "guaranteed by the limit alone"],
)
def test_a_memory_limit_leaves_what_is_reserved(resources: Json, limits: Json, requests: Json | None) -> None:
    thing = workload(resources=resources)
    found = made(Desired(memory_limit_bytes=1024 * MIB), thing, used_bytes=70 * MIB)["resources"]
    assert found["limits"] == limits
    assert found.get("requests") == requests


def test_a_guaranteed_pod_stays_one() -> None:
    both = {"memory": "300Mi", "cpu": "1"}
    thing = workload(resources={"limits": both, "requests": dict(both)})
    for want in (Desired(memory_limit_bytes=512 * MIB), Desired(cpu_limit_cores=1.25)):
        assert is_guaranteed(wanted(thing, want, facts()).thing["spec"]["template"]["spec"])


def test_a_cpu_limit_is_written_in_thousandths() -> None:
    found = made(Desired(cpu_limit_cores=0.75))["resources"]
    assert found == {"limits": {"memory": "300Mi", "cpu": "750m"}, "requests": {"cpu": "10m", "memory": "32Mi"}}


# Health checks.


def test_a_check_changes_what_differs_and_keeps_the_name_of_its_port() -> None:
    found = made(Desired(probes=(probe(timeout_seconds=4.2, period_seconds=1),)))
    assert found["readinessProbe"] == {
        "httpGet": {"path": "/health", "port": "http"},
        "periodSeconds": 1,
        "timeoutSeconds": 5,
    }


def test_a_check_of_another_kind_leaves_nothing_of_the_old_one() -> None:
    held = {"exec": {"command": ["curl", "x"]}, "terminationGracePeriodSeconds": 9, "failureThreshold": 9}
    found = made(Desired(probes=(probe("liveness"),)), workload(livenessProbe=held))["livenessProbe"]
    assert found == {
        "httpGet": {"path": "/health", "port": 8000},
        "terminationGracePeriodSeconds": 9,
        "failureThreshold": 3,
    }


def test_headers_of_a_check_stay() -> None:
    headers = [{"name": "Host", "value": "shop"}]
    held = {"httpGet": {"path": "/old", "port": 80, "httpHeaders": headers}}
    found = made(Desired(probes=(probe(),)), workload(readinessProbe=held))["readinessProbe"]
    assert found["httpGet"] == {"path": "/health", "port": 8000, "httpHeaders": headers}


def test_a_startup_check_allows_what_was_asked_for() -> None:
    found = made(Desired(probes=(probe("startup", period_seconds=5, failure_threshold=24),)))["startupProbe"]
    assert found["periodSeconds"] * found["failureThreshold"] == 120


# Variables.


def test_a_variable_is_set_in_its_place_and_a_new_one_last() -> None:
    found = made(Desired(environment={"DB_HOST": "db", "MODE": "2"}))["env"]
    assert [one["name"] for one in found] == ["DB_PASSWORD", "MODE", "DB_HOST"]
    assert found[1:] == [{"name": "MODE", "value": "2"}, {"name": "DB_HOST", "value": "db"}]


def test_a_secret_moves_and_the_variable_refers_to_it() -> None:
    found = made(Desired(secret_variables=("DB_PASSWORD",)))["env"][0]
    assert found == {
        "name": "DB_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": "web-fastops", "key": "DB_PASSWORD"}},
    }


@pytest.mark.parametrize("value", ["", "postgres://$(DB_USER):x@db/shop"])
def test_what_a_secret_cannot_hold_does_not_move(value: str) -> None:
    thing = workload(env=[{"name": "DB_PASSWORD", "value": value}])
    with pytest.raises(Refused, match="DB_PASSWORD"):
        made(Desired(secret_variables=("DB_PASSWORD",)), thing)


def test_a_reference_that_is_none_is_refused() -> None:
    with pytest.raises(Refused, match="secret NAME/KEY"):
        made(Desired(environment_from={"A": "vault x/y"}))


# Commands.


def test_arguments_are_edited_where_they_stand() -> None:
    thing = workload(command=["uvicorn"], args=["healthy:app", "--host", "127.0.0.1"])
    found = made(Desired(bind_host="0.0.0.0"), thing)
    assert (found["command"], found["args"]) == (["uvicorn"], ["healthy:app", "--host", "0.0.0.0"])


def test_arguments_of_the_image_s_own_entry_point_are_edited() -> None:
    thing = workload(args=["healthy:app", "--host", "127.0.0.1"])
    del app(thing)["command"]
    found = made(Desired(bind_host="0.0.0.0"), thing)
    assert "command" not in found
    assert found["args"] == ["healthy:app", "--host", "0.0.0.0"]


def test_gunicorn_of_an_image_is_told_by_its_variable() -> None:
    thing = workload(env=[{"name": "GUNICORN_CMD_ARGS", "value": "--threads 2 --timeout 30"}])
    del app(thing)["command"]
    found = made(Desired(gunicorn={"timeout": 60, "max_requests": 1000}), thing, server="gunicorn")
    assert found["env"] == [{"name": "GUNICORN_CMD_ARGS", "value": "--threads 2 --timeout 60 --max-requests 1000"}]


def test_uvicorn_of_an_image_is_told_by_its_variables() -> None:
    thing = workload(env=[])
    del app(thing)["command"]
    said = wanted(thing, Desired(bind_host="0.0.0.0"), facts())
    assert app(said.thing)["env"] == [{"name": "UVICORN_HOST", "value": "0.0.0.0"}]
    assert "UVICORN_HOST yields" in " ".join(said.notes)


def test_an_option_of_the_image_s_command_takes_the_command_as_it_was_seen() -> None:
    thing = workload()
    del app(thing)["command"]
    seen = ("uvicorn", "healthy:app", "--host", "127.0.0.1")
    found = made(Desired(bind_host="0.0.0.0"), thing, command=seen, given=frozenset({"host"}))
    assert found["command"] == ["uvicorn", "healthy:app", "--host", "0.0.0.0"]
    for hidden in ((), (*seen, "--password", HIDDEN)):
        with pytest.raises(Refused, match="stands in the image"):
            made(Desired(bind_host="0.0.0.0"), thing, command=hidden, given=frozenset({"host"}))


def test_a_service_that_moves_to_gunicorn_reads_a_mounted_file() -> None:
    want = Desired(server="gunicorn", gunicorn={"bind": "0.0.0.0:8000", "workers": 3, "timeout": 60})
    said = wanted(workload(), want, facts())
    found, spec = app(said.thing), said.thing["spec"]["template"]["spec"]
    assert found["command"][0] == "gunicorn"
    assert found["command"][-2:] == ["--config", "/etc/fastops/gunicorn.conf.py"]
    assert found["volumeMounts"] == [{"name": "fastops-gunicorn", "mountPath": "/etc/fastops", "readOnly": True}]
    assert spec["volumes"] == [{"name": "fastops-gunicorn", "configMap": {"name": said.config_name}}]
    assert said.config_map is not None
    settings_: dict[str, Any] = {}
    exec(said.config_map[FILE], settings_)
    assert (settings_["workers"], settings_["timeout"]) == (3, 60)
    assert "--workers" not in found["command"], "an option would outrank the file"


def test_without_gunicorn_uvicorn_s_own_workers_are_used() -> None:
    packages = {name: v for name, v in GUNICORN.items() if name == "uvicorn"}
    want = Desired(gunicorn={"workers": 3}, server="uvicorn")
    said = wanted(workload(), want, facts(packages=packages))
    assert said.config_map is None
    assert app(said.thing)["command"][-2:] == ["--workers", "3"]


def test_a_variable_that_comes_from_elsewhere_is_not_overwritten() -> None:
    reference = {"name": "GUNICORN_CMD_ARGS", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}
    thing = workload(env=[reference])
    del app(thing)["command"]
    with pytest.raises(Refused, match="valueFrom"):
        made(Desired(gunicorn={"timeout": 60}), thing, server="gunicorn")


# Other wishes.


def test_a_restart_is_what_kubectl_writes() -> None:
    said = wanted(workload(), Restart(), facts(), at="2026-11-22T12:00:00Z")
    assert said.thing["spec"]["template"]["metadata"]["annotations"] == {RESTARTED: "2026-11-22T12:00:00Z"}


def test_a_rollback_is_the_former_template() -> None:
    former = workload(image="shop:0")["spec"]["template"]
    assert wanted(workload(), Rollback(1), facts(), former).thing["spec"]["template"] == former
    with pytest.raises(Refused, match="Revision 1"):
        wanted(workload(), Rollback(1), facts())


def test_a_service_s_port_is_led_elsewhere() -> None:
    ports = [{"port": 80, "targetPort": "web"}, {"port": 81, "targetPort": 9000}]
    found = wanted(service(*ports), Desired(target_ports={"web:80": 8000, "other:81": 1}), facts()).thing
    assert [one["targetPort"] for one in found["spec"]["ports"]] == [8000, 9000]
    with pytest.raises(Refused, match="no port 443"):
        wanted(service(*ports), Desired(target_ports={"web:443": 8000}), facts())


# What is shown.


def test_a_document_shows_no_noise_and_no_secret() -> None:
    thing = workload(args=["--api-token", "s3cr3t-value", "--workers", "2"])
    thing["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    thing["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = '{"v": "hunter2"}'
    said = rendering.document(thing).text
    for gone in ("hunter2", "s3cr3t", "managedFields", "last-applied", "resourceVersion", "status", "revision"):
        assert gone not in said
    assert "DB_PASSWORD" in said
    assert HIDDEN in said


def test_a_secret_that_changes_shows_as_changed() -> None:
    before, after = workload(), workload(env=[{"name": "DB_PASSWORD", "value": "other"}])
    was, now = rendering.documents(before, after)
    assert was.version != now.version
    assert "(changed, hidden)" in now.text
    assert "hunter2" not in was.text
    assert "other" not in now.text


def test_controllers_writing_their_own_make_no_other_version() -> None:
    thing = workload()
    version = rendering.version(thing)
    thing["metadata"]["resourceVersion"] = "99"
    thing["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    thing["metadata"]["annotations"][rendering.CHANGE] = "20261122-aaaaaa"
    thing["status"]["readyReplicas"] = 0
    assert rendering.version(thing) == version
    thing["spec"]["template"]["spec"]["containers"][0] = container(image="shop:2")
    assert rendering.version(thing) != version
