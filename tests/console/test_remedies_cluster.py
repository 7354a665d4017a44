"""Each remedy on a real cluster: found, planned, rolled out, verified, taken back; with the printed role for fixing."""

from __future__ import annotations

import base64
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from probes.target import Refused, Unreadable
from probes.targets.kubernetes.rendering import lasting
from tests.cluster.api import Api
from tests.cluster.cases import CASES
from tests.cluster.manifests import PROBED
from tests.cluster.translate import translated
from tests.console._fastops import until
from tests.console._pods import Bring, Sick, account, applied, bring, container, databases, lab, mend, watch
from tests.console._remedies import FOUND_SECONDS, Remedied
from tests.console._watching import Watch
from tests.lab.case import Case, Hold, gunicorn

__all__ = ["account", "bring", "databases", "lab", "mend", "watch"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def probe(container: Any, role: str = "readiness") -> Any:
    """Where an HTTP check asks."""
    asked = container[f"{role}Probe"]["httpGet"]
    return asked["path"], asked["port"]


SICK = (
    Sick(
        CASES["no-limits"],
        "memory-unlimited",
        "set-memory-limit",
        lambda app: app["resources"]["limits"]["memory"] == "1Gi",
    ),
    Sick(
        CASES["cpu-starved"],
        "cpu-throttled",
        "set-cpu-limit",
        lambda app: app["resources"]["limits"]["cpu"] == "2",
        values=(("limit", 2.0),),
        back=False,  # what the kernel held back is judged over a longer time
    ),
    Sick(
        CASES["readiness-path"],
        "probe-misconfigured",
        "edit-probes",
        lambda app: probe(app) == ("/health", 8000),
    ),
    Sick(
        CASES["readiness-port"],
        "probe-misconfigured",
        "edit-probes",
        lambda app: probe(app) == ("/health", 8000),
    ),
    Sick(
        CASES["secret-in-the-clear"],
        "plaintext-secret",
        "use-secret",
        lambda app: any("secretKeyRef" in one.get("valueFrom", {}) for one in app["env"]),
    ),
    Sick(
        CASES["loopback"],
        "bind-loopback",
        "bind-all-interfaces",
        lambda app: "0.0.0.0" in app["command"],
    ),
    Sick(
        CASES["lone"],
        "single-process",
        "apply-gunicorn-config",
        lambda app: app["command"][0] == "gunicorn" and "/etc/fastops/gunicorn.conf.py" in app["command"],
        values=(("workers", 2),),
    ),
)


@pytest.mark.parametrize("sick", SICK, ids=[f"{one.remedy}-{one.case.name}" for one in SICK])
def test_a_remedy_is_rolled_out_and_can_be_taken_back(mend: Callable[[Sick], None], sick: Sick) -> None:
    mend(sick)


def test_a_missing_variable_is_taken_from_a_secret_and_typed_in_no_description(bring: Bring, kube_api: Api) -> None:
    running, one = bring(CASES["env-keyerror"], "missing-env")
    before = lasting(running.workload())
    asked = one.plan("set-env")
    assert asked.advice is not None, "a value has to be typed first"
    assert [p.name for p in asked.parameters] == ["PAYMENT_KEY"]
    with pytest.raises(Refused, match="holds a secret"):
        one.plan("set-env", {"PAYMENT_KEY": "s3cr3t-value"})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pay"}, "stringData": {"key": "s3cr3t-value"}}
    kube_api.post(f"/api/v1/namespaces/{running.namespace}/secrets", secret)
    outcome = one.apply(one.plan("set-env", {"PAYMENT_KEY": "secret:pay/key"}))
    one.is_gone(outcome)
    (variable,) = [each for each in container(running)["env"] if each["name"] == "PAYMENT_KEY"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "pay", "key": "key"}
    assert one.undo(outcome).applied
    assert lasting(running.workload()) == before
    one.await_found()


def test_the_checks_that_are_missing_are_added_one_by_one(bring: Bring) -> None:
    running, one = bring(CASES["no-probes"], "probe-missing")
    before = lasting(running.workload())
    ready = one.apply(one.plan("edit-probes"))
    assert ready.applied, (ready, one.said)
    assert ready.verified == "present", (ready, one.said)
    assert "no liveness probe" in str(ready.why)
    assert set(container(running)) & {"readinessProbe", "livenessProbe"} == {"readinessProbe"}
    alive = one.apply(one.plan("edit-probes"))
    one.is_gone(alive)
    assert {"readinessProbe", "livenessProbe"} <= set(container(running))
    for outcome in (alive, ready):
        assert one.undo(outcome).applied, one.said
    assert lasting(running.workload()) == before
    one.await_found()


def test_one_replica_becomes_two(bring: Bring) -> None:
    running, one = bring(CASES["lone"], "single-process")
    plan = one.plan("scale")
    assert not plan.restart
    outcome = one.apply(plan, plan.confirm and "lone")
    one.is_gone(outcome)
    assert len(running.pods()) == 2
    one.await_gone()
    assert one.undo(outcome).applied
    until("one replica", lambda: running.workload()["spec"]["replicas"] == 1)
    one.await_found()


def test_a_service_is_led_to_the_port_that_is_open(bring: Bring, kube_api: Api) -> None:
    running, one = bring(CASES["service-port"], "port-mismatch")
    path = f"/api/v1/namespaces/{running.namespace}/services/{running.case.name}"
    before, pods = lasting(kube_api.get(path)), {pod["metadata"]["uid"] for pod in running.pods()}
    plan = one.plan("align-ports")
    assert not plan.restart
    outcome = one.apply(plan)
    one.is_gone(outcome)
    assert lasting(kube_api.get(path)) != before
    assert {pod["metadata"]["uid"] for pod in running.pods()} == pods
    assert one.undo(outcome).applied
    assert lasting(kube_api.get(path)) == before
    one.await_found()


def test_a_former_revision_comes_back(bring: Bring) -> None:
    running, one = bring(CASES["stuck-rollout"], "image-pull-failed")
    before = lasting(running.workload())
    outcome = one.apply(one.plan("rollback"))
    one.is_gone(outcome)
    assert "registry.invalid" not in container(running)["image"]
    one.await_gone()
    assert one.undo(outcome).applied
    assert lasting(running.workload()) == before
    one.await_found()


def test_a_restart_clears_what_a_start_clears_and_cannot_be_taken_back(bring: Bring, watch: Watch) -> None:
    """Requests of yesterday left their files open; the listeners of today would fit in well."""
    left = Case("descriptors-left", gunicorn("descriptors:app"), nofile=64, drive=(Hold(connections=12),))
    running, low = bring(replace(translated(left), container=PROBED), "fd-limit-low")
    assert "Kubernetes has no setting for open files" in str(low.why_not("raise-nofile"))
    one = Remedied(watch, low.deployment, "fd-exhausted")
    host, port = running.endpoint()

    def found() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"http://{host}:{port}/template", timeout=10, trust_env=False)
        return one.found

    one.await_load(2)
    until("fd-exhausted", found, FOUND_SECONDS)
    before, pods = lasting(running.workload()), {pod["metadata"]["uid"] for pod in running.pods()}
    outcome = applied(running, one, one.plan("restart"))
    one.is_gone(outcome)
    assert pods.isdisjoint(pod["metadata"]["uid"] for pod in running.pods())
    one.await_gone()
    assert one.undo(outcome).applied
    assert "a restart leaves nothing to take back" in "".join(one.said)
    assert lasting(running.workload()) != before, "the time of the restart stays"


