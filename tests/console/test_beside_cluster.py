"""What stands beside a service and is no sick service: a Job that tests it, one of a CronJob, a canary; and containers
beside the one that serves, which are named where the pod waits for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from console.config import Config
from console.session import Session
from fixes.model import SignatureId
from probes.targets.kubernetes.contexts import current_context
from tests.cluster.api import Api
from tests.cluster.case import KubeCase, Patch, Pods, Replaced
from tests.cluster.cases import CASES, advised
from tests.cluster.cases.sound import SOUND
from tests.cluster.manifests import REQUESTS
from tests.cluster.runner import KubeLab
from tests.console._watching import LOOK_SECONDS, Watch
from tests.lab import images
from tests.lab.case import gunicorn

DEADLINE_SECONDS = 150
SMOKE = (
    "from fastapi.testclient import TestClient; import healthy; "
    "assert TestClient(healthy.app).get('/health').status_code == 200"
)
PART_OF = {"part-of": "shop"}
PARTS = tuple(
    KubeCase(
        name,
        gunicorn("healthy:app"),
        drive=(Pods(ready=True), Patch({"spec": {"template": {"metadata": {"labels": PART_OF}}}}), Replaced()),
        container=SOUND,
    )
    for name in ("stable", "canary")
)
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop"},
    "spec": {"selector": PART_OF, "ports": [{"port": 80, "targetPort": 8000}]},
}


def smoke() -> dict[str, object]:
    """What a Job runs that tests the application in its own process."""
    container = {
        "name": "smoke",
        "image": images.tags("app")[-1],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", SMOKE],
        "resources": {"requests": REQUESTS},
    }
    pod = {"restartPolicy": "Never", "dnsPolicy": "Default", "containers": [container]}
    return {"backoffLimit": 0, "template": {"spec": pod}}


def jobs() -> list[dict[str, object]]:
    """A Job, and a CronJob that somebody starts by hand."""
    cron = {"schedule": "0 4 1 1 *", "suspend": True, "jobTemplate": {"spec": smoke()}}
    return [
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "smoke"}, "spec": smoke()},
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": cron},
    ]


def succeeded(api: Api, namespace: str) -> set[str]:
    """The Jobs that ended well."""
    found = api.items(f"/apis/batch/v1/namespaces/{namespace}/jobs")
    return {job["metadata"]["name"] for job in found if job.get("status", {}).get("succeeded")}


@pytest.mark.timeout(600)
def test_jobs_that_test_the_service_and_a_canary_are_no_findings(
    cluster: Path,
    kube_api: Api,
    make_namespace: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path))
    namespace, context = make_namespace(), current_context({**os.environ})
    with KubeLab(kube_api, namespace) as lab, Watch(Session((f"k8s:{context}/{namespace}",), Config())) as watch:
        made = json.dumps({"apiVersion": "v1", "kind": "List", "items": [SERVICE, *jobs()]})
        kube_api.kubectl("apply", "-n", namespace, "--filename", "-", given=made)
        kube_api.kubectl("create", "job", "nightly-1", "--from=cronjob/nightly", "-n", namespace)
        parts = lab.bring(PARTS)
        deadline = monotonic() + DEADLINE_SECONDS
        wanted = {running.deployment(str(context)) for running in parts.values()}
        while succeeded(kube_api, namespace) != {"smoke", "nightly-1"} or not all(watch.of(d).listed for d in wanted):
            assert monotonic() < deadline, (succeeded(kube_api, namespace), wanted)
            Event().wait(0.5)
        Event().wait(LOOK_SECONDS)  # what is found is found within that time: see the lab
        seen = {one.id: watch.now(one.id) for one in watch.session.report.snapshot.deployments()}
    assert wanted <= set(seen)
    assert {name: found for name, found in seen.items() if found - advised(PARTS[0])} == {}


@pytest.mark.timeout(600)
def test_the_container_that_a_pod_waits_for_is_named(
    cluster: Path, kube_api: Api, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path))
    context = str(current_context({**os.environ}))
    loops = SignatureId("crash-loop")
    with KubeLab(kube_api, namespace) as lab, Watch(Session((f"k8s:{context}/{namespace}",), Config())) as watch:
        cases = lab.bring((CASES["waits-for-database"], CASES["neighbour-crashing"]))
        waits, crashes = (running.deployment(context) for running in cases.values())
        deadline = monotonic() + DEADLINE_SECONDS
        while "startup-stalled" not in watch.of(waits).undecided or loops not in watch.of(crashes).found:
            assert monotonic() < deadline, (watch.of(waits).undecided, watch.of(crashes).found)
            Event().wait(0.5)
        assert "init container wait" in watch.of(waits).undecided["startup-stalled"]
        assert "agent" in watch.of(crashes).found[loops].title
