"""Objects of the API become what is kept of them, whatever stands in them, and no secret comes along."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import pastedpods
from probes.model import UNLIMITED, Cpu, Limit, Memory
from probes.orchestrator import Ended, ProbeSpec, Waiting
from probes.targets.kubernetes import quantities
from probes.targets.kubernetes.apps import managed
from probes.targets.kubernetes.ids import deployment_id, replica_id, replica_parts
from probes.targets.kubernetes.listed import KINDS, PODS
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.objects import Annotations
from probes.targets.kubernetes.parse import replica
from probes.targets.kubernetes.sharing import Sharing
from probes.targets.kubernetes.views import ContainerView
from probes.text import HIDDEN
from tests.probes.kubernetes._cluster import NOW, TARGET, ago, container, page, pod, pod_view, running, stamp, view

SECRET = "hunter2-hunter2"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def only(thing: dict[str, Any]) -> ContainerView:
    (found,) = pod_view(thing).template.containers
    return found


# Quantities


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("512Mi", 512 * 2**20),
        ("1Gi", 2**30),
        ("1e9", 1e9),
        ("1E3", 1000.0),
        ("1E", 1e18),
        ("500m", 0.5),
        ("100n", 1e-7),
        ("1.5", 1.5),
        (".5Gi", 2**29),
        ("2.", 2.0),
        (2, 2.0),
        (0.25, 0.25),
        ("+3k", 3000.0),
        ("0", 0.0),
    ],
)
def test_quantities_mean_what_kubernetes_reads(said: object, means: float) -> None:
    assert quantities.quantity(said) == means


@pytest.mark.parametrize("said", ["", "Mi", "-1", "1mi", "1 Gi x", "1e", None, True, [], math.inf, "9" * 99, "١"])
def test_what_is_no_quantity_is_unknown(said: object) -> None:
    assert quantities.quantity(said) is None


@given(st.integers(min_value=0, max_value=2**60))
def test_bytes_come_back_as_they_were_written(size: int) -> None:
    assert quantities.quantity(quantities.memory(size)) == float(size)


@given(st.integers(min_value=0, max_value=10**7))
def test_cores_come_back_as_they_were_written(milli: int) -> None:
    assert quantities.quantity(quantities.cpu(milli / 1000)) == milli / 1000


@given(st.text(max_size=40))
def test_any_text_is_a_quantity_or_none(said: str) -> None:
    found = quantities.quantity(said)
    assert found is None or found >= 0


# Templates


def test_literal_values_are_redacted_and_references_are_named() -> None:
    found = only(
        pod(
            spec={
                "containers": [
                    container(
                        env=[
                            {"name": "DB_PASSWORD", "value": SECRET},
                            {"name": "DATABASE_URL", "value": f"postgresql://app:{SECRET}@db/app"},
                            {"name": "MODE", "value": "prod"},
                            {"name": "EMPTY"},
                            {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
                            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "level"}}},
                            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                            {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                        ],
                        envFrom=[{"configMapRef": {"name": "all"}}, {"prefix": "X_", "secretRef": {"name": "more"}}],
                    )
                ]
            }
        )
    )
    assert found.environment == {
        "DB_PASSWORD": HIDDEN,
        "DATABASE_URL": f"postgresql://app:{HIDDEN}@db/app",
        "MODE": "prod",
        "EMPTY": "",
    }
    assert found.environment_from == {
        "*": "configmap all",
        "X_*": "secret more",
        "API_TOKEN": "secret api/token",
        "LEVEL": "configmap web/level",
        "POD": "field metadata.name",
        "CPUS": "resource limits.cpu",
    }


def test_a_reference_in_the_place_of_a_password_is_no_literal_secret() -> None:
    found = only(
        pod(
            spec={
                "containers": [
                    container(
                        env=[
                            {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                            {"name": "DATABASE_URL", "value": "postgresql://app:$(DB_PASSWORD)@db/app"},
                            {"name": "PGPASSWORD", "value": "$(DB_PASSWORD)"},
                            {"name": "BOTH", "value": f"a://b:$(DB_PASSWORD)@c d://e:{SECRET}@f"},
                        ]
                    )
                ]
            }
        )
    )
    assert found.environment["DATABASE_URL"] == "postgresql://app:$(DB_PASSWORD)@db/app"
    assert found.environment_from["PGPASSWORD"] == "secret db/password"
    assert SECRET not in found.environment["BOTH"]


def test_references_in_the_command_are_filled_in_where_their_value_is_known() -> None:
    found = only(
        pod(
            spec={
                "containers": [
                    container(
                        command=["uvicorn"],
                        args=["main:app", "--port", "$(PORT)", "--host", "$(HOST)", "--header", "$$(NOT):$(UNKNOWN)"],
                        env=[{"name": "PORT", "value": "80"}, {"name": "HOST", "value": "0.0.0.$(PORT)"}],
                    )
                ]
            }
        )
    )
    assert found.argv[3:] == ("80", "--host", "0.0.0.80", "--header", "$(NOT):$(UNKNOWN)")


def test_secrets_in_the_command_are_not_shown() -> None:
    found = only(pod(spec={"containers": [container(args=["main:app", "--api-key", SECRET])]}))
    assert SECRET not in " ".join(found.shown)


def test_checks_have_their_defaults_and_named_ports_their_numbers() -> None:
    found = only(
        pod(
            spec={
                "containers": [
                    container(
                        readinessProbe={"httpGet": {"port": "http"}},
                        livenessProbe={"tcpSocket": {"port": 9}, "failureThreshold": 5, "timeoutSeconds": 4},
                        startupProbe={"exec": {"command": ["check", "--token", SECRET]}, "periodSeconds": 1},
                    )
                ]
            }
        )
    )
    assert found.probes[0] == ProbeSpec("readiness", "http", path="/", port=8000)
    assert found.probes[1] == ProbeSpec("liveness", "tcp", port=9, failure_threshold=5, timeout_seconds=4.0)
    assert found.probes[2].command == ("check", "--token", HIDDEN)
    assert only(pod()).probes == ()


def test_limits_are_read_and_none_is_unlimited() -> None:
    limits = {"limits": {"memory": "512Mi", "cpu": "500m"}, "requests": {"memory": "256Mi", "cpu": "0.1"}}
    found = only(pod(spec={"containers": [container(resources=limits)]}))
    assert (found.memory_limit, found.cpu_limit) == (Limit(True, 2.0**29), Limit(True, 0.5))
    assert (found.memory_request_bytes, found.cpu_request_cores) == (2**28, 0.1)
    assert (only(pod()).memory_limit, only(pod()).memory_request_bytes) == (UNLIMITED, None)


def test_pods_of_one_template_share_it_and_secrets_do_not_make_templates_alike() -> None:
    share = Sharing()
    same = page("pods", pod("a"), pod("b"), share=share).views
    env = [{"name": "DB_PASSWORD", "value": SECRET}]
    other = page("pods", pod("c", spec={"containers": [container(env=env)]}), share=share).views
    first, second, third = (one.template for one in (*same, *other))  # type: ignore[attr-defined]
    assert first is second
    assert first is not third
    assert SECRET not in repr((share.__dict__, third))


# Pods and replicas


def test_a_running_pod_is_a_replica() -> None:
    made = replica(pod_view(pod()), "app")
    assert (made.id, made.name, made.state, made.ready) == ("shop/web-abc-1/app", "web-abc-1", "running", True)
    assert (made.revision, made.addresses, made.declared_ports) == ("abc", {"pod": "10.0.0.1"}, (8000,))
    assert (made.probes, made.stop_signal_timeout_seconds, made.oom_killed, made.terminating) == ((), 30.0, None, False)
    assert made.memory == Memory(limit=UNLIMITED)
    assert replica_parts(made.id) == ("shop", "web-abc-1", "app")


def test_a_crash_loop_is_told_with_how_it_ended() -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled", "startedAt": ago(minutes=3), "finishedAt": ago(minutes=2)}
    status = running(
        ready=False,
        restartCount=4,
        state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
        lastState={"terminated": ended},
    )
    made = replica(pod_view(pod(status=status)), "app")
    assert (made.state, made.ready, made.restarts, made.exit_code) == ("restarting", False, 4, None)
    assert made.waiting is not None
    assert (made.waiting.reason, made.waiting.message) == ("CrashLoopBackOff", "back-off 5m0s")
    assert made.last_end is not None
    assert (made.last_end.reason, made.last_end.exit_code) == ("OOMKilled", 137)
    assert stamp(made.last_end.at or NOW) == ended["finishedAt"]


def test_a_container_that_is_over_tells_its_own_end() -> None:
    status = running(
        ready=False,
        state={"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": ago(minutes=1)}},
        lastState={"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ago(minutes=9)}},
    )
    made = replica(pod_view(pod(status=status)), "app")
    assert (made.state, made.exit_code) == ("exited", 3)
    assert made.last_end is not None
    assert made.last_end.exit_code == 3


def test_a_pod_without_a_node_says_why() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient memory.",
        "lastTransitionTime": ago(minutes=4),
    }
    thing = pod(status={"phase": "Pending", "conditions": [condition]}, spec={"nodeName": None})
    made = replica(pod_view(thing), "app")
    assert made.state == "created"
    assert made.waiting is not None
    assert (made.waiting.reason, made.waiting.message) == ("Unschedulable", condition["message"])
    assert stamp(made.waiting.since or NOW) == condition["lastTransitionTime"]


def test_an_init_container_that_fails_is_why_the_pod_does_not_start() -> None:
    status = running(ready=False, state={"waiting": {"reason": "PodInitializing"}})
    init = {"name": "migrate", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}}
    made = replica(pod_view(pod(status=status | {"initContainerStatuses": [init]})), "app")
    assert made.waiting == Waiting("CrashLoopBackOff", "init container migrate: back-off 10s", None, "migrate")
    fine = {"name": "migrate", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    made = replica(pod_view(pod(status=status | {"initContainerStatuses": [fine]})), "app")
    assert made.waiting == Waiting("PodInitializing")


def _initialising(message: str | None, *inits: dict[str, Any]) -> Waiting | None:
    status = running(ready=False, state={"waiting": {"reason": "PodInitializing"}})
    condition = {"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized", "message": message}
    status |= {"phase": "Pending", "conditions": [condition], "initContainerStatuses": list(inits)}
    return replica(pod_view(pod(status=status)), "app").waiting


def test_an_init_container_that_runs_is_named_with_the_time_since_when() -> None:
    since = {"running": {"startedAt": stamp(NOW)}}
    sidecar = {"name": "proxy", "ready": True, "started": True, "state": since}
    waits = {"name": "wait", "ready": False, "started": True, "state": since}
    told = "containers with incomplete status: [wait migrate]"
    migrate = {"name": "migrate", "state": {"waiting": {"reason": "PodInitializing"}}}
    expected = Waiting("PodInitializing", "init container wait has not ended", NOW, "wait")
    assert _initialising(told, sidecar, waits, migrate) == expected
    # Its image is being pulled: it does not run yet.
    assert _initialising("containers with incomplete status: [migrate]", sidecar, migrate) == Waiting("PodInitializing")
    assert _initialising(None, waits) == Waiting("PodInitializing")


def test_a_pod_behind_gates_names_them() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
        "lastTransitionTime": stamp(NOW),
    }
    spec = {"nodeName": None, "schedulingGates": [{"name": "kueue.x-k8s.io/admission"}, {"name": "shop/quota"}]}
    made = replica(pod_view(pod(status={"phase": "Pending", "conditions": [condition]}, spec=spec)), "app")
    assert made.waiting == Waiting("SchedulingGated", "kueue.x-k8s.io/admission, shop/quota", NOW)


def test_an_evicted_pod_is_over_and_says_why() -> None:
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage."}
    made = replica(pod_view(pod(status=status)), "app")
    assert (made.state, made.ready, made.waiting) == ("exited", False, None)
    assert made.error == "Evicted: The node was low on resource: ephemeral-storage."


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"),
        ("TerminationByKubelet", "The node was low on resource: memory. Threshold quantity: 100Mi."),
        ("EvictionByEvictionAPI", "Eviction API: evicting"),
    ],
)
def test_a_pod_that_ended_well_still_says_why_it_had_to_go(reason: str, message: str) -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    made = replica(pod_view(pod(status={"phase": "Succeeded", "conditions": [condition]})), "app")
    assert made.error == f"{reason}: {message}"
    former = pod(status={"phase": "Succeeded", "conditions": [{**condition, "status": "False"}]})
    assert replica(pod_view(former), "app").error is None
    shut = {"phase": "Failed", "reason": "Terminated", "message": "in response to imminent node shutdown."}
    made = replica(pod_view(pod(status=shut | {"conditions": [condition]})), "app")
    assert made.error == "Terminated: in response to imminent node shutdown."


def test_a_pod_that_was_told_to_go_is_terminating() -> None:
    assert replica(pod_view(pod(metadata={"deletionTimestamp": ago(seconds=1)})), "app").terminating


def test_what_was_measured_is_laid_over_the_description() -> None:
    limits = {"limits": {"memory": "512Mi"}}
    found = pod_view(pod(spec={"containers": [container(resources=limits)]}))
    reading = Measured(memory=Memory(used_bytes=7, source="metrics"), cpu=Cpu(used_cores=0.5), sampled_at=NOW)
    made = replica(found, "app", reading)
    assert made.memory == Memory(used_bytes=7, limit=Limit(True, 2.0**29), source="metrics")
    assert made.cpu == Cpu(used_cores=0.5, limit=UNLIMITED)
    assert made.sampled_at == NOW


def test_foreign_text_is_cleaned_and_redacted() -> None:
    message = f"\x1b[31mfailed\x1b[0m with password={SECRET}"
    status = running(
        state={"waiting": {"reason": "Create\x1b[2JContainerError", "message": message}},
        lastState={"terminated": {"exitCode": 1, "message": message}},
    )
    made = replica(pod_view(pod(status=status)), "app")
    assert made.waiting == Waiting("CreateContainerError", f"failed with password={HIDDEN}")
    assert made.last_end == Ended(None, exit_code=1, message=f"failed with password={HIDDEN}")


def test_annotations_with_the_whole_object_are_not_kept() -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": f'{{"env":"{SECRET}"}}'}
    found = pod_view(pod(metadata={"annotations": applied}))
    assert SECRET not in repr(found)


def test_ids_encode_what_would_divide_them() -> None:
    assert deployment_id(TARGET, "a b", "Pod", "x/y~") == "k8s/test/a%20b/Pod/x%2Fy%7E"
    assert replica_parts(replica_id("ns", "pod", "app")) == ("ns", "pod", "app")


@pytest.mark.parametrize(
    ("labels", "annotations", "wanted"),
    [
        ({"app.kubernetes.io/managed-by": "Helm"}, Annotations(helm_release="shop"), ("helm", "shop")),
        ({"app.kubernetes.io/managed-by": "Helm"}, None, None),
        ({"argocd.argoproj.io/instance": "apps"}, None, ("argocd", "apps")),
        ({}, Annotations(argocd_tracking="web:apps/Deployment:shop/web"), ("argocd", "web")),
        ({"app.kubernetes.io/instance": "web"}, None, None),
        (
            {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"},
            None,
            ("flux", "flux-system/shop"),
        ),
        (
            {"helm.toolkit.fluxcd.io/name": "shop", "app.kubernetes.io/managed-by": "Helm"},
            Annotations(helm_release="shop"),
            ("flux", "shop"),
        ),
    ],
)
def test_who_keeps_an_object_is_told_by_their_own_marks(
    labels: dict[str, str], annotations: Annotations | None, wanted: tuple[str, str] | None
) -> None:
    found = managed(labels, annotations)
    assert (None if found is None else (found.by, found.name)) == wanted


# Whatever comes


def test_an_odd_object_is_left_out_and_counted_and_the_others_stay() -> None:
    odd = pod("odd") | {"spec": {"containers": "none"}}
    found = page("pods", pod("a"), odd, 7, None, pod("b"))
    assert [one.name for one in found.views] == ["a", "b"]
    assert (found.left_out, found.version) == (3, "7")


def test_null_is_absent_everywhere() -> None:
    thing = {"metadata": {"name": "x"}, "spec": None, "status": None}
    assert pod_view(thing).template.containers == ()
    assert pod_view({"metadata": {"name": "x", "labels": None, "ownerReferences": None}}).namespace == "default"
    assert page("pods", {"metadata": None}, {}).views == []


def _everywhere(thing: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    return [path, *(one for key, value in items for one in _everywhere(value, (*path, key)))]


FULL = pod(
    spec={
        "containers": [
            container(
                env=[{"name": "A", "value": "b"}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
                resources={"limits": {"memory": "1Gi"}},
                readinessProbe={"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
            )
        ]
    },
    status=running(lastState={"terminated": {"exitCode": 1, "finishedAt": ago(minutes=1), "signal": 9}}),
)


@given(st.sampled_from(_everywhere(FULL)[1:]), JSON)
def test_any_value_anywhere_in_a_pod_is_taken_or_left_out(path: tuple[Any, ...], value: Any) -> None:
    thing = msgspec.json.decode(msgspec.json.encode(FULL))
    at = thing
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    found = page("pods", thing, pod("other"))
    assert "other" in {one.name for one in found.views}
    for one in found.views:
        replica(one, "app")  # type: ignore[arg-type]
    pasted = pastedpods.pod(thing) if isinstance(thing, dict) else None
    assert pasted is None or pasted.kind == "container"


def test_a_pasted_pod_is_read_by_the_same_rules_and_says_no_more_than_it_tells() -> None:
    env = [{"name": "DB_PASSWORD", "value": SECRET}]
    thing = pod(spec={"containers": [container(env=env), container(name="b", resources={})]})
    found = pastedpods.pod(thing)
    assert found is not None
    assert [(one.id, one.memory.limit.limited) for one in found.replicas] == [
        ("web-abc-1/app", None),
        ("web-abc-1/b", False),
    ]
    assert found.replicas[0].environment == {"DB_PASSWORD": HIDDEN}
    assert (found.replicas[0].probes, pastedpods.pod({"spec": {}})) == (None, None)


@given(JSON, st.sampled_from([one.name for one in KINDS]))
def test_any_object_of_any_kind_is_taken_or_left_out(thing: Any, kind: Any) -> None:
    found = page(kind, thing)
    assert len(found.views) + found.left_out <= 1


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_bytes_are_a_page_or_a_value_error(body: bytes, kind: Any) -> None:
    try:
        found = kind.page(body, Sharing())
    except ValueError:
        return
    assert found.left_out >= 0


def test_an_event_of_a_watch_is_a_change() -> None:
    body = msgspec.json.encode({"type": "MODIFIED", "object": pod()})
    change = PODS.change(body, Sharing())
    assert (change.type, change.version) == ("MODIFIED", "1")
    assert change.view is not None
    mark = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "99"}, "spec": {"x": 1}}}
    change = PODS.change(msgspec.json.encode(mark), Sharing())
    assert (change.type, change.view, change.version, change.left_out) == ("BOOKMARK", None, "99", 0)
    odd = {"type": "ADDED", "object": {"metadata": {"name": 7, "resourceVersion": "12"}}}
    change = PODS.change(msgspec.json.encode(odd), Sharing())
    assert (change.view, change.version, change.left_out) == (None, "12", 1)
    with pytest.raises(ValueError, match="no event"):
        PODS.change(b"[]", Sharing())


def test_events_of_every_age_have_their_latest_time() -> None:
    about = {"kind": "Pod", "namespace": "shop", "name": "web-abc-1", "uid": "u"}
    old = {"metadata": {"name": "e"}, "involvedObject": about, "lastTimestamp": ago(minutes=1), "count": 3}
    new = {
        "metadata": {"name": "e", "creationTimestamp": ago(minutes=9)},
        "involvedObject": about,
        "lastTimestamp": None,
        "eventTime": "2026-11-22T10:00:00.123456Z",
        "reportingComponent": "default-scheduler",
    }
    first, second = view("events", old), view("events", new)
    assert stamp(first.at) == ago(minutes=1)  # type: ignore[attr-defined]
    assert (first.count, first.about) == (3, "web-abc-1")  # type: ignore[attr-defined]
    assert stamp(second.at) == "2026-11-22T10:00:00Z"  # type: ignore[attr-defined]
    assert second.source == "default-scheduler"  # type: ignore[attr-defined]


def test_a_pod_takes_no_traffic_while_a_container_beside_the_serving_one_fails() -> None:
    status = running()
    status["containerStatuses"].append(
        {"name": "agent", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}}
    )
    message = "containers with unready status: [agent]"
    status["conditions"] = [
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": message},
    ]
    found = replica(pod_view(pod(status=status)), "app")
    assert (found.state, found.ready, found.held_by) == ("running", False, message)
    assert found.waiting == Waiting("CrashLoopBackOff", "container agent: back-off", None, "agent")


def test_how_a_container_beside_the_serving_one_ended_is_told() -> None:
    status = running()
    killed = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ago(seconds=40)}
    waits = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    status["containerStatuses"].append({"name": "agent", "state": waits, "lastState": {"terminated": killed}})
    found = replica(pod_view(pod(status=status)), "app")
    assert found.waiting is not None
    assert found.waiting.message == "container agent: back-off; its last run ended as OOMKilled, exit code 137"


def test_a_pod_of_a_silent_node_takes_no_traffic_whatever_its_containers_said_last() -> None:
    for said in ("False", "Unknown"):
        status = running() | {"conditions": [{"type": "Ready", "status": said}]}
        found = replica(pod_view(pod(status=status)), "app")
        assert (found.ready, found.held_by) == (False, f"its condition Ready is {said.lower()}")
    assert replica(pod_view(pod()), "app").ready


def test_what_a_container_waits_for_that_ended_beside_it_is_not_told_once_it_is_ready() -> None:
    status = running() | {"conditions": [{"type": "Ready", "status": "True"}]}
    found = replica(pod_view(pod(status=status)), "app")
    assert (found.ready, found.held_by, found.waiting) == (True, None, None)
