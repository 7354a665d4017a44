"""Drafts on a real API server: the diff is the server's, nothing is changed by it, and guards name what forbids it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixes.diff import unified
from fixes.model import Finding, SignatureId
from fixes.plan import make_plan, redraft
from fixes.remedies.scale import REMEDY as SCALE
from probes.intent import Desired, Intent, Restart, Rollback, Scale, Step
from probes.orchestrator import Autoscaler, Orchestrated, ProbeSpec
from probes.target import ReadOnly, Refused
from probes.targets.kubernetes.client import ApiClient
from tests.fixes.fake import NOW
from tests.probes.kubernetes._objects import Json, deployment
from tests.probes.kubernetes._shop import Fix, Shop, of_tests

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
MIB = 1 << 20
MEMORY = Desired(memory_limit_bytes=512 * MIB)
STARTUP = Desired(probes=(ProbeSpec("startup", "http", path="/health", port=8000, failure_threshold=30),))
MOVES = Desired(secret_variables=("DB_PASSWORD",))


@pytest.fixture(scope="module")
def shop(cluster: Path) -> Iterator[Shop]:
    with of_tests(cluster, "draft") as made:
        made.start()
        yield made


@pytest.fixture
async def client(shop: Shop) -> Any:
    made = shop.client()
    yield made
    await made.close()


def shown(step: Step) -> str:
    return unified(step.before, step.after)


def added(step: Step) -> list[str]:
    return [line[1:].strip() for line in shown(step).splitlines() if line.startswith("+ ")]


async def drafted(shop: Shop, client: ApiClient, want: Intent, **known: Any) -> list[Step]:
    return list(await Fix(shop, client).draft(deployment(shop.name, **known), want))


async def test_the_diff_is_the_server_s_and_nothing_is_changed(shop: Shop, client: ApiClient) -> None:
    before = shop.get("Deployment")
    (step,) = await drafted(shop, client, STARTUP)
    assert {"failureThreshold: 30", "successThreshold: 1", "scheme: HTTP"} <= set(added(step)), "defaults are in it"
    assert step.restarts
    assert step.action == "patch"
    assert shop.get("Deployment")["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_a_wish_that_is_in_force_takes_no_step(shop: Shop, client: ApiClient) -> None:
    assert await drafted(shop, client, Desired(memory_limit_bytes=300 * MIB)) == []
    assert await drafted(shop, client, Scale(1)) == []


async def test_in_read_only_mode_nothing_but_get_is_sent(shop: Shop) -> None:
    client = shop.client(read_only=True)
    try:
        for want in (MEMORY, STARTUP, MOVES, Restart(), Scale(2)):
            steps = await drafted(shop, client, want)
            notes = [str(note) for step in steps for note in step.arguments["notes"]]  # type: ignore[attr-defined]
            assert any("fastops's own" in note for note in notes)
            assert added(steps[-1])
        with pytest.raises(ReadOnly):
            await Fix(shop, client).apply(deployment(shop.name), MEMORY)
    finally:
        await client.close()


async def test_a_secret_is_in_no_document_and_in_no_argument(shop: Shop, client: ApiClient) -> None:
    for want in (MOVES, MEMORY, Desired(environment={"DB_HOST": "db"})):
        for step in await drafted(shop, client, want):
            assert "hunter2" not in shown(step) + step.before.text + step.after.text + str(step.arguments)


async def test_a_variable_that_moves_takes_a_secret_and_then_the_patch(shop: Shop, client: ApiClient) -> None:
    first, second = await drafted(shop, client, MOVES)
    assert (first.action, first.subject) == ("create", shop.path("Secret", "web-fastops"))
    assert second.action == "patch"
    assert "secretKeyRef:" in added(second)


async def test_what_the_server_finds_invalid_is_said_in_its_words(shop: Shop, client: ApiClient) -> None:
    wrong = Desired(probes=(ProbeSpec("liveness", "http", path="/health", port=8000, success_threshold=2),))
    with pytest.raises(Refused, match="successThreshold"):
        await drafted(shop, client, wrong)


async def test_a_missing_right_is_named_by_its_rule(shop: Shop) -> None:
    user = f"{shop.name}-reader"
    shop.api.kubectl("create", "rolebinding", "reads", f"--user={user}", "--clusterrole=view", "-n", shop.name)
    client = shop.client(user=user)
    try:
        with pytest.raises(Refused) as refused:
            await drafted(shop, client, MEMORY)
    finally:
        await client.close()
    said = str(refused.value)
    assert "{apiGroups: [apps], resources: [deployments], verbs: [patch]}" in said
    assert f"in the namespace {shop.name}" in said


# Owners.


KEPT = {
    "helm": {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "shop-release"},
    },
    "argocd": {"annotations": {"argocd.argoproj.io/tracking-id": "shop-app:apps/Deployment:shop/kept"}},
    "flux": {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop-kustomization"}},
}


@pytest.mark.parametrize("keeper", sorted(KEPT))
async def test_what_somebody_else_keeps_is_offered_as_a_file(
    shop: Shop, client: ApiClient, tmp_path: Path, keeper: str
) -> None:
    kept = shop.start("kept", up=False, metadata=KEPT[keeper], spec={"replicas": 0})
    before = shop.spec(name="kept")
    fix = Fix(shop, client, folder=tmp_path)
    (step,) = await fix.draft(kept, MEMORY)
    assert step.action == "offer-file"
    assert not step.restarts
    note = str(step.arguments["notes"])
    assert {"helm": "shop-release", "argocd": "shop-app", "flux": "shop-kustomization"}[keeper] in note
    await fix.perform()
    (file,) = tmp_path.iterdir()
    assert yaml.safe_load(file.read_text())["spec"]["template"]["spec"]["containers"] == [
        {"name": "app", "resources": {"limits": {"memory": "512Mi"}}}
    ]
    assert shop.spec(name="kept") == before, "nothing but the file is written"
    shop.api.kubectl("patch", "deployment", "kept", "-n", shop.name, "--patch-file", str(file), "--dry-run=server")
    with pytest.raises(Refused, match="already"):
        await fix.draft(kept, MEMORY)
    await fix.undo()
    assert list(tmp_path.iterdir()) == []


async def test_an_offered_file_that_was_edited_stays(shop: Shop, client: ApiClient, tmp_path: Path) -> None:
    kept = shop.start("kept", up=False, metadata=KEPT["helm"], spec={"replicas": 0})
    fix = Fix(shop, client, folder=tmp_path)
    await fix.apply(kept, MEMORY)
    (file,) = tmp_path.iterdir()
    file.write_text("mine")
    with pytest.raises(Refused, match="edited"):
        await fix.undo()
    assert file.read_text() == "mine"


async def test_an_offered_patch_brings_its_configuration_along(shop: Shop, client: ApiClient, tmp_path: Path) -> None:
    kept = shop.start("kept", up=False, metadata=KEPT["helm"], spec={"replicas": 0})
    fix = Fix(shop, client, folder=tmp_path)
    await fix.apply(kept, Desired(server="gunicorn", gunicorn={"workers": 2, "timeout": 60}))
    kinds = {yaml.safe_load(file.read_text())["kind"] for file in tmp_path.iterdir()}
    assert kinds == {"Deployment", "ConfigMap"}


async def test_an_offered_patch_never_holds_a_secret(shop: Shop, client: ApiClient, tmp_path: Path) -> None:
    command = ["uvicorn", "healthy:app", "--host", "127.0.0.1", "--api-token", "s3cr3t-value"]
    kept = shop.start("kept", up=False, metadata=KEPT["helm"], spec={"replicas": 0}, command=command)
    with pytest.raises(Refused, match="secret"):
        await Fix(shop, client, folder=tmp_path).draft(kept, Desired(environment={"A": "1"}, bind_host="0.0.0.0"))
    assert list(tmp_path.iterdir()) == []


async def test_a_vertical_autoscaler_owns_the_limits(shop: Shop, client: ApiClient, tmp_path: Path) -> None:
    web = deployment(shop.name, orchestrated=Orchestrated(vertical_autoscaler="web-vpa"))
    (step,) = await Fix(shop, client, folder=tmp_path).draft(web, MEMORY)
    assert step.action == "offer-file"
    assert "web-vpa" in str(step.arguments["notes"])
    (other,) = await Fix(shop, client, folder=tmp_path).draft(web, STARTUP)
    assert other.action == "patch", "health checks are not its business"


async def test_what_a_controller_keeps_is_not_patched(shop: Shop, client: ApiClient) -> None:
    replica_set = shop.api.items(shop.path("ReplicaSet"), labelSelector="app=web")[0]["metadata"]["name"]
    with pytest.raises(Refused, match="Deployment web"):
        await drafted(shop, client, MEMORY, name=replica_set, kind="ReplicaSet")
    pod = shop.pods()[0]["metadata"]["name"]
    with pytest.raises(Refused, match="ReplicaSet"):
        await drafted(shop, client, MEMORY, name=pod, kind="Pod")


async def test_a_rollback_of_a_release_is_its_keeper_s(shop: Shop, client: ApiClient) -> None:
    kept = shop.start("kept", metadata=KEPT["helm"], spec={"replicas": 0})
    shop.api.kubectl("set", "image", "deployment/kept", "app=shop:2", "-n", shop.name)
    shop.await_rolled_out(name="kept")
    with pytest.raises(Refused, match="helm rollback shop-release"):
        await Fix(shop, client).draft(kept, Rollback(1))


# What a namespace and its nodes allow.


async def test_an_autoscaler_decides_the_number(shop: Shop, client: ApiClient) -> None:
    scaled = Orchestrated(autoscaler=Autoscaler("web-hpa", 2, 9))
    with pytest.raises(Refused, match=r"web-hpa.*2 to 9"):
        await drafted(shop, client, Scale(4), orchestrated=scaled)
    finding = Finding(
        "x#single-process", deployment(shop.name).id, SignatureId("single-process"), "warning", "x", NOW, 1, ()
    )
    with pytest.raises(Refused, match="web-hpa"):
        await make_plan(
            deployment(shop.name, orchestrated=scaled, capabilities={"scale": None}),
            finding,
            SCALE,
            {},
            Fix(shop, client).drafter,
        )


async def test_a_limit_above_every_node_is_refused(shop: Shop, client: ApiClient) -> None:
    with pytest.raises(Refused, match="No node can give"):
        await drafted(shop, client, Desired(memory_limit_bytes=1 << 50))
    with pytest.raises(Refused, match="No node can give"):
        await drafted(shop, client, Desired(cpu_limit_cores=4096.0))


async def test_a_limit_range_is_named(cluster: Path, client: ApiClient) -> None:
    with of_tests(cluster, "ranges") as shop:
        limits = [{"type": "Container", "max": {"memory": "400Mi"}}]
        _post(shop, "limitranges", {"kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}})
        shop.start(up=False, spec={"replicas": 0})
        with pytest.raises(Refused, match=r"small allows a container 400Mi"):
            await drafted(shop, client, MEMORY)
        assert await drafted(shop, client, Desired(memory_limit_bytes=350 * MIB))


async def test_a_quota_is_named(cluster: Path, client: ApiClient) -> None:
    with of_tests(cluster, "quota") as shop:
        hard = {"requests.memory": "40Mi"}
        _post(shop, "resourcequotas", {"kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": {"hard": hard}})
        shop.start()
        quotas = f"/api/v1/namespaces/{shop.name}/resourcequotas"
        shop.until("the quota", lambda: "32Mi" in str(shop.api.items(quotas)[0]["status"]["used"]))
        with pytest.raises(
            Refused, match=r"tight leaves 8Mi of requests\.memory \(32Mi of 40Mi used\); 1 more pod of it"
        ):
            await drafted(shop, client, MEMORY)
        recreate = {"strategy": {"type": "Recreate"}}
        web = shop.start(spec=recreate)
        (step,) = await Fix(shop, client).draft(web, MEMORY)
        assert "Recreate" in str(step.arguments["notes"])
        (scaled,) = await Fix(shop, client).draft(web, Scale(2))
        assert "tight" in str(scaled.arguments["notes"])


async def test_a_service_that_sends_to_others_too_is_left_alone(shop: Shop, client: ApiClient) -> None:
    ports = [{"port": 80, "targetPort": 80}]
    body = {"kind": "Service", "metadata": {"name": "both"}, "spec": {"selector": {"tier": "front"}, "ports": ports}}
    _post(shop, "services", body)
    stranger = {
        "kind": "Pod",
        "metadata": {"name": "stranger", "labels": {"tier": "front"}},
        "spec": {"containers": [{"name": "c", "image": "no-such-image:1"}]},
    }
    _post(shop, "pods", stranger)
    with pytest.raises(Refused, match="stranger"):
        await drafted(shop, client, Desired(target_ports={"both:80": 8000}))


# The same plan, drafted again.


async def test_a_plan_is_drafted_again_from_its_values(shop: Shop, client: ApiClient) -> None:
    finding = Finding(
        "x#single-process", deployment(shop.name).id, SignatureId("single-process"), "warning", "x", NOW, 1, ()
    )
    web = deployment(shop.name, capabilities={"scale": None}, desired=1)
    drafter = Fix(shop, client).drafter
    plan = await make_plan(web, finding, SCALE, {"replicas": 3}, drafter)
    assert plan.risk == "none"
    again = await redraft(plan, web, SCALE, drafter)
    assert [s.before.version for s in again] == [s.before.version for s in plan.steps]
    assert [s.after.version for s in again] == [s.after.version for s in plan.steps]


async def test_a_changed_template_is_a_restart(shop: Shop, client: ApiClient) -> None:
    (step,) = await drafted(shop, client, Restart())
    assert step.action == "restart"
    assert step.restarts
    assert any("restartedAt" in line for line in added(step))


def _post(shop: Shop, plural: str, body: Json) -> None:
    shop.api.post(f"/api/v1/namespaces/{shop.name}/{plural}", {"apiVersion": "v1", **body})
