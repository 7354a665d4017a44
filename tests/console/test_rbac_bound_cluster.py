"""The printed roles, bound as they are printed: one lets nobody write, the other lets each remedy do its work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from console.commands.rbac import document
from probes.targets.kubernetes.client import ApiClient, ApiError, Forbidden
from probes.targets.kubernetes.contexts import resolve
from probes.targets.kubernetes.rendering import lasting
from probes.targets.kubernetes.rights import RIGHTS, Right
from tests.cluster import accounts
from tests.cluster.api import Api
from tests.cluster.cases import CASES
from tests.cluster.runner import KubeLab, RunningPods
from tests.console._between import between, needed
from tests.console._fastops import Fastops

CLUSTER_SCAN_SECONDS = 240
FIXING = tuple(right for right in RIGHTS if right.use == "fix")
METHODS = {"create": "POST", "patch": "PATCH", "delete": "DELETE"}


class Bound(NamedTuple):
    """An account to which the printed ClusterRole for reading is bound."""

    kubeconfig: Path
    running: RunningPods

    @property
    def namespace(self) -> str:
        return self.running.namespace


@pytest.fixture(scope="module")
def bound(kube_api: Api, make_namespace: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bound]:
    """The role under a name of this run's own: somebody may have bound the printed one already."""
    role = yaml.safe_load(document(read_only=True, namespace=None))
    with KubeLab(kube_api, make_namespace()) as lab:
        running = lab.start(CASES["no-limits"]).ready()
        space, name = running.namespace, f"reader-of-{running.namespace}"
        role["metadata"]["name"] = name
        kube_api.post(f"{accounts.RBAC}/clusterroles", role)
        try:
            folder = tmp_path_factory.mktemp("account")
            made = accounts.make(kube_api, space, "reader", [], folder)
            kube_api.kubectl(
                "create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={space}:reader"
            )
            yield Bound(made, running)
        finally:
            kube_api.delete(f"{accounts.RBAC}/clusterrolebindings/{name}")
            kube_api.delete(f"{accounts.RBAC}/clusterroles/{name}")


def test_with_the_printed_cluster_role_a_whole_cluster_is_scanned(bound: Bound, tmp_path: Path) -> None:
    fastops = Fastops(tmp_path / "home", kubeconfig=bound.kubeconfig)
    done = fastops("scan", "k8s", "--format", "json", timeout=CLUSTER_SCAN_SECONDS)
    (target,) = done.json["targets"]
    assert target["state"] == "live", done.said
    assert [one for one in target["failures"] if one["code"] == "forbidden"] == [], done.said
    found = {one["id"]: one for one in done.json["deployments"]}
    mine = found[bound.running.deployment("reader")]
    assert mine["orchestrated"]["rollout"] is not None
    assert mine["coverage"]["logs"] in {"sampled", "followed"}


def writes(right: Right, namespace: str) -> Iterator[tuple[str, str]]:
    """Method and path of each write that a right of the fixing role is about."""
    base = f"/apis/{right.group}/v1" if right.group else "/api/v1"
    for resource in right.resources:
        kind, _, sub = resource.partition("/")
        for verb in right.verbs:
            if verb in METHODS:
                name = "" if verb == "create" and not sub else f"/some{f'/{sub}' if sub else ''}"
                yield METHODS[verb], f"{base}/namespaces/{namespace}/{kind}{name}"


async def test_with_the_printed_cluster_role_every_write_is_refused_by_the_server(bound: Bound) -> None:
    client = ApiClient(resolve("k8s", None, {"KUBECONFIG": str(bound.kubeconfig)}), read_only=False)
    space = bound.namespace
    asked = [one for right in FIXING for one in writes(right, space)]
    assert {path.rpartition(f"{space}/")[2].partition("/")[0] for _, path in asked} >= {
        "configmaps", "daemonsets", "deployments", "pods", "secrets", "services", "statefulsets",
    }  # fmt: skip
    beyond = [
        ("DELETE", f"/api/v1/namespaces/{space}/pods/some"),
        ("POST", f"/api/v1/namespaces/{space}/pods/some/eviction"),
        ("PATCH", f"/apis/apps/v1/namespaces/{space}/deployments/some/scale"),
        ("DELETE", f"/api/v1/namespaces/{space}"),
        ("POST", f"{accounts.RBAC}/namespaces/{space}/rolebindings"),
    ]
    try:
        for method, path in (*asked, *beyond):
            body = None if method == "DELETE" else b"{}"
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            with pytest.raises(ApiError) as raised:
                await client.send(method, path, body, content_type=kind, params={"dryRun": "All"})
            assert raised.value.status == 403, (method, path)
        with pytest.raises(Forbidden):
            await client.execute(space, bound.running.pods()[0]["metadata"]["name"], "app", ["true"])
        with pytest.raises(Forbidden):
            await client.get(f"/api/v1/namespaces/{space}/secrets")
    finally:
        await client.close()


