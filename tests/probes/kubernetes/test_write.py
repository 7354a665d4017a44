"""Fixes on a real cluster: applied, rolled out, taken back; never over somebody else's change, never half done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from console.commands.rbac import document
from fixes.diff import unified
from fixes.journal import blanked
from probes.intent import Desired, Intent, Restart, RestorePoint, Rollback, Scale, Step
from probes.orchestrator import ProbeSpec
from probes.target import Refused
from probes.targets.kubernetes.client import ApiClient, ApiError
from probes.targets.kubernetes.contexts import resolve
from probes.targets.kubernetes.failures import Status
from tests.cluster import accounts
from tests.lab import images
from tests.probes.kubernetes._objects import Json, deployment
from tests.probes.kubernetes._shop import CHANGE_ID, DIES, Fix, Shop, of_tests

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
MIB = 1 << 20
MEMORY = Desired(memory_limit_bytes=512 * MIB)
LOOPBACK = ["uvicorn", "healthy:app", "--host", "127.0.0.1", "--port", "8000"]


@pytest.fixture(scope="module")
def shop(cluster: Path) -> Iterator[Shop]:
    with of_tests(cluster, "write") as made:
        yield made


@pytest.fixture
async def client(shop: Shop) -> Any:
    made = shop.client()
    yield made
    await made.close()


@pytest.fixture
def fix(shop: Shop, client: ApiClient) -> Fix:
    return Fix(shop, client)


def journalled(kind: Any, value: Any) -> Any:
    """As the journal gives it back after a crash."""
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


# Each wish: applied, rolled out, as wanted, taken back.

WISHES: dict[str, tuple[Intent, Callable[[Json], bool]]] = {
    "memory": (MEMORY, lambda app: app["resources"]["limits"]["memory"] == "512Mi"),
    "cpu": (Desired(cpu_limit_cores=0.75), lambda app: app["resources"]["limits"]["cpu"] == "750m"),
    "probes": (
        Desired(
            probes=(
                ProbeSpec("liveness", "http", path="/health", port=8000, timeout_seconds=5, failure_threshold=6),
                ProbeSpec("startup", "tcp", port=8000, period_seconds=1, failure_threshold=60),
            )
        ),
        lambda app: (app["livenessProbe"]["failureThreshold"], app["startupProbe"]["tcpSocket"]["port"]) == (6, 8000),
    ),
    "environment": (
        Desired(environment={"MODE": "2"}, environment_from={"ROOT": "configmap kube-root-ca.crt/ca.crt"}),
        lambda app: [one["name"] for one in app["env"]] == ["DB_PASSWORD", "MODE", "ROOT"],
    ),
    "secret": (
        Desired(secret_variables=("DB_PASSWORD",)),
        lambda app: app["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "web-fastops",
    ),
    "gunicorn": (
        Desired(server="gunicorn", gunicorn={"bind": "0.0.0.0:8000", "workers": 2, "timeout": 60, "accesslog": "-"}),
        lambda app: app["command"][0] == "gunicorn" and app["volumeMounts"][0]["mountPath"] == "/etc/fastops",
    ),
}


@pytest.mark.parametrize("wish", sorted(WISHES))
async def test_a_wish_is_rolled_out_and_taken_back_whole(shop: Shop, fix: Fix, wish: str) -> None:
    web = shop.start()
    before, pods = shop.spec(), {pod["metadata"]["uid"] for pod in shop.pods()}
    want, as_wanted = WISHES[wish]
    await fix.apply(web, want)
    assert as_wanted(shop.app()), shop.app()
    assert shop.spec()["mark"] == CHANGE_ID
    assert all(pod["status"]["containerStatuses"][0]["ready"] for pod in shop.pods())
    assert pods.isdisjoint({pod["metadata"]["uid"] for pod in shop.pods()}), "it is rolled out when it is done"
    assert any("available" in line for line in fix.said), "the rollout is told"
    kept = str([msgspec.json.encode(one) for one in [*map(blanked, fix.steps), *fix.points]])
    assert "hunter2" not in kept, "no secret is journalled"
    fix.points = [journalled(RestorePoint, point) for point in fix.points]
    await fix.undo()
    assert shop.spec() == before
    assert shop.api.items(shop.path("Secret")) == []
    assert [one["metadata"]["name"] for one in shop.api.items(shop.path("ConfigMap"))] == ["kube-root-ca.crt"]
    await fix.undo()  # once more: what is back already is fine
    assert shop.spec() == before


async def test_a_server_on_loopback_is_opened_and_its_pod_gets_ready(shop: Shop, fix: Fix) -> None:
    web = shop.start(up=False, command=LOOPBACK)
    shop.until(
        "the server", lambda: "startedAt" in str([pod["status"].get("containerStatuses") for pod in shop.pods()])
    )
    before = shop.spec()
    await fix.apply(web, Desired(bind_host="0.0.0.0"))
    assert shop.app()["command"][3] == "0.0.0.0"
    assert shop.get("Deployment")["status"]["readyReplicas"] == 1
    await fix.undo()
    assert shop.spec() == before


async def test_flags_go_and_a_database_url_asks_for_tls_and_no_password_is_journalled(shop: Shop, fix: Fix) -> None:
    url = "postgresql://app:hunter2@db/app?sslmode="
    command = ["uvicorn", "healthy:app", "--reload", "--host", "0.0.0.0", "--port", "8000"]
    web = shop.start(command=command, env=[{"name": "DATABASE_URL", "value": f"{url}disable"}])
    before = shop.spec()
    await fix.apply(web, Desired(production=True, database_tls={"DATABASE_URL": "require"}))
    assert shop.app()["command"] == [word for word in command if word != "--reload"]
    assert shop.app()["env"] == [{"name": "DATABASE_URL", "value": f"{url}require"}]
    assert "hunter2" not in str([msgspec.json.encode(one) for one in [*map(blanked, fix.steps), *fix.points]])
    assert "hunter2" not in "".join(unified(step.before, step.after) for step in fix.steps)
    fix.points = [journalled(RestorePoint, point) for point in fix.points]
    await fix.undo()
    assert shop.spec() == before
    assert shop.api.items(shop.path("Secret")) == []


async def test_replicas_are_scaled_and_scaled_back(shop: Shop, fix: Fix) -> None:
    web = shop.start()
    before, pods = shop.spec(), {pod["metadata"]["uid"] for pod in shop.pods()}
    await fix.apply(web, Scale(2))
    assert pods < {pod["metadata"]["uid"] for pod in shop.pods()}
    assert shop.get("Deployment")["status"]["availableReplicas"] == 2
    await fix.undo()
    assert shop.spec() == before


async def test_a_restart_replaces_every_pod_once(shop: Shop, fix: Fix) -> None:
    web = shop.start()
    pods = {pod["metadata"]["uid"] for pod in shop.pods()}
    await fix.draft(web, Restart())
    await fix.perform()
    now = {pod["metadata"]["uid"] for pod in shop.pods()}
    assert pods.isdisjoint(now)
    await fix.perform()  # completed already
    assert {pod["metadata"]["uid"] for pod in shop.pods()} == now
    await fix.undo()
    assert {pod["metadata"]["uid"] for pod in shop.pods()} == now


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_former_revision_comes_back_and_goes_again(shop: Shop, fix: Fix, kind: str) -> None:
    web = shop.start("former", kind, env=[{"name": "DB_PASSWORD", "value": "hunter1"}])
    shop.api.kubectl("set", "env", f"{kind.lower()}/former", "DB_PASSWORD=hunter2", "-n", shop.name)
    shop.until("the new one", lambda: shop.app(kind, "former")["env"][0]["value"] == "hunter2")
    shop.await_rolled_out(kind, "former")
    before = shop.spec(kind, "former")
    steps = await fix.draft(web, Rollback(1))
    assert not any("hunter" in str(step) for step in steps), "secrets of either revision are shown nowhere"
    await fix.perform()
    assert shop.app(kind, "former")["env"][0]["value"] == "hunter1"
    assert "hunter" not in str(msgspec.json.encode(fix.points))
    assert len(shop.api.items(shop.path("Secret"))) == 1, "the way back is kept in the cluster"
    await fix.undo()
    assert shop.spec(kind, "former") == before
    assert shop.api.items(shop.path("Secret")) == []
    shop.api.delete(shop.path(kind, "former"))


async def test_what_is_kept_for_an_undo_goes_when_it_is_forgotten(shop: Shop, fix: Fix) -> None:
    web = shop.start(command=["uvicorn", "healthy:app", "--host", "0.0.0.0"], args=["--port", "8000"])
    await fix.apply(web, Desired(environment={"DB_PASSWORD": "changed-on-purpose"}))
    (kept,) = shop.api.items(shop.path("Secret"))
    assert CHANGE_ID in kept["metadata"]["name"]
    for point in fix.points:
        await fix.writer.discard(point)
    assert shop.api.items(shop.path("Secret")) == []
    with pytest.raises(Refused, match="Secret"):
        await fix.undo()


async def test_a_service_is_led_to_the_port_that_is_open(shop: Shop, fix: Fix) -> None:
    web = shop.start()
    ports = [{"port": 80, "targetPort": 80, "name": "web"}, {"port": 81, "targetPort": "http", "name": "other"}]
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}}
    shop.api.post(shop.path("Service"), {**body, "spec": {"selector": {"app": "web"}, "ports": ports}})
    before = shop.spec("Service", "front")
    pods = {pod["metadata"]["uid"] for pod in shop.pods()}
    (step,) = await fix.draft(web, Desired(target_ports={"front:80": 8000}))
    assert not step.restarts
    await fix.perform()
    assert [one["targetPort"] for one in shop.get("Service", "front")["spec"]["ports"]] == [8000, "http"]
    path = f"/api/v1/namespaces/{shop.name}/services/front:80/proxy/health"
    shop.until("an answer", lambda: _answers(shop, path))
    await fix.undo()
    assert shop.spec("Service", "front") == before
    assert {pod["metadata"]["uid"] for pod in shop.pods()} == pods, "no pod was touched"


def _answers(shop: Shop, path: str) -> bool:
    return shop.api.http.get(path).status_code == 200


# In place.


async def test_a_pod_of_its_own_is_resized_in_place(shop: Shop, fix: Fix) -> None:
    shop.start(up=False, spec={"replicas": 0})
    template = shop.get("Deployment")["spec"]["template"]
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lone", "labels": {"app": "lone"}}}
    shop.api.post(shop.path("Pod"), {**body, "spec": template["spec"]})
    shop.until("the pod", lambda: "running" in str(shop.get("Pod", "lone")["status"].get("containerStatuses")))
    (step,) = await fix.draft(deployment(shop.name, "lone", "Pod"), MEMORY)
    assert not step.restarts
    await fix.perform()
    (status,) = shop.get("Pod", "lone")["status"]["containerStatuses"]
    assert status["resources"]["limits"]["memory"] == "512Mi"
    assert status["restartCount"] == 0
    with pytest.raises(Refused, match="pod of its own"):
        await fix.draft(deployment(shop.name, "lone", "Pod"), Desired(environment={"A": "1"}))
    await fix.undo()
    shop.until("the former limit", lambda: "300Mi" in str(shop.get("Pod", "lone")["status"]["containerStatuses"]))
    shop.api.delete(shop.path("Pod", "lone"))


async def test_pods_that_no_rollout_replaces_are_resized_beside_their_template(shop: Shop, fix: Fix) -> None:
    web = shop.start("each", "DaemonSet", spec={"updateStrategy": {"type": "OnDelete"}})
    pods = {pod["metadata"]["uid"] for pod in shop.pods("each")}
    steps = await fix.draft(web, MEMORY)
    assert [step.restarts for step in steps] == [False] * (1 + len(pods))
    assert "OnDelete" in str(steps[0].arguments["notes"])
    await fix.perform()
    assert shop.app("DaemonSet", "each")["resources"]["limits"]["memory"] == "512Mi"
    for pod in shop.pods("each"):
        assert pod["metadata"]["uid"] in pods
        assert pod["status"]["containerStatuses"][0]["resources"]["limits"]["memory"] == "512Mi"
    await fix.undo()
    assert shop.app("DaemonSet", "each")["resources"]["limits"]["memory"] == "300Mi"
    shop.api.delete(shop.path("DaemonSet", "each"))


# Somebody else's changes.


def edit(shop: Shop, body: Json) -> None:
    shop.api.patch(shop.path("Deployment", "web"), body)


NEW_REPLICAS = {"spec": {"replicas": 3}}
NEW_LIMIT = {
    "spec": {"template": {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "400Mi"}}}]}}}
}


@pytest.mark.parametrize("body", [NEW_REPLICAS, NEW_LIMIT], ids=["another field", "the same field"])
async def test_what_was_changed_since_the_diff_is_planned_again(shop: Shop, fix: Fix, body: Json) -> None:
    web = shop.start()
    await fix.draft(web, MEMORY)
    edit(shop, body)
    edited = shop.spec()
    with pytest.raises(Refused, match="plan again"):
        await fix.perform()
    assert shop.spec() == edited
    for step in fix.steps:
        await fix.writer.abandon(step, fix.change, fix.said.append)
    assert shop.spec() == edited


async def test_a_status_that_was_written_since_the_diff_is_none_of_it(shop: Shop, fix: Fix) -> None:
    web = shop.start()
    await fix.draft(web, MEMORY)
    version = shop.get("Deployment")["metadata"]["resourceVersion"]
    pod = shop.pods()[0]["metadata"]["name"]
    shop.api.delete(shop.path("Pod", pod))
    shop.until("another status", lambda: shop.get("Deployment")["metadata"]["resourceVersion"] != version)
    await fix.perform()
    assert shop.app()["resources"]["limits"]["memory"] == "512Mi"


class Interfering(ApiClient):
    """Somebody writes in the very moment before the first patch arrives; or its answer is lost."""

    act: Callable[[], None] | None = None
    loses = False

    async def send(self, method: str, path: str, body: bytes | None = None, **rest: Any) -> bytes:
        if method == "PATCH" and "dryRun" not in rest["params"]:
            act, self.act = self.act, None
            if act is not None:
                act()
            if self.loses:
                self.loses = False
                await super().send(method, path, body, **rest)
                raise ApiError(None, Status(message="the connection was cut; it may have been done"))
        return await super().send(method, path, body, **rest)


@pytest.fixture
async def interfering(shop: Shop, client: ApiClient) -> Any:
    made = Interfering(client.place, read_only=False)
    yield made
    await made.close()


async def test_a_field_written_in_the_last_moment_is_never_overwritten(shop: Shop, interfering: Interfering) -> None:
    web, fix = shop.start(), Fix(shop, interfering)
    await fix.draft(web, MEMORY)
    interfering.act = lambda: edit(shop, NEW_LIMIT)
    with pytest.raises(Refused, match="plan again"):
        await fix.perform()
    assert shop.app()["resources"]["limits"]["memory"] == "400Mi"


async def test_a_status_written_in_the_last_moment_costs_one_more_attempt(shop: Shop, interfering: Interfering) -> None:
    web, fix = shop.start(), Fix(shop, interfering)
    await fix.draft(web, MEMORY)
    status = {"status": {"conditions": [{"type": "Test", "status": "True"}]}}
    interfering.act = lambda: shop.api.patch(f"{shop.path('Deployment', 'web')}/status", status, "merge") and None
    await fix.perform()
    assert shop.app()["resources"]["limits"]["memory"] == "512Mi"


async def test_an_answer_that_is_lost_is_not_done_twice(shop: Shop, interfering: Interfering) -> None:
    web, fix = shop.start(), Fix(shop, interfering)
    before = shop.spec()
    interfering.loses = True
    await fix.apply(web, MEMORY)
    assert shop.get("Deployment")["metadata"]["generation"] == 2
    await fix.undo()
    assert shop.spec() == before


async def test_an_undo_leaves_what_was_changed_since(shop: Shop, fix: Fix) -> None:
    web = shop.start()
    await fix.apply(web, MEMORY)
    edit(shop, NEW_LIMIT)
    (point,) = fix.points
    with pytest.raises(Refused, match="changed since"):
        await fix.writer.check(point, fix.change)
    with pytest.raises(Refused, match="changed since"):
        await fix.writer.restore(point, fix.change, fix.said.append)
    assert shop.app()["resources"]["limits"]["memory"] == "400Mi"


async def test_an_undo_keeps_other_fields_and_finds_its_own_beside_a_sidecar(shop: Shop, fix: Fix) -> None:
    web = shop.start()
    await fix.apply(web, MEMORY)
    edit(shop, {"spec": {"paused": True}})
    sidecar = {"name": "aside", "image": images.tags("app")[-1], "command": ["sleep", "600"]}
    edit(shop, {"spec": {"template": {"spec": {"containers": [sidecar]}}}})
    await fix.undo()
    containers = {c["name"]: c for c in shop.get("Deployment")["spec"]["template"]["spec"]["containers"]}
    assert containers["app"]["resources"]["limits"]["memory"] == "300Mi"
    assert "aside" in containers
    assert shop.get("Deployment")["spec"]["paused"] is True


async def test_an_object_that_was_made_anew_is_another_one(shop: Shop, fix: Fix) -> None:
    await fix.draft(shop.start(), MEMORY)
    shop.start()
    with pytest.raises(Refused, match="gone"):
        await fix.perform()
    assert shop.app()["resources"]["limits"]["memory"] == "300Mi"


async def test_a_secret_of_somebody_else_is_not_written_into(shop: Shop, fix: Fix) -> None:
    web = shop.start()
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web-fastops"}, "stringData": {"A": "1"}}
    theirs = shop.api.post(shop.path("Secret"), body)
    with pytest.raises(Refused, match="not made by fastops"):
        await fix.apply(web, Desired(secret_variables=("DB_PASSWORD",)))
    assert shop.get("Secret", "web-fastops")["data"] == theirs["data"]
    shop.api.delete(shop.path("Secret", "web-fastops"))


async def test_a_second_variable_joins_the_first_in_its_secret(shop: Shop, fix: Fix, client: ApiClient) -> None:
    env = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "API_TOKEN", "value": "hunter3"}]
    web = shop.start(env=env)
    before = shop.spec()
    await fix.apply(web, Desired(secret_variables=("DB_PASSWORD",)))
    between = shop.spec()
    later = Fix(shop, client, change="20261122-k4more")
    await later.apply(web, Desired(secret_variables=("API_TOKEN",)))
    assert set(shop.get("Secret", "web-fastops")["data"]) == {"DB_PASSWORD", "API_TOKEN"}
    await later.undo()
    assert shop.spec() == between
    assert set(shop.get("Secret", "web-fastops")["data"]) == {"DB_PASSWORD"}
    await fix.undo()
    assert shop.spec() == before
    assert shop.api.items(shop.path("Secret")) == []


# What does not become ready.


async def test_a_template_that_never_gets_ready_is_taken_back(shop: Shop, fix: Fix) -> None:
    web = shop.start()
    before, pods = shop.spec(), {pod["metadata"]["uid"] for pod in shop.pods()}
    with pytest.raises(Refused) as refused:
        await fix.apply(web, Desired(environment=DIES))
    said = str(refused.value)
    assert "taken back" in said
    assert "exit code 1" in said
    assert "PYTHONHOME" in said or "encodings" in said, "the new pod's own last words"
    assert shop.spec() == before
    assert {pod["metadata"]["uid"] for pod in shop.pods()} >= pods, "the old pod served all the time"


async def test_a_check_that_never_passes_is_taken_back(shop: Shop, client: ApiClient) -> None:
    web = shop.start(spec={"progressDeadlineSeconds": 6})
    before, fix = shop.spec(), Fix(shop, client)
    wrong = Desired(probes=(ProbeSpec("readiness", "http", path="/no-such-path", port=8000, period_seconds=1),))
    with pytest.raises(Refused, match=r"Readiness probe failed|ProgressDeadlineExceeded"):
        await fix.apply(web, wrong)
    assert shop.spec() == before


async def test_a_check_that_ends_what_works_is_named_as_the_reason(shop: Shop, client: ApiClient) -> None:
    web = shop.start()
    before, fix = shop.spec(), Fix(shop, client)
    check = ProbeSpec("startup", "http", path="/no-such-path", port=8000, period_seconds=1, failure_threshold=1)
    with pytest.raises(Refused, match="Startup probe failed: "):
        await fix.apply(web, Desired(probes=(check,)))
    assert shop.spec() == before


async def test_a_service_that_was_sick_before_keeps_the_change(shop: Shop, fix: Fix) -> None:
    web = shop.start(up=False, env=[{"name": name, "value": value} for name, value in DIES.items()])
    shop.until("the crash", lambda: "CrashLoopBackOff" in str([pod["status"] for pod in shop.pods()]))
    await fix.apply(web, MEMORY)
    assert shop.app()["resources"]["limits"]["memory"] == "512Mi"
    assert any("was not before either" in line for line in fix.said)
    await fix.undo()
    assert "the former state is back; no replica was ready in it" in fix.said, "nobody waits for what never was"
    await fix.undo()
    assert shop.app()["resources"]["limits"]["memory"] == "300Mi"


async def test_a_stateful_set_is_healed_though_it_waits_for_its_broken_pod(shop: Shop, fix: Fix) -> None:
    web = shop.start("state", "StatefulSet", up=False, env=[{"name": n, "value": v} for n, v in DIES.items()])
    shop.until("the crash", lambda: "CrashLoopBackOff" in str([pod["status"] for pod in shop.pods("state")]))
    await fix.apply(web, Desired(environment={"PYTHONHOME": ""}))
    shop.await_rolled_out("StatefulSet", "state")
    shop.api.delete(shop.path("StatefulSet", "state"))


async def test_without_the_right_to_delete_it_the_pod_that_a_stateful_set_waits_for_is_named(
    shop: Shop, tmp_path: Path
) -> None:
    rules = yaml.safe_load(document(read_only=False, namespace=shop.name))["rules"]
    rules.remove({"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]})
    account = accounts.make(shop.api, shop.name, "no-delete", rules, tmp_path)
    client = ApiClient(resolve("k8s", environment={"KUBECONFIG": str(account)}), read_only=False)
    fix = Fix(shop, client)
    try:
        web = shop.start("state", "StatefulSet", up=False, env=[{"name": n, "value": v} for n, v in DIES.items()])
        shop.until("the crash", lambda: "CrashLoopBackOff" in str([pod["status"] for pod in shop.pods("state")]))
        before = shop.spec("StatefulSet", "state")
        await fix.apply(web, Desired(environment={"PYTHONHOME": ""}))
        (said,) = [one for one in fix.said if one.startswith("not ready: ")]
        assert "it waits for state-0, which has to be deleted by hand" in said
        assert '{apiGroups: [""], resources: [pods], verbs: [delete]}' in said
        assert "the change stays" in said
        await fix.undo()
        assert shop.spec("StatefulSet", "state") == before
    finally:
        await client.close()
        shop.api.delete(shop.path("StatefulSet", "state"))


async def test_a_stateful_set_gets_its_former_template_back(shop: Shop, fix: Fix) -> None:
    web = shop.start("state", "StatefulSet")
    before = shop.spec("StatefulSet", "state")
    with pytest.raises(Refused, match="taken back"):
        await fix.apply(web, Desired(environment=DIES))
    assert shop.spec("StatefulSet", "state") == before
    shop.await_rolled_out("StatefulSet", "state")
    shop.api.delete(shop.path("StatefulSet", "state"))


# What was interrupted.


@pytest.mark.parametrize("wish", ["memory", "secret", "gunicorn"])
async def test_what_was_interrupted_is_completed_without_its_texts(
    shop: Shop, fix: Fix, client: ApiClient, wish: str
) -> None:
    web = shop.start()
    before = shop.spec()
    want, as_wanted = WISHES[wish]
    await fix.apply(web, want)
    generation = shop.get("Deployment")["metadata"]["generation"]
    again = Fix(shop, client)
    again.steps = [journalled(Step, blanked(step)) for step in fix.steps]
    assert all(step.arguments["resumable"] is True for step in again.steps)
    await again.perform()
    assert shop.get("Deployment")["metadata"]["generation"] == generation, "nothing is done twice"
    assert as_wanted(shop.app())
    await again.undo()
    assert shop.spec() == before


@pytest.mark.parametrize("wish", ["memory", "secret", "gunicorn"])
async def test_what_was_interrupted_is_taken_back(shop: Shop, fix: Fix, client: ApiClient, wish: str) -> None:
    web = shop.start()
    before = shop.spec()
    await fix.apply(web, WISHES[wish][0])
    again = Fix(shop, client)
    for step in reversed(fix.steps):
        await again.writer.abandon(journalled(Step, blanked(step)), fix.change, again.said.append)
    assert shop.spec() == before
    assert shop.api.items(shop.path("Secret")) == []
    for step in reversed(fix.steps):
        await again.writer.abandon(journalled(Step, blanked(step)), fix.change, again.said.append)
    assert shop.spec() == before


async def test_the_journal_s_step_alone_begins_a_change_too(shop: Shop, fix: Fix) -> None:
    web = shop.start()
    await fix.draft(web, MEMORY)
    fix.steps = [journalled(Step, blanked(step)) for step in fix.steps]
    await fix.perform()
    assert shop.app()["resources"]["limits"]["memory"] == "512Mi"
