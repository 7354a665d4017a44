"""Fixes on a real cluster that meet quotas, ranges, budgets, autoscalers and admission: named, and never half done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.commands.rbac import document
from fixes.diff import unified
from probes.intent import Desired, Step
from probes.orchestrator import Autoscaler, DisruptionBudget, Orchestrated
from probes.target import Refused
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.contexts import resolve
from probes.targets.kubernetes.quantities import quantity
from tests.cluster import accounts
from tests.cluster.api import ApiError
from tests.probes.kubernetes._admission import policy, webhook
from tests.probes.kubernetes._objects import Json, deployment
from tests.probes.kubernetes._shop import Fix, Shop, of_tests

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
MIB = 1 << 20
MEMORY = Desired(memory_limit_bytes=512 * MIB)
GUARANTEED = {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"cpu": "100m", "memory": "200Mi"}}
RESTARTS = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
BY_HAND = {"updateStrategy": {"type": "OnDelete"}}


@pytest.fixture(scope="module")
def shop(cluster: Path) -> Iterator[Shop]:
    with of_tests(cluster, "guards") as made:
        yield made


@pytest.fixture
async def fix(shop: Shop) -> Any:
    client: ApiClient = shop.client()
    yield Fix(shop, client)
    await client.close()


@contextmanager
def beside(shop: Shop, plural: str, kind: str, spec: Json, seen: Callable[[Json], object]) -> Iterator[None]:
    """An object of the namespace from when it has an effect to the end of the scene."""
    path = f"/api/v1/namespaces/{shop.name}/{plural}"
    shop.api.post(path, {"apiVersion": "v1", "kind": kind, "metadata": {"name": "tight"}, "spec": spec})
    try:
        shop.until(plural, lambda: bool(seen(shop.api.get(f"{path}/tight"))))
        yield
    finally:
        shop.api.delete(f"{path}/tight")


def counted(quota: Json) -> object:
    return quota.get("status", {}).get("used")


def notes(step: Step) -> str:
    return " ".join(step.arguments["notes"])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_a_quota_that_comes_between_is_told_by_the_rollout_and_all_is_taken_back(
    shop: Shop, fix: Fix, kind: str
) -> None:
    web = shop.start("late", kind)
    before = shop.spec(kind, "late")
    await fix.draft(web, MEMORY)
    with beside(shop, "resourcequotas", "ResourceQuota", {"hard": {"limits.memory": "400Mi"}}, counted):
        with pytest.raises(Refused, match=r"(?s)taken back: FailedCreate: .*exceeded quota: tight") as refused:
            await fix.perform()
        assert "limits.memory=512Mi" in str(refused.value), "wanted"
        assert "limited: limits.memory=400Mi" in str(refused.value), "allowed"
        assert shop.spec(kind, "late") == before
        shop.await_rolled_out(kind, "late")
    shop.api.delete(shop.path(kind, "late"))


async def test_a_rollout_that_finds_room_only_once_a_pod_is_gone_is_waited_for(shop: Shop, fix: Fix) -> None:
    rolling = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    web = shop.start("tight", spec={"replicas": 2, "strategy": rolling}, pod={"terminationGracePeriodSeconds": 8})
    with beside(shop, "resourcequotas", "ResourceQuota", {"hard": {"pods": "2"}}, counted):
        (step,) = await fix.draft(web, MEMORY)
        assert "leaves 0 of pods (2 of 2 used); 1 more pod of it takes 1" in notes(step)
        await fix.perform()
        assert shop.app(name="tight")["resources"]["limits"]["memory"] == "512Mi"
    shop.api.delete(shop.path("Deployment", "tight"))


# Who else decides.


@pytest.mark.parametrize("allowed", [0, 1])
async def test_a_resize_that_restarts_asks_the_budget(shop: Shop, fix: Fix, allowed: int) -> None:
    shop.start("each", "DaemonSet", spec=BY_HAND, resizePolicy=RESTARTS)
    around = Orchestrated(disruption=DisruptionBudget("none-away", allowed))
    steps = await fix.draft(deployment(shop.name, "each", "DaemonSet", orchestrated=around), MEMORY)
    if not allowed:
        (template,) = steps
        assert "PodDisruptionBudget none-away allows no disruption now" in notes(template)
        assert "Running pods keep their limits until they are replaced" in notes(template)
        return
    assert [step.restarts for step in steps] == [False, True], "the template, and its pod"
    (before,) = shop.pods("each")
    await fix.perform()
    (pod,) = shop.pods("each")
    assert pod["metadata"]["uid"] == before["metadata"]["uid"]
    (status,) = pod["status"]["containerStatuses"]
    assert (status["restartCount"], status["ready"]) == (1, True), "the next one waits until this one is ready again"
    shop.api.delete(shop.path("DaemonSet", "each"))


async def test_an_autoscaler_s_percentages_move_with_what_is_requested(shop: Shop, fix: Fix) -> None:
    shop.start("scaled", up=False, spec={"replicas": 0}, resources=GUARANTEED)
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"},
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
            }
        ],
    }
    path = f"/apis/autoscaling/v2/namespaces/{shop.name}/horizontalpodautoscalers"
    shop.api.post(path, {"apiVersion": "autoscaling/v2", "metadata": {"name": "scales"}, "spec": spec})
    scaled = deployment(shop.name, "scaled", orchestrated=Orchestrated(autoscaler=Autoscaler("scales", 1, 3)))
    (step,) = await fix.draft(scaled, Desired(cpu_limit_cores=0.2))
    said = "aims at 60 % of the CPU that is requested: that is 120m of each pod instead of 60m"
    assert f"The HorizontalPodAutoscaler scales {said}, so that it wants fewer replicas." in notes(step)
    (step,) = await fix.draft(scaled, MEMORY)
    assert "scales" not in notes(step), "it does not look at memory"
    shop.start("scaled", up=False, spec={"replicas": 0})
    (step,) = await fix.draft(scaled, Desired(cpu_limit_cores=0.2))
    assert "scales" not in notes(step), "what is requested stays"
    shop.api.delete(f"{path}/scales")


# Admission.


def tried(shop: Shop) -> str:
    """What the server makes of a limit of 500 MiB in a dry run by kubectl, or why it does not."""
    limits = {"template": {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "500Mi"}}}]}}}
    asked = ("-n", shop.name, "--dry-run=server", "-o", "json", "-p", json.dumps({"spec": limits}))
    try:
        return shop.api.kubectl("patch", "deployment", "admitted", *asked)
    except ApiError as error:
        return str(error)


async def test_what_admission_forbids_is_said_in_its_words_before_anything_is_changed(shop: Shop, fix: Fix) -> None:
    web = shop.start("admitted", up=False, spec={"replicas": 0})
    memory = "quantity(c.resources.limits.memory)"
    small = f"object.spec.template.spec.containers.all(c, {memory}.compareTo(quantity('400Mi')) <= 0)"
    with policy(shop, small, "more than 400Mi is for the platform team to allow"):
        shop.until("the policy", lambda: "platform team" in tried(shop))
        with pytest.raises(Refused, match=r"The API server refuses: .*400Mi is for the platform team to allow"):
            await fix.draft(web, MEMORY)
        assert await fix.draft(web, Desired(memory_limit_bytes=350 * MIB))


@pytest.mark.skipif("FASTOPS_TEST_KUBECONFIG" in os.environ, reason="another machine's API server asks no webhook here")
async def test_what_admission_makes_of_a_change_is_in_the_diff(shop: Shop, fix: Fix, tmp_path: Path) -> None:
    web = shop.start("admitted", up=False, spec={"replicas": 0})
    before = shop.spec(name="admitted")

    def changes(thing: Json) -> list[Json]:
        """No more than 400 MiB, and a note for the pods."""
        limits = thing["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        limit = {"op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": "400Mi"}
        note = {"op": "add", "path": "/spec/template/metadata/annotations", "value": {"team.example/capped": "yes"}}
        return [limit, note] if (quantity(limits["memory"]) or 0) > 400 * MIB else []

    with webhook(shop, tmp_path, changes):
        shop.until("the webhook", lambda: "team.example/capped" in tried(shop))
        (step,) = await fix.draft(web, MEMORY)
        added = [line[1:].strip() for line in unified(step.before, step.after).splitlines() if line.startswith("+ ")]
        assert {"memory: 400Mi", "team.example/capped: 'yes'"} <= set(added)
        assert shop.spec(name="admitted") == before
        await fix.perform()
        assert shop.app(name="admitted")["resources"]["limits"]["memory"] == "400Mi"
        await fix.undo()
        assert shop.app(name="admitted")["resources"]["limits"]["memory"] == "300Mi"


# In place.


async def test_a_limit_that_a_running_pod_did_not_have_stays_there_and_that_is_said(shop: Shop, fix: Fix) -> None:
    web = shop.start("each", "DaemonSet", spec=BY_HAND, resources={"requests": {"cpu": "10m", "memory": "32Mi"}})
    before = shop.spec("DaemonSet", "each")
    (uid,) = {pod["metadata"]["uid"] for pod in shop.pods("each")}
    _, step = await fix.draft(web, MEMORY)
    assert "an undo leaves it there until the pod is replaced" in notes(step)
    assert step.arguments["undo_notes"] == step.arguments["notes"]
    await fix.perform()
    await fix.undo()
    assert shop.spec("DaemonSet", "each") == before, "the template is as it was"
    (pod,) = shop.pods("each")
    assert pod["metadata"]["uid"] == uid
    assert pod["status"]["containerStatuses"][0]["resources"]["limits"] == {"memory": "512Mi"}
    shop.api.delete(shop.path("DaemonSet", "each"))


async def test_a_pod_that_was_replaced_since_does_not_keep_the_template_from_coming_back(shop: Shop, fix: Fix) -> None:
    web = shop.start("each", "DaemonSet", spec=BY_HAND)
    before = shop.spec("DaemonSet", "each")
    await fix.apply(web, MEMORY)
    (pod,) = shop.pods("each")
    shop.api.delete(shop.path("Pod", pod["metadata"]["name"]))
    shop.until("another pod", lambda: {p["metadata"]["uid"] for p in shop.pods("each")} - {pod["metadata"]["uid"]})
    await fix.undo()
    assert shop.spec("DaemonSet", "each") == before
    shop.api.delete(shop.path("DaemonSet", "each"))


@pytest.fixture
def lone(shop: Shop) -> Iterator[Json]:
    """A pod of its own, of the class Guaranteed."""
    shop.start("template", up=False, spec={"replicas": 0}, resources=GUARANTEED)
    spec = shop.get("Deployment", "template")["spec"]["template"]["spec"]
    shop.api.post(shop.path("Pod"), {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lone"}, "spec": spec})
    shop.until("the pod", lambda: '"ready": true' in json.dumps(shop.get("Pod", "lone")["status"]))
    yield shop.get("Pod", "lone")
    shop.api.delete(shop.path("Pod", "lone"))
    shop.until("its end", lambda: not any(p["metadata"]["name"] == "lone" for p in shop.api.items(shop.path("Pod"))))


def as_it_was(shop: Shop, lone: Json) -> None:
    """The same pod with its limits, never restarted."""
    now = shop.get("Pod", "lone")
    assert now["metadata"]["uid"] == lone["metadata"]["uid"]
    assert now["spec"]["containers"][0]["resources"] == GUARANTEED
    assert now["status"]["containerStatuses"][0]["restartCount"] == 0


async def test_a_resize_that_a_namespace_or_a_node_forbids_is_refused_in_one_sentence(
    shop: Shop, fix: Fix, lone: Json
) -> None:
    it = deployment(shop.name, "lone", "Pod")
    with pytest.raises(Refused, match=r"No node can give 4096 CPU: the largest has .* for pods"):
        await fix.draft(it, Desired(cpu_limit_cores=4096.0))
    quota = {"hard": {"limits.memory": "400Mi"}}
    said = r"exceeded quota: tight, requested: limits\.memory=312Mi"
    with beside(shop, "resourcequotas", "ResourceQuota", quota, counted), pytest.raises(Refused, match=said):
        await fix.draft(it, MEMORY)
    limits = {"limits": [{"type": "Container", "max": {"memory": "400Mi"}}]}
    said = "maximum memory usage per Container is 400Mi, but limit is 512Mi"
    with beside(shop, "limitranges", "LimitRange", limits, bool), pytest.raises(Refused, match=said):
        await fix.draft(it, MEMORY)
    as_it_was(shop, lone)


async def test_a_resize_that_the_node_cannot_do_is_told_at_once_and_taken_back(
    shop: Shop, lone: Json, tmp_path: Path
) -> None:
    rules = yaml.safe_load(document(read_only=False, namespace=shop.name))["rules"]
    account = accounts.make(shop.api, shop.name, "sees-no-nodes", rules, tmp_path)
    client = ApiClient(resolve("k8s", environment={"KUBECONFIG": str(account)}), read_only=False)
    fix = Fix(shop, client)
    try:
        with pytest.raises(Refused, match="taken back: the node cannot do it: Node didn't have enough capacity: cpu"):
            await fix.apply(deployment(shop.name, "lone", "Pod"), Desired(cpu_limit_cores=4096.0))
    finally:
        await client.close()
    as_it_was(shop, lone)


async def test_a_resize_for_which_the_node_has_no_room_now_is_taken_back(shop: Shop, fix: Fix, lone: Json) -> None:
    shop.start("neighbour")
    node = shop.api.get(f"/api/v1/nodes/{lone['spec']['nodeName']}")["status"]["allocatable"]
    whole = Desired(cpu_limit_cores=float(quantity(node["cpu"]) or 0.0))
    with pytest.raises(Refused, match="taken back: the node has no room for it now: Node didn't have enough resource"):
        await fix.apply(deployment(shop.name, "lone", "Pod"), whole)
    as_it_was(shop, lone)
    shop.api.delete(shop.path("Deployment", "neighbour"))
