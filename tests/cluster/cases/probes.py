"""probe-failing, probe-misconfigured, probe-missing, and addresses and ports that do not meet."""

from __future__ import annotations

from tests.cluster.case import Happened, KubeCase, Pods, Restarted
from tests.cluster.manifests import http, limits
from tests.lab.case import Logged, gunicorn, ids, uvicorn

from .sound import SOUND

LISTENING = Logged("Application startup complete.")
LIMITED = {"resources": limits("1Gi")}
PROMPT = {**LIMITED, "readinessProbe": http(), "livenessProbe": http()}  # nothing waits for a slow start
ALONE = ids("single-process")

CASES = (
    KubeCase(
        "readiness-path",
        gunicorn("healthy:app"),
        expect=ids("probe-misconfigured"),
        until=(Happened("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404"),),
        container={**SOUND, "readinessProbe": http("/healthz")},
    ),
    KubeCase(
        "readiness-port",
        gunicorn("healthy:app"),
        expect=ids("probe-misconfigured"),
        until=(Happened("Unhealthy", "connect: connection refused", times=3),),
        container={**SOUND, "readinessProbe": http(port=8080)},
    ),
    KubeCase(
        "readiness-scheme",
        gunicorn("healthy:app"),
        expect=ids("probe-misconfigured"),
        until=(Happened("Unhealthy", "server gave HTTP response to HTTPS client"),),
        container={
            **SOUND,
            "readinessProbe": {
                "httpGet": {"path": "/health", "port": 8000, "scheme": "HTTPS"},
                "periodSeconds": 2,
            },
        },
    ),
    # The service says no for a reason of its own: the probe is right.
    KubeCase(
        "readiness-says-no",
        gunicorn("dependent:app"),
        expect=ids("probe-failing"),
        allow=ids("db-unreachable"),
        until=(Happened("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", times=3),),
        container={**SOUND, "readinessProbe": http("/ready")},
    ),
    KubeCase(
        "liveness-impatient",
        gunicorn("healthy:app"),
        expect=ids("probe-misconfigured"),
        allow=ids("crash-loop"),
        until=(Happened("Unhealthy", "Liveness probe failed"), Happened("Killing", "failed liveness probe")),
        container={
            **SOUND,
            "livenessProbe": http("/slow?seconds=3", timeoutSeconds=1, failureThreshold=2),
        },
    ),
    KubeCase(
        "slow-start",
        uvicorn("slow_boot:app"),
        expect=ids("probe-misconfigured"),
        allow=ALONE | ids("startup-stalled", "crash-loop"),
        environment={"BOOT_SECONDS": "40"},
        up=None,
        until=(Happened("Killing", "failed liveness probe"), Restarted(2)),
        container=PROMPT,
    ),
    KubeCase("no-probes", gunicorn("healthy:app"), expect=ids("probe-missing"), container=LIMITED),
    KubeCase(
        "service-port",
        gunicorn("healthy:app"),
        expect=ids("port-mismatch"),
        objects=(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "service-port"},
                "spec": {"selector": {"app": "service-port"}, "ports": [{"port": 80, "targetPort": 8080}]},
            },
        ),
        container=SOUND,
    ),
    KubeCase(
        "loopback-probed",
        ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "healthy:app"),
        expect=ids("bind-loopback"),
        allow=ids("probe-misconfigured", "crash-loop"),
        up=LISTENING,
        until=(Pods(ready=False), Happened("Unhealthy", "connect: connection refused")),
        container={**LIMITED, "readinessProbe": http()},
    ),
)
