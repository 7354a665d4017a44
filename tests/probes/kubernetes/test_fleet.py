"""Pods become deployments: by their owners, at small cost, and what did not change stays the same object."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from probes.loghits import LogCoverage
from probes.model import Latency, Memory
from probes.orchestrator import Autoscaler, DisruptionBudget, Managed, Revision, Rollout, ServicePort
from probes.targets.kubernetes.ids import replica_id
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.told import Told
from tests.probes.kubernetes._cluster import (
    NOW,
    Given,
    ago,
    container,
    owner,
    page,
    pod,
    replicaset,
    running,
    stamp,
    workload,
)

WEB = "shop/Deployment/web"


def event(
    kind: str = "Pod", name: str = "web-abc-1", uid: str = "uid-web-abc-1", **changes: object
) -> dict[str, object]:
    about = {"kind": kind, "namespace": "shop", "name": name, "uid": uid}
    metadata = {"name": f"{name}.1", "namespace": "shop", "uid": f"e-{name}"}
    return {
        "metadata": metadata,
        "type": "Warning",
        "reason": "Unhealthy",
        "message": "Readiness probe failed",
        "lastTimestamp": ago(minutes=1),
        "involvedObject": about,
        "source": {"component": "kubelet"},
        **changes,
    }


def test_pods_are_grouped_by_their_deployment_before_anything_else_is_listed() -> None:
    given = Given().put("pods", pod("web-abc-1"), pod("web-abc-2"), pod("db", of=[]))
    assert given.ids() == {WEB, "shop/Pod/db"}
    assert [one.name for one in given[WEB].replicas] == ["web-abc-1", "web-abc-2"]
    found = given[WEB]
    assert (found.kind, found.name, found.namespace, found.desired) == ("Deployment", "web", "shop", 2)
    assert found.orchestrated is not None
    assert found.orchestrated.rollout is None


@pytest.mark.parametrize(
    ("of", "labels", "wanted"),
    [
        (owner("StatefulSet", "db"), {"controller-revision-hash": "x"}, "shop/StatefulSet/db"),
        (owner("DaemonSet", "agent"), {}, "shop/DaemonSet/agent"),
        (owner("Job", "migrate"), {}, "shop/Job/migrate"),
        (owner("ReplicaSet", "alone"), {}, "shop/ReplicaSet/alone"),
        (owner("Node", "node-1"), {}, "shop/Pod/p"),
        (owner("CloneSet", "kruise"), {}, "shop/Pod/p"),
        ([{**owner("ReplicaSet", "web-abc")[0], "controller": False}], {"pod-template-hash": "abc"}, "shop/Pod/p"),
    ],
)
def test_each_controller_gathers_its_own_pods(of: list[dict[str, object]], labels: dict[str, str], wanted: str) -> None:
    assert Given().put("pods", pod("p", of=of, metadata={"labels": labels})).ids() == {wanted}


def test_a_guess_is_corrected_when_the_replicaset_is_known() -> None:
    given = Given().put("pods", pod("web-abc-1"))
    given.put("replicasets", replicaset("web-abc", deployment=None))
    assert given.ids() == {"shop/ReplicaSet/web-abc"}
    rollout = owner("Rollout", "canary")
    given.put("replicasets", replicaset("web-abc", metadata={"ownerReferences": rollout, "resourceVersion": "2"}))
    assert given.ids() == {"shop/ReplicaSet/web-abc"}
    given.put("replicasets", replicaset("web-abc", metadata={"resourceVersion": "3"}))
    assert WEB in given.ids()
    assert [one.name for one in given[WEB].replicas] == ["web-abc-1"]


def test_a_deployment_that_can_have_no_pods_is_listed_with_the_reason() -> None:
    failed = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": 'pods "web-abc-" is forbidden: exceeded quota: tight, requested: pods=1, used: pods=2',
    }
    status = {"replicas": None, "updatedReplicas": None, "readyReplicas": None, "availableReplicas": None}
    given = Given().put("deployments", workload(status=status | {"conditions": [failed]}))
    found = given[WEB]
    assert (found.replicas, found.desired) == ((), 2)
    assert found.orchestrated is not None
    rollout = found.orchestrated.rollout
    assert rollout is not None
    assert (rollout.reason, rollout.complete, rollout.updated) == ("FailedCreate", False, 0)
    assert "exceeded quota" in (rollout.message or "")


@pytest.mark.parametrize(
    ("command", "locks"),
    [
        (["uvicorn", "app:app", "--host", "127.0.0.1"], None),
        (["sh", "-c", "alembic upgrade head && exec uvicorn app:app --host 127.0.0.1"], None),
        (["sh", "-c", "uvicorn admin:app --port 8001 & exec gunicorn web:app"], "starts more than one server"),
        (["/entry.sh"], "starts no server that is known"),
    ],
    ids=["options", "a script's last command", "two servers", "a script of the image"],
)
def test_what_a_command_does_not_let_be_changed_is_no_capability(command: list[str], locks: str | None) -> None:
    annotated = {"annotations": {"fastops.io/enable": "true"}}
    pods = {"containers": [container(command=command, args=[])]}
    spec = {"template": {"metadata": {"labels": {"app": "web"}}, "spec": pods}}
    found = Given().put("deployments", workload(metadata=annotated, spec=spec))[WEB].capabilities
    for name in ("bind", "gunicorn", "command"):
        assert (found[name] is None) == (locks is None), found[name]  # type: ignore[index]
        assert (locks or "") in (found[name] or "")  # type: ignore[index]
    assert found["memory-limit"] is None
    assert found["probes"] is None


def test_a_commands_locks_follow_the_variables_that_it_uses_whatever_else_differs() -> None:
    def locks(**environment: str) -> bool:
        command = ["sh", "-c", 'exec sh -c "$START"']
        env = [{"name": name, "value": value} for name, value in environment.items()]
        pods = {"containers": [container(command=command, args=[], env=env)]}
        annotated = {"annotations": {"fastops.io/enable": "true"}}
        spec = {"template": {"metadata": {"labels": {"app": "web"}}, "spec": pods}}
        found = Given().put("deployments", workload(metadata=annotated, spec=spec))[WEB].capabilities
        return found["gunicorn"] is not None

    served = locks(START="exec gunicorn $APP", APP="web:app", RELEASE="1")
    assert locks(START="exec gunicorn $APP", APP="web:app", RELEASE="2") == served
    assert locks(START="exec ./serve", APP="web:app", RELEASE="1")


def test_an_event_of_one_pod_rebuilds_its_own_workload_alone() -> None:
    given = Given().put("pods", pod("web-abc-1"), pod("web-abc-2"), pod("other", of=owner("StatefulSet", "other")))
    before = dict(given.fleet.deployments)
    given.put("pods", pod("web-abc-1", metadata={"resourceVersion": "2"}, status=running(ready=False)))
    assert given.changed == {given[WEB].id}
    assert given["shop/StatefulSet/other"] is before[given["shop/StatefulSet/other"].id]
    assert given[WEB] is not before[given[WEB].id]
    assert given[WEB].replicas[1] is before[given[WEB].id].replicas[1]


def test_while_lists_come_in_what_is_shown_waits_and_what_is_new_is_built() -> None:
    given = Given().put("pods", pod("web-abc-1"))
    views = page("pods", pod("web-abc-2"), pod("other", of=owner("StatefulSet", "other"))).views
    for view in views:
        given.fleet.take(None, view)
    assert given.fleet.refresh(new_alone=True) == {given["shop/StatefulSet/other"].id}
    assert len(given[WEB].replicas) == 1
    assert given.fleet.refresh() == {given[WEB].id}
    assert len(given[WEB].replicas) == 2


def test_an_event_that_changes_nothing_shown_changes_nothing() -> None:
    given = Given().put("pods", pod("web-abc-1"))
    before = given[WEB]
    given.put("pods", pod("web-abc-1", metadata={"resourceVersion": "2"}))
    assert given.changed == frozenset()
    assert given[WEB] is before


def test_what_goes_is_gone() -> None:
    given = Given().put("pods", pod("web-abc-1")).put("deployments", workload())
    given.drop("pods", "shop/web-abc-1")
    assert given[WEB].replicas == ()
    given.drop("deployments", "shop/web")
    assert given.ids() == set()
    assert {one.rpartition("/")[2] for one in given.changed} == {"web"}
    assert not given.fleet._groups
    assert not given.fleet._by_id


def test_pods_that_are_over_count_while_they_are_recent() -> None:
    over = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}

    def ended(name: str, **when: float) -> dict[str, object]:
        state = {"terminated": {"exitCode": 137, "finishedAt": ago(**when)}}
        return pod(name, status=over | {"containerStatuses": [{"name": "app", "state": state}]})

    given = Given().put("pods", pod("web-abc-1"), ended("web-abc-2", minutes=5), ended("web-abc-3", hours=3))
    assert [(one.name, one.state) for one in given[WEB].replicas] == [("web-abc-1", "running"), ("web-abc-2", "exited")]
    assert given[WEB].desired == 1
    given.fleet.options = given.fleet.options.__class__(lookback=timedelta(minutes=1))
    given.fleet.age()
    assert {one.rpartition("/")[2] for one in given.fleet.refresh()} == {"web"}
    assert [one.name for one in given[WEB].replicas] == ["web-abc-1"]


def test_a_finished_job_leaves_the_list_with_its_last_pod() -> None:
    job = {"metadata": {"name": "load", "namespace": "shop", "uid": "uid-load"}, "spec": workload()["spec"]}
    done = {"terminated": {"exitCode": 0, "finishedAt": ago(hours=2)}}
    status = {"phase": "Succeeded", "containerStatuses": [{"name": "app", "state": done}]}
    given = Given().put("jobs", job).put("pods", pod("load-1", of=owner("Job", "load"), status=status))
    assert given.ids() == set()
    given.put("pods", pod("load-2", of=owner("Job", "load")))
    assert given.ids() == {"shop/Job/load"}


def test_what_stands_around_a_deployment_is_told() -> None:
    services = [
        {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
        for ports in [[{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 9}, {"port": 82}]]
    ]
    lost = {"metadata": {"name": "x", "namespace": "shop"}, "spec": {"selector": {"app": "web"}}}
    lost["spec"]["ports"] = [{"port": 83, "targetPort": "nowhere"}, {"port": 53, "protocol": "UDP"}]
    other = {"metadata": {"name": "web", "namespace": "else"}, "spec": services[0]["spec"]}
    scaler = {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9},
        "status": {"currentReplicas": 2},
    }
    budget = {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "x"]}]}},
        "status": {"disruptionsAllowed": 0},
    }
    strict = {"metadata": {"name": "no", "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": "x"}}}}
    given = Given().put("services", services[0], lost, other).put("pods", pod("web-abc-1"))
    given.put("deployments", workload(metadata={"labels": {"team": "shop"}}, spec={"strategy": {"type": "Recreate"}}))
    given.put("replicasets", replicaset("web-old", revision=1, spec={"replicas": 0}, status={"readyReplicas": 0}))
    given.put("replicasets", replicaset("web-abc", revision=2))
    given.put("deployments", workload(metadata={"resourceVersion": "2", "labels": {"team": "shop"}}))
    given.put("horizontalpodautoscalers", scaler).put("poddisruptionbudgets", budget, strict)
    around = given[WEB].orchestrated
    assert around is not None
    assert around.services == (
        ServicePort("web", 80, 8000, "http"),
        ServicePort("web", 81, 9),
        ServicePort("web", 82, 82),
        ServicePort("x", 83, None, "nowhere"),
    )
    assert around.autoscaler == Autoscaler("web", 1, 9, 2)
    assert around.disruption == DisruptionBudget("web", 0)
    assert around.rollout == Rollout(complete=True, updated=2, max_surge=1)
    assert [(one.number, one.name, one.desired, one.current) for one in around.revisions] == [
        (2, "web-abc", 2, False),
        (1, "web-old", 0, True),
    ]
    assert around.labels == {"team": "shop"}
    given.drop("services", "shop/web").drop("horizontalpodautoscalers", "shop/web")
    given.drop("poddisruptionbudgets", "shop/web").drop("replicasets", "shop/web-old")
    around = given[WEB].orchestrated
    assert around is not None
    assert [one.service for one in around.services] == ["x"]
    assert (around.autoscaler, around.disruption, len(around.revisions)) == (None, None, 1)


def vertical(name: str = "web-vpa", **spec: object) -> dict[str, object]:
    about = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "spec": {"targetRef": about, **spec},
        "status": {"recommendation": {"containerRecommendations": []}},
    }


EACH = {"containerName": "*"}


@pytest.mark.parametrize(
    ("spec", "decides"),
    [
        ({}, True),
        ({"updatePolicy": {"updateMode": "Auto"}}, True),
        ({"updatePolicy": {"updateMode": "Initial"}}, True),
        ({"updatePolicy": {"updateMode": "Off"}}, False),
        ({"resourcePolicy": {"containerPolicies": [{**EACH, "controlledValues": "RequestsOnly"}]}}, False),
        ({"resourcePolicy": {"containerPolicies": [{**EACH, "mode": "Off"}]}}, False),
        ({"resourcePolicy": {"containerPolicies": [{**EACH, "maxAllowed": {"memory": "1Gi"}}]}}, True),
        (
            {
                "resourcePolicy": {
                    "containerPolicies": [{**EACH, "mode": "Off"}, {"containerName": "app", "mode": "Auto"}]
                }
            },
            True,
        ),
        ({"resourcePolicy": {"containerPolicies": [{"containerName": "proxy", "mode": "Off"}]}}, True),
        ({"resourcePolicy": {"containerPolicies": [{**EACH, "controlledResources": ["cpu"]}]}}, ("cpu",)),
        ({"resourcePolicy": {"containerPolicies": [{**EACH, "controlledResources": []}]}}, False),
        (
            {"resourcePolicy": {"containerPolicies": [{"containerName": "app", "controlledResources": ["cpu"]}]}},
            True,
        ),
    ],
)
def test_a_vertical_autoscaler_decides_limits_unless_it_only_recommends(
    spec: dict[str, object], decides: bool | tuple[str, ...]
) -> None:
    given = Given().put("deployments", workload()).put("pods", pod("web-abc-1"))
    given.put("verticalpodautoscalers", vertical(**spec))
    around = given[WEB].orchestrated
    assert around is not None
    assert around.vertical_autoscaler == ("web-vpa" if decides else None)
    assert around.vertical_owns == (decides if isinstance(decides, tuple) else ("cpu", "memory"))


def test_a_vertical_autoscaler_that_goes_leaves_the_workload_as_it_was() -> None:
    given = Given().put("verticalpodautoscalers", vertical("b"), vertical("a"))
    given.put("deployments", workload()).put("pods", pod("web-abc-1"))
    assert given[WEB].orchestrated.vertical_autoscaler == "a"  # type: ignore[union-attr]
    for gone, left in (("a", "b"), ("b", None)):
        given.drop("verticalpodautoscalers", f"shop/{gone}")
        assert given[WEB].orchestrated.vertical_autoscaler == left  # type: ignore[union-attr]


def test_revisions_of_a_statefulset_come_from_its_controllerrevisions() -> None:
    kept = [
        {
            "metadata": {
                "name": f"db-{n}",
                "namespace": "shop",
                "uid": f"r{n}",
                "ownerReferences": owner("StatefulSet", "db"),
            },
            "revision": n,
            "data": {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": f"shop:{n}"}]}}}},
        }
        for n in (1, 2)
    ]
    status = {"currentRevision": "db-1", "updateRevision": "db-2"}
    given = Given().put("statefulsets", workload("db", status=status)).put("controllerrevisions", *kept)
    around = given["shop/StatefulSet/db"].orchestrated
    assert around is not None
    assert around.revisions[0] == Revision(2, "db-2", images=("shop:2",), current=True)
    assert around.rollout is not None
    assert not around.rollout.complete


def test_who_manages_it_is_told() -> None:
    labels, annotations = {"app.kubernetes.io/managed-by": "Helm"}, {"meta.helm.sh/release-name": "shop"}
    given = Given().put("deployments", workload(metadata={"labels": labels, "annotations": annotations}))
    around = given[WEB].orchestrated
    assert around is not None
    assert around.managed == Managed("helm", "shop")


def test_a_rollout_that_does_not_get_on_says_so() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    status = {"conditions": [late], "replicas": 3, "updatedReplicas": 1}
    around = Given().put("deployments", workload(status=status))[WEB].orchestrated
    assert around is not None
    assert around.rollout == Rollout(False, 1, "ProgressDeadlineExceeded", "timed out", max_surge=1)


def test_what_is_no_fastapi_service_is_not_listed_unless_asked_for() -> None:
    unknown = pod("x", of=[], spec={"containers": [container(command=None, args=None)]})
    nginx = pod("nginx", of=[], spec={"containers": [container(command=["nginx"], args=None)]})
    assert Given().put("pods", unknown, nginx).ids() == set()
    assert Given(unknown=True).put("pods", unknown, nginx).ids() == {"shop/Pod/x"}


def test_a_service_that_tells_what_it_is_is_listed() -> None:
    made = container(command=None, args=None, ports=None)
    service = {"metadata": {"name": "x", "namespace": "shop"}, "spec": {"selector": {"app": "web"}}}
    service["spec"]["ports"] = [{"port": 80, "targetPort": 7000}]
    given = Given().put("services", service).put("pods", pod("web-abc-1", spec={"containers": [made]}))
    (asked,) = given.fleet.open()
    assert (asked.pod.name, asked.questions[0].ports) == ("web-abc-1", (7000,))
    given.fleet.tell(asked.deployment, asked.template, Told(documented="app", asked=True))
    assert {one.rpartition("/")[2] for one in given.fleet.refresh()} == {"web"}
    assert given[WEB].recognised_by == "it serves FastAPI's document at /openapi.json"
    assert list(given.fleet.open()) == []
    newer = {**made, "image": "shop:2"}
    given.put("pods", pod("web-abc-1", metadata={"resourceVersion": "2"}, spec={"containers": [newer]}))
    assert "before its template was changed" in given[WEB].recognised_by
    (asked,) = given.fleet.open()
    given.fleet.tell(asked.deployment, asked.template, Told(asked=True))
    given.fleet.refresh()
    assert given.ids() == set(), "another image is asked again"


def test_a_new_image_that_does_not_start_stays_on_the_list() -> None:
    made = container(command=None, args=None)
    given = Given().put("pods", pod("web-abc-1", spec={"containers": [made]}))
    (asked,) = given.fleet.open()
    given.fleet.tell(asked.deployment, asked.template, Told(documented="app", asked=True))
    given.fleet.refresh()
    waiting = running(ready=False, state={"waiting": {"reason": "ErrImagePull"}})
    newer = {"creationTimestamp": stamp(NOW), "labels": {"pod-template-hash": "def"}}
    bad = pod(
        "web-def-1",
        of=owner("ReplicaSet", "web-def"),
        metadata=newer,
        spec={"containers": [{**made, "image": "shop:bad"}]},
        status=waiting,
    )
    given.put("pods", bad).drop("pods", "shop/web-abc-1")
    assert [one.waiting.reason for one in given[WEB].replicas if one.waiting] == ["ErrImagePull"]


def test_measurements_are_laid_over_and_end_with_their_container() -> None:
    given = Given().put("pods", pod("web-abc-1"))
    replica = replica_id("shop", "web-abc-1", "app")
    given.fleet.measured[replica] = Measured(memory=Memory(used_bytes=5), packages={"uvicorn": "0.54.0"})
    given.fleet.woken.clear()
    given.fleet.touch([replica])
    assert given.fleet.woken.is_set()
    assert given.fleet.refresh() == {given[WEB].id}
    assert (given[WEB].replicas[0].memory.used_bytes, given[WEB].server_version) == (5, "0.54.0")
    restarted = running(containerID="containerd://2", restartCount=1)
    given.put("pods", pod("web-abc-1", metadata={"resourceVersion": "2"}, status=restarted))
    assert (given[WEB].replicas[0].memory.used_bytes, given[WEB].restarts) == (None, 1)
    given.drop("pods", "shop/web-abc-1")
    assert not given.fleet.measured


def test_logs_and_latency_are_taken_from_those_who_read_them() -> None:
    given = Given()
    given.fleet.coverage = lambda _: LogCoverage(state="followed")
    given.put("pods", pod("web-abc-1"))
    assert given[WEB].logs.state == "followed"
    given.fleet.told_latency({given[WEB].id: Latency(at=NOW, p95_seconds=2.0)})
    assert given.fleet.refresh() == {given[WEB].id}
    assert given[WEB].latency == Latency(at=NOW, p95_seconds=2.0)


def test_events_wait_for_what_they_are_about_and_are_handed_out_once() -> None:
    given = Given().put(
        "events", event(), event(name="unknown", uid="u"), event(lastTimestamp=ago(hours=9), name="old")
    )
    assert list(given.fleet.heard()) == []
    given.put("pods", pod("web-abc-1"))
    (heard,) = given.fleet.heard()
    assert (heard.deployment, heard.replica) == (given[WEB].id, "shop/web-abc-1/app")
    assert heard.event.reason == "Unhealthy"
    given.put("events", event())
    assert list(given.fleet.heard()) == [], "the same words again, as after a new list"
    given.put("events", event(lastTimestamp=stamp(NOW), count=2))
    assert len(list(given.fleet.heard())) == 1


def test_events_about_a_workload_and_its_replicaset_are_the_deployments() -> None:
    given = Given().put("deployments", workload()).put("replicasets", replicaset())
    given.put("events", event("ReplicaSet", "web-abc", "uid-web-abc"), event("Deployment", "web", "uid-web"))
    heard = list(given.fleet.heard())
    assert {one.deployment for one in heard} == {given[WEB].id}
    assert {one.replica for one in heard} == {"shop/web/Deployment"}
    given.fleet.touch([heard[0].replica])
    assert given.fleet._dirty


def test_nodes_are_told_with_what_pods_can_have() -> None:
    node = {"metadata": {"name": "node-1"}, "status": {"allocatable": {"cpu": "3920m", "memory": "8Gi"}}}
    given = Given().put("nodes", node).put("pods", pod("web-abc-1"))
    assert given[WEB].node == "k8s/test/node/node-1"
    found = given.fleet.nodes[given[WEB].node]
    assert (found.cpus, found.memory_total_bytes) == (4, 8 * 2**30)


def test_cost_grows_no_faster_than_the_fleet() -> None:
    """Ten times as many workloads, each with its own Service, in one namespace: about ten times the work."""

    def took(count: int) -> float:
        things = [
            pod(
                f"w{n}-abc-{k}",
                of=owner("ReplicaSet", f"w{n}-abc"),
                metadata={"labels": {"app": f"w{n}", "tier": "api", "pod-template-hash": "abc"}},
            )
            for n in range(count)
            for k in range(3)
        ]
        services = [
            {"metadata": {"name": f"w{n}", "namespace": "shop"}, "spec": {"selector": {"app": f"w{n}", "tier": "api"}}}
            for n in range(count)
        ]
        views = [*page("services", *services).views, *page("pods", *things).views]
        given = Given()
        started = time.process_time()
        for one in views:
            given.fleet.take(None, one)
        given.fleet.refresh()
        for one in views[:count]:
            given.fleet.take(one, one)
        given.fleet.refresh()
        assert len(given.fleet.deployments) == count
        return time.process_time() - started

    small = min(took(60) for _ in range(3))
    assert min(took(600) for _ in range(3)) < 30 * small
