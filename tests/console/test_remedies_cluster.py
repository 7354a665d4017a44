"""Each remedy on a real cluster: found, planned, rolled out, verified, taken back; with the printed role for fixing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from console.commands.rbac import document
from console.config import Config
from console.session import Session
from probes.base import Value
from probes.target import Refused
from probes.targets.kubernetes.rendering import lasting
from tests.cluster import accounts
from tests.cluster.api import Api
from tests.cluster.cases import CASES
from tests.cluster.runner import KubeLab, RunningPods
from tests.console._fastops import until
from tests.console._remedies import Remedied
from tests.console._watching import Watch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FIXER = "fixer"
ANY = frozenset({"gone", "untested"})


class Sick(NamedTuple):
    """A case to be mended, and what the remedy makes of its container."""

    case: str
    signature: str
    remedy: str
    now: Callable[[Any], bool]
    """Whether the container of the template is as wanted."""
    values: tuple[tuple[str, Value], ...] = ()
    verified: frozenset[str] = frozenset({"gone"})
    back: bool = True
    """Whether the finding is to be there again at once after the change was taken back."""


def probe(container: Any, role: str = "readiness") -> Any:
    """Where an HTTP check asks."""
    asked = container[f"{role}Probe"]["httpGet"]
    return asked["path"], asked["port"]


SICK = (
    Sick(
        "no-limits",
        "memory-unlimited",
        "set-memory-limit",
        lambda app: app["resources"]["limits"]["memory"] == "1Gi",
    ),
    Sick(
        "cpu-starved",
        "cpu-throttled",
        "set-cpu-limit",
        lambda app: app["resources"]["limits"]["cpu"] not in {"100m", "0.1"},
        verified=frozenset({"gone", "untested", "present"}),
        back=False,  # what the kernel held back is judged over a longer time
    ),
    Sick(
        "readiness-path",
        "probe-misconfigured",
        "edit-probes",
        lambda app: probe(app) == ("/health", 8000),
        verified=ANY,
    ),
    Sick(
        "readiness-port",
        "probe-misconfigured",
        "edit-probes",
        lambda app: probe(app) == ("/health", 8000),
        verified=ANY,
    ),
    Sick("no-probes", "probe-missing", "edit-probes", lambda app: "readinessProbe" in app, verified=ANY | {"present"}),
    Sick(
        "secret-in-the-clear",
        "plaintext-secret",
        "use-secret",
        lambda app: any("secretKeyRef" in one.get("valueFrom", {}) for one in app["env"]),
    ),
    Sick(
        "loopback",
        "bind-loopback",
        "bind-all-interfaces",
        lambda app: "0.0.0.0" in app["command"],
        verified=ANY,
    ),
    Sick(
        "lone",
        "single-process",
        "apply-gunicorn-config",
        lambda app: app["command"][0] == "gunicorn" and "/etc/fastops/gunicorn.conf.py" in app["command"],
        values=(("workers", 2),),
        verified=ANY,
    ),
)


@pytest.fixture(scope="module")
def lab(kube_api: Api, make_namespace: Callable[[], str]) -> Iterator[KubeLab]:
    """One namespace for all cases, which come and go."""
    with KubeLab(kube_api, make_namespace()) as made:
        yield made


@pytest.fixture(scope="module")
def account(kube_api: Api, lab: KubeLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Who mends them may do what ``fastops rbac`` prints for this namespace, and nothing else."""
    rules = yaml.safe_load(document(read_only=False, namespace=lab.namespace))["rules"]
    return accounts.make(kube_api, lab.namespace, FIXER, rules, tmp_path_factory.mktemp("account"))


