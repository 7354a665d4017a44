"""Workloads in which nothing must be found, of each kind, and what is not FastAPI."""

from __future__ import annotations

from tests.cluster.case import KubeCase
from tests.cluster.manifests import PROBED, limits
from tests.lab.case import gunicorn, uvicorn

# What keeps a workload free of advice: a limit, and both probes.
SOUND = {**PROBED, "resources": limits("1Gi")}

CASES = (
    KubeCase("pair", uvicorn("healthy:app"), replicas=2, look_alike_of="single-process", container=SOUND),
    KubeCase("stateful", gunicorn("healthy:app"), kind="StatefulSet", container=SOUND),
    KubeCase("on-each-node", gunicorn("healthy:app"), kind="DaemonSet", container=SOUND),
    KubeCase(
        "budgeted",
        uvicorn("healthy:app"),
        replicas=2,
        container={**SOUND, "resources": limits("1Gi", cpu="1")},
        objects=(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "budgeted"},
                "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "budgeted"}}},
            },
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "budgeted"},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "budgeted"},
                    "minReplicas": 2,
                    "maxReplicas": 3,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "900m"}},
                        }
                    ],
                },
            },
        ),
    ),
    KubeCase(
        "slow-start-allowed",
        uvicorn("slow_boot:app"),
        replicas=2,
        look_alike_of="probe-misconfigured",
        environment={"BOOT_SECONDS": "15"},
        container=SOUND,
    ),
    KubeCase("stranger", uvicorn("strangers.starlette_app:app"), listed=False, container=SOUND),
    KubeCase(
        "asked-for",
        ("sh", "-c", "true; python3 -c 'import serve, uvicorn; uvicorn.run(serve.app, host=\"0.0.0.0\", port=8000)'"),
        expect=frozenset({"single-process"}),
        annotations={"fastops.io/enable": "true"},
        container=SOUND,
    ),
)