def test_profile_names_the_line_that_blocks_where_the_image_has_the_program(
    bring: Bring, watch: Watch, kube_api: Api
) -> None:
    case = CASES["blocked-sleep"]
    traced = {"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}
    running, one = bring(replace(case, container={**case.container, **traced}), "memory-unlimited")
    before, (pod,) = lasting(running.workload()), running.pods()

    def listed() -> bool:
        deployment = watch.session.report.snapshot.find(one.deployment)
        return deployment is not None and bool(deployment.workers)

    until("its workers", listed, FOUND_SECONDS)
    with pytest.raises(Unreadable, match="the container has no py-spy"):
        watch.session.profile(one.deployment).result(60)
    program = base64.b64encode(Path(sys.executable).with_name("py-spy").read_bytes()).decode()
    unpack = "base64 -d > /usr/local/bin/py-spy && chmod 755 /usr/local/bin/py-spy"
    kube_api.kubectl(
        "exec", "-i", "-n", running.namespace, pod["metadata"]["name"], "--", "sh", "-c", unpack, given=program
    )
    advice = watch.session.profile(one.deployment).result(60)
    assert "blocking.py" in advice.text + advice.code
    assert lasting(running.workload()) == before


@pytest.mark.parametrize("case", ["of-helm", "of-argo", "of-flux"])
def test_what_somebody_else_keeps_is_offered_as_a_file(
    bring: Bring,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    running, one = bring(CASES[case], "memory-unlimited")
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