def test_with_the_printed_cluster_role_a_fix_is_refused_with_the_rule_and_changes_nothing(
    bound: Bound, tmp_path: Path
) -> None:
    before = lasting(bound.running.workload())
    fix = ("fix", bound.running.deployment("reader"), "memory-unlimited", "--remedy", "set-memory-limit")
    done = Fastops(tmp_path / "home", kubeconfig=bound.kubeconfig)(*fix, "--yes", "--observe", "5s")
    assert done.status == 3, done.said  # what would be changed may not even be read by name
    assert "{apiGroups: [apps], resources: [deployments], verbs: [get]}" in done.err, done.said
    assert lasting(bound.running.workload()) == before


class Fix(NamedTuple):
    """What the fixing role is to allow; a dry run needs the right to the write itself."""

    case: str
    signature: str
    remedy: str
    apply: bool = False
    settings: Mapping[str, str] = {}


FIXES = (
    Fix("secret-in-the-clear", "plaintext-secret", "use-secret", apply=True),
    Fix("service-port", "port-mismatch", "align-ports", apply=True),
    Fix("readiness-path", "probe-misconfigured", "edit-probes", settings={"path": "/health"}),
    Fix("lone", "single-process", "scale"),
    Fix("stuck-rollout", "image-pull-failed", "rollback"),
)


@pytest.fixture(scope="module")
def sick(kube_api: Api, make_namespace: Any) -> Iterator[dict[str, RunningPods]]:
    """All of them at once: most of what they take is waiting."""
    with KubeLab(kube_api, make_namespace()) as lab, ThreadPoolExecutor(3) as pool:
        yield dict(pool.map(lambda one: (one.case, lab.start(CASES[one.case]).ready()), FIXES))


@pytest.fixture(scope="module")
def fixer(kube_api: Api, sick: dict[str, RunningPods], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An account with the printed Role for fixing."""
    space = next(iter(sick.values())).namespace
    rules = yaml.safe_load(document(read_only=False, namespace=space))["rules"]
    return accounts.make(kube_api, space, "fixer", rules, tmp_path_factory.mktemp("fixer"))


@pytest.mark.slow
@pytest.mark.parametrize("fix", FIXES, ids=[one.remedy for one in FIXES])
def test_with_the_printed_fixing_role_each_remedy_is_planned_and_applied(
    sick: dict[str, RunningPods], fixer: Path, tmp_path: Path, fix: Fix
) -> None:
    running = sick[fix.case]
    rules = yaml.safe_load(document(read_only=False, namespace=running.namespace))["rules"]
    before = lasting(running.workload())
    given = [word for name, value in fix.settings.items() for word in ("--set", f"{name}={value}")]
    command = ("fix", running.deployment("fixer"), fix.signature, "--remedy", fix.remedy, *given, "--observe", "10s")
    with between(fixer, tmp_path) as (proxy, through):
        fastops = Fastops(tmp_path / "home", kubeconfig=through)
        planned = fastops(*command, "--dry-run")
        assert planned.status == 0, planned.said
        assert lasting(running.workload()) == before
        if fix.apply:
            done = fastops(*command, "--yes", "--confirm", fix.case)
            assert done.status in (0, 5), done.said
            assert "applied" in done.out, done.said
            undone = fastops("undo", "--yes")
            assert undone.status == 0, undone.said
            assert lasting(running.workload()) == before
    granted = {(r["apiGroups"][0], one, verb) for r in rules for one in r["resources"] for verb in r["verbs"]}
    asked = {needed(one) for one in proxy.requests}
    assert (
        not {
            (one.group, one.resource, one.verb)
            for one in asked
            if one.url is None and one.namespace == running.namespace
        }
        - granted
    )
