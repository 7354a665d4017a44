"""Memory, processor, disk, and what stands in the clear."""

from __future__ import annotations

from tests.cluster.case import Counted, Happened, KubeCase, Pods
from tests.cluster.manifests import PATIENT, PROBED, http, limits
from tests.lab.case import Load, gunicorn, ids, uvicorn

from .sound import SOUND

SLOW = {**PATIENT, "readinessProbe": http(timeoutSeconds=20), "livenessProbe": http(timeoutSeconds=30)}

CASES = (
    KubeCase(
        "no-limits",
        gunicorn("healthy:app"),
        expect=ids("memory-unlimited"),
        container=PROBED,
    ),
    # A LimitRange sets what the manifest left out: the pods are not without a limit.
    KubeCase(
        "limited-by-namespace",
        gunicorn("healthy:app"),
        look_alike_of="memory-unlimited",
        objects=(
            {
                "apiVersion": "v1",
                "kind": "LimitRange",
                "metadata": {"name": "default"},
                "spec": {"limits": [{"type": "Container", "default": {"memory": "1Gi"}}]},
            },
        ),
        container=PROBED,
        apart=True,
    ),
    KubeCase(
        "near-limit",
        uvicorn("memory:app"),
        expect=ids("memory-near-limit"),
        allow=ids("single-process", "memory-leak"),
        drive=(
            Pods(ready=True),
            Load("/grow?mb=550", every_seconds=3600, in_flight=1),
        ),
        until=(Counted("container_memory_working_set_bytes", 0.91 * 600 * 2**20),),
        observe_seconds=60,
        container={**SOUND, "resources": limits("600Mi")},
    ),
    KubeCase(
        "cpu-starved",
        gunicorn("cpu:app"),
        expect=ids("cpu-throttled"),
        allow=ids("probe-misconfigured", "probe-failing", "crash-loop", "worker-timeout"),
        look_alike_of="event-loop-blocked",
        drive=(
            Pods(ready=True),
            Load("/digest", every_seconds=0.5),
        ),
        until=(Counted("container_cpu_cfs_throttled_periods_total", 30),),
        container={**SLOW, "resources": limits("1Gi", cpu="100m")},
    ),
    KubeCase(
        "cpu-at-ease",
        gunicorn("cpu:app"),
        look_alike_of="cpu-throttled",
        container={**SLOW, "resources": limits("1Gi", cpu="1")},
    ),
    KubeCase(
        "secret-in-the-clear",
        gunicorn("healthy:app"),
        expect=ids("plaintext-secret"),
        environment={"DATABASE_URL": "postgresql://shop:hunter2-of-the-lab@db.internal:5432/shop", "PAGE_SIZE": "20"},
        container=SOUND,
    ),
    KubeCase(
        "secret-kept",
        gunicorn("healthy:app"),
        look_alike_of="plaintext-secret",
        objects=(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "shop"},
                "stringData": {"DATABASE_URL": "postgresql://shop:hunter2-of-the-lab@db.internal:5432/shop"},
            },
        ),
        container={
            **SOUND,
            "env": [{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "DATABASE_URL"}}}],
        },
    ),
    # The kubelet looks every ten seconds or so; the pods that it evicts stay as objects. This one has to be killed.
    KubeCase(
        "evicted",
        ("sh", "-c", f"{' '.join(gunicorn('memory:app'))}; true"),
        expect=ids("disk-full"),
        environment={"FILE_MB": "400"},
        until=(Pods(phase="Failed", reason="Evicted"), Happened("Evicted", "ephemeral")),
        container={**SOUND, "resources": limits("1Gi", storage="60Mi")},
    ),
    # What ends with 0 when it is evicted is called completed: only the event remembers.
    KubeCase(
        "evicted-for-scratch",
        gunicorn("memory:app"),
        expect=ids("disk-full"),
        environment={"FILE_MB": "400"},
        until=(Pods(phase="Succeeded"), Happened("Evicted", "EmptyDir")),
        pod={"volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "60Mi"}}]},
        container={**SOUND, "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}]},
    ),
)
