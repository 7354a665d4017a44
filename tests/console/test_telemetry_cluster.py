"""`enable-telemetry` on a real cluster. Its rollout and way back are those of ``test_remedies_cluster.py``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from probes.targets.kubernetes.contexts import current_context
from tests.cluster.case import KubeCase, Pods
from tests.cluster.manifests import PROBED
from tests.cluster.runner import KubeLab
from tests.console._fastops import Fastops
from tests.lab.case import uvicorn

HEALTHY: dict[str, Any] = {"command": uvicorn("healthy:app"), "up": Pods(ready=True)}


@pytest.mark.slow
def test_it_is_offered_towards_a_collector_that_is_ready_with_the_servers_own_diff(
    cluster: Path, lab_pods: KubeLab, tmp_path: Path
) -> None:
    ports = [{"name": "otlp-http", "port": 14318, "targetPort": 8000}]
    # What stands in the collector's place is ready, and nothing more is asked of it here.
    gateway = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "gateway"}}
    objects = ({**gateway, "spec": {"selector": {"app": "shop"}, "ports": ports}},)
    running = lab_pods.start(KubeCase("shop", container=PROBED, objects=objects, **HEALTHY)).ready()
    context = current_context({**os.environ, "KUBECONFIG": str(cluster)})
    assert context is not None
    fastops = Fastops(tmp_path / "one", kubeconfig=cluster)
    ask = ("fix", running.deployment(context), "enable-telemetry", "--dry-run", "--format", "json")
    done = fastops(*ask)
    assert done.status == 0, done.said
    diff = "".join(change["diff"] for change in done.json["plan"]["changes"])
    assert f"http://gateway.{running.namespace}.svc:14318/v1/metrics" in diff, diff
    assert "FASTAPI_OTEL_AUTO_CONFIGURE" in diff, diff