@pytest.fixture(scope="module")
def watch(account: Path, lab: KubeLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """A session that looks at this namespace alone: others use the cluster, too."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FASTOPS_STATE", str(tmp_path_factory.mktemp("state")))
        patched.setenv("KUBECONFIG", str(account))
        with Watch(Session((f"k8s:{FIXER}/{lab.namespace}",), Config(), execute=True)) as made:
            yield made


@pytest.fixture
def bring(watch: Watch, lab: KubeLab) -> Iterator[Callable[[str, str], tuple[RunningPods, Remedied]]]:
    started: list[RunningPods] = []

    def brought(case: str, signature: str) -> tuple[RunningPods, Remedied]:
        running = lab.start(CASES[case])
        started.append(running)
        one = Remedied(watch, running.ready().deployment(FIXER), signature)
        one.await_found()
        return running, one

    yield brought
    for running in started:
        running.stop()
        until("the end of the pods", lambda running=running: not running.pods(), 60)  # type: ignore[misc]


def container(running: RunningPods) -> Any:
    """The serving container of the template."""
    return running.workload()["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("sick", SICK, ids=[f"{one.remedy}-{one.case}" for one in SICK])
def test_a_remedy_is_rolled_out_and_can_be_taken_back(
    bring: Callable[[str, str], tuple[RunningPods, Remedied]], sick: Sick
) -> None:
    running, one = bring(sick.case, sick.signature)
    before = lasting(running.workload())
    plan = one.plan(sick.remedy, dict(sick.values))
    assert plan.steps
    assert plan.restart
    assert all(change.diff for change in plan.changes)
    assert lasting(running.workload()) == before, "a plan changes nothing"
    outcome = one.apply(plan, plan.confirm and CASES[sick.case].name)
    assert outcome.applied, (outcome, one.said)
    assert outcome.verified in sick.verified, (outcome, one.said)
    assert sick.now(container(running)), container(running)
    undone = one.undo(outcome)
    assert undone.applied, (undone, one.said)
    assert lasting(running.workload()) == before
    if sick.back:
        one.await_found()


def test_a_missing_variable_is_taken_from_a_secret_and_typed_in_no_description(
    bring: Callable[[str, str], tuple[RunningPods, Remedied]], kube_api: Api
) -> None:
    running, one = bring("env-keyerror", "missing-env")
    before = lasting(running.workload())
    asked = one.plan("set-env")
    assert asked.advice is not None, "a value has to be typed first"
    assert [p.name for p in asked.parameters] == ["PAYMENT_KEY"]
    with pytest.raises(Refused, match="holds a secret"):
        one.plan("set-env", {"PAYMENT_KEY": "s3cr3t-value"})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pay"}, "stringData": {"key": "s3cr3t-value"}}
    kube_api.post(f"/api/v1/namespaces/{running.namespace}/secrets", secret)
    outcome = one.apply(one.plan("set-env", {"PAYMENT_KEY": "secret:pay/key"}))
    assert outcome.applied, (outcome, one.said)
    assert outcome.verified == "gone", (outcome, one.said)
    (variable,) = [each for each in container(running)["env"] if each["name"] == "PAYMENT_KEY"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "pay", "key": "key"}
    assert one.undo(outcome).applied
    assert lasting(running.workload()) == before
    one.await_found()


def test_one_replica_becomes_two(bring: Callable[[str, str], tuple[RunningPods, Remedied]]) -> None:
    running, one = bring("lone", "single-process")
    plan = one.plan("scale")
    assert not plan.restart
    outcome = one.apply(plan, plan.confirm and "lone")
    assert outcome.applied, (outcome, one.said)
    assert len(running.pods()) == 2
    one.await_gone()
    assert one.undo(outcome).applied
    until("one replica", lambda: running.workload()["spec"]["replicas"] == 1)
    one.await_found()


def test_a_service_is_led_to_the_port_that_is_open(
    bring: Callable[[str, str], tuple[RunningPods, Remedied]], kube_api: Api
) -> None:
    running, one = bring("service-port", "port-mismatch")
    path = f"/api/v1/namespaces/{running.namespace}/services/{running.case.name}"
    before, pods = lasting(kube_api.get(path)), {pod["metadata"]["uid"] for pod in running.pods()}
    plan = one.plan("align-ports")
    assert not plan.restart
    outcome = one.apply(plan)
    assert outcome.applied, (outcome, one.said)
    assert outcome.verified == "gone", (outcome, one.said)
    assert lasting(kube_api.get(path)) != before
    assert {pod["metadata"]["uid"] for pod in running.pods()} == pods
    assert one.undo(outcome).applied
    assert lasting(kube_api.get(path)) == before
    one.await_found()


def test_a_former_revision_comes_back(bring: Callable[[str, str], tuple[RunningPods, Remedied]]) -> None:
    running, one = bring("stuck-rollout", "image-pull-failed")
    before = lasting(running.workload())
    outcome = one.apply(one.plan("rollback"))
    assert outcome.applied, (outcome, one.said)
    assert "registry.invalid" not in container(running)["image"]
    one.await_gone()
    assert one.undo(outcome).applied
    assert lasting(running.workload()) == before
    one.await_found()


def test_a_restart_replaces_the_pods(bring: Callable[[str, str], tuple[RunningPods, Remedied]]) -> None:
    running, one = bring("descriptors-silent", "fd-exhausted")
    pods = {pod["metadata"]["uid"] for pod in running.pods()}
    outcome = one.apply(one.plan("restart"))
    assert outcome.applied, (outcome, one.said)
    assert pods.isdisjoint(
        {pod["metadata"]["uid"] for pod in running.pods() if "deletionTimestamp" not in pod["metadata"]}
    )


@pytest.mark.parametrize("case", ["of-helm", "of-argo", "of-flux"])
def test_what_somebody_else_keeps_is_offered_as_a_file(
    bring: Callable[[str, str], tuple[RunningPods, Remedied]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    running, one = bring(case, "memory-unlimited")
    before = lasting(running.workload())
    plan = one.plan("set-memory-limit")
    assert [step.action for step in plan.steps] == ["offer-file"]
    assert not plan.restart
    assert any("It is kept by" in warning for warning in plan.warnings)
    outcome = one.apply(plan)
    assert outcome.applied, (outcome, one.said)
    assert outcome.verified == "untested"
    assert "nothing that runs was changed" in str(outcome.why)
    assert lasting(running.workload()) == before
    (file,) = tmp_path.iterdir()
    assert "memory: 1Gi" in file.read_text()
    assert one.undo(outcome).applied
    assert list(tmp_path.iterdir()) == []
