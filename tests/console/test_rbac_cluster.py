"""The printed role suffices, and each of its rules is worth what the table says: on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.commands.rbac import document
from tests.cluster import accounts
from tests.cluster.api import Api
from tests.cluster.cases import CASES
from tests.cluster.runner import KubeLab, RunningPods
from tests.console._between import between, needed
from tests.console._fastops import Done, Fastops

Role = list[dict[str, Any]]


@pytest.fixture(scope="module")
def shop(kube_api: Api, make_namespace: Any) -> Iterator[RunningPods]:
    """A service that is well, behind a Service, in a namespace of its own."""
    with KubeLab(kube_api, make_namespace()) as lab:
        yield lab.start(CASES["pair"]).ready()


def role(namespace: str, *, read_only: bool = True) -> Role:
    """The rules that ``fastops rbac`` prints for a namespace."""
    rules: Role = yaml.safe_load(document(read_only=read_only, namespace=namespace))["rules"]
    return rules


def scan(kubeconfig: Path, folder: Path, namespace: str) -> Done:
    """One look by an account that has nothing but its kubeconfig."""
    return Fastops(folder / "home", kubeconfig=kubeconfig)("scan", "k8s", "-n", namespace, "--format", "json")


def resources(rules: Role) -> list[str]:
    return [f"{one['apiGroups'][0]}/{one['resources'][0]}".lstrip("/") for one in rules]


def test_with_exactly_the_printed_role_nothing_is_forbidden_and_nothing_else_is_asked(
    kube_api: Api, shop: RunningPods, tmp_path: Path
) -> None:
    rules = role(shop.namespace)
    account = accounts.make(kube_api, shop.namespace, "all", rules, tmp_path)
    with between(account, tmp_path) as (proxy, through):
        done = scan(through, tmp_path, shop.namespace)
    (target,) = done.json["targets"]
    assert target["state"] == "live", done.said
    assert target["failures"] == [], done.said
    (found,) = done.json["deployments"]
    assert found["id"] == shop.deployment("all")
    assert done.status in (0, 1), done.said
    granted = {(r["apiGroups"][0], one, verb) for r in rules for one in r["resources"] for verb in r["verbs"]}
    asked = {needed(one) for one in proxy.requests}
    beyond = {
        (one.group, one.resource, one.verb) for one in asked if one.url is None and one.namespace == shop.namespace
    } - granted
    assert not beyond
    assert {one.resource for one in asked if one.url is None and one.namespace is None} <= {"nodes", "nodes/proxy"}


LOSSES: dict[str, Any] = {
    "pods": lambda told: told["targets"][0]["state"] == "forbidden" and not told["deployments"],
    "apps/deployments": lambda told: told["deployments"][0]["orchestrated"]["rollout"] is None,
    "apps/controllerrevisions": lambda told: True,
    "batch/jobs": lambda told: True,
    "events": lambda told: True,
    "services": lambda told: told["deployments"][0]["orchestrated"]["services"] == [],
    "autoscaling/horizontalpodautoscalers": lambda told: told["deployments"][0]["orchestrated"]["autoscaler"] is None,
    "policy/poddisruptionbudgets": lambda told: True,
    "pods/log": lambda told: told["deployments"][0]["coverage"]["logs"] == "unread",
    "metrics.k8s.io/pods": lambda told: told["deployments"][0]["memory"]["used_bytes"] is None,
}
"""What is not there without each rule, in one look at a service that is well."""
SILENT = {"pods/proxy", "autoscaling.k8s.io/verticalpodautoscalers"}
"""Here the pods' addresses can be reached, and there are no such autoscalers: nothing is lost without these."""


@pytest.mark.slow
def test_each_rule_that_is_taken_away_is_named_and_costs_what_the_table_says(
    kube_api: Api, shop: RunningPods, tmp_path: Path
) -> None:
    rules = role(shop.namespace)
    names = resources(rules)
    assert set(names) == LOSSES.keys() | SILENT
    for number, name in enumerate(names):
        kept = [rule for place, rule in enumerate(rules) if place != number]
        account = accounts.make(kube_api, shop.namespace, f"without-{number}", kept, tmp_path)
        done = scan(account, tmp_path, shop.namespace)
        told = done.json
        if name in SILENT:
            assert done.status in (0, 1), (name, done.said)
            continue
        assert LOSSES[name](told), (name, done.said)
        (target,) = told["targets"]
        said = f"{target['why']} {target['hint']} {target['failures']}"
        assert all(one.partition("/")[0] in said for one in rules[number]["resources"]), (name, done.said)
        assert done.status == 3, (name, done.said)
        if name != "pods":
            assert [one["id"] for one in told["deployments"]] == [shop.deployment(f"without-{number}")], done.said


def test_doctor_says_what_is_missing_and_what_that_costs(kube_api: Api, shop: RunningPods, tmp_path: Path) -> None:
    rules = [rule for rule in role(shop.namespace, read_only=False) if rule["resources"] != ["pods/log"]]
    rules = [rule for rule in rules if rule["resources"] != ["secrets"]]
    account = accounts.make(kube_api, shop.namespace, "some", rules, tmp_path)
    fastops = Fastops(tmp_path / "home", kubeconfig=account)
    with between(account, tmp_path) as (proxy, through):
        done = fastops("doctor", "k8s", "-n", shop.namespace, env={"KUBECONFIG": str(through)})
        assert {one.path for one in proxy.writes} == {"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}
        assert "get pods/log" in done.out
        assert "failures that only a log names are not found" in done.out
        assert "use-secret cannot be applied" in done.out
        assert "get pods/proxy" not in done.out
        proxy.forget()
        silent = fastops("doctor", "k8s", "-n", shop.namespace, "--read-only", env={"KUBECONFIG": str(through)})
        assert "permissions were not asked" in silent.out
        assert proxy.requests
        assert not proxy.writes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "signature", "remedy"),
    [
        ("limit-256m", "memory-limit-low", "set-memory-limit"),
        ("loopback-gunicorn", "bind-loopback", "bind-all-interfaces"),
        ("lone", "single-process", "apply-gunicorn-config"),
    ],
)
def test_with_exactly_the_fixing_role_a_remedy_is_applied_and_undone(
    kube_api: Api, lab_pods: KubeLab, tmp_path: Path, case: str, signature: str, remedy: str
) -> None:
    running = lab_pods.start(CASES[case]).ready()
    rules = role(running.namespace, read_only=False)
    account = accounts.make(kube_api, running.namespace, "fixer", rules, tmp_path)
    identity = running.deployment("fixer")
    with between(account, tmp_path) as (proxy, through):
        fastops = Fastops(tmp_path / "home", kubeconfig=through)
        fastops.config.write_text('[targets."k8s:fix*"]\nproduction = true')
        fix = ("fix", identity, signature, "--remedy", remedy, "--yes", "--no-read-only", "--observe", "10s")
        done = fastops(*fix)
        assert done.status == 4, done.said
        assert f"k8s/fixer is production: `--confirm {case}` is needed" in done.err, done.said
        done = fastops(*fix, "--confirm", case)
        assert done.status in (0, 5), done.said
        assert "applied" in done.out, done.said
        undone = fastops("undo", "--yes", "--no-read-only")
        assert undone.status == 0, undone.said
    granted = {(r["apiGroups"][0], one, verb) for r in rules for one in r["resources"] for verb in r["verbs"]}
    asked = {needed(one) for one in proxy.requests}
    beyond = {
        (one.group, one.resource, one.verb) for one in asked if one.url is None and one.namespace == running.namespace
    } - granted
    assert not beyond
