"""image-pull-failed, container-cannot-start, pod-unschedulable, crash-loop: pods that never come up, and rollouts."""

from __future__ import annotations

from tests.cluster.case import Condition, Ended, Happened, KubeCase, Patch, Pods, Restarted, Waits
from tests.cluster.manifests import CONTAINER, limits
from tests.lab.case import gunicorn, ids, uvicorn

from .sound import SOUND

NO_SUCH_IMAGE = "registry.invalid/shop:2.0"
PULL_FAILED = Waits(("ErrImagePull", "ImagePullBackOff"))
ALONE = ids("single-process")  # whether a lone process that never started counts as single is left open


def revision(**container: object) -> Patch:
    """A new revision in which the container differs like this."""
    return Patch({"spec": {"template": {"spec": {"containers": [{"name": CONTAINER, **container}]}}}})


CASES = (
    KubeCase(
        "wrong-image",
        gunicorn("healthy:app"),
        expect=ids("image-pull-failed"),
        up=None,
        until=(PULL_FAILED, Happened("Failed", "Failed to pull image")),
        container={**SOUND, "image": NO_SUCH_IMAGE},
    ),
    KubeCase(
        "missing-key",
        gunicorn("healthy:app"),
        expect=ids("container-cannot-start"),
        up=None,
        until=(Waits(("CreateContainerConfigError",)), Happened("Failed", "couldn't find key")),
        objects=({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop"}, "data": {"PAGE_SIZE": "20"}},),
        container={
            **SOUND,
            "env": [
                {"name": "DATABASE_URL", "valueFrom": {"configMapKeyRef": {"name": "shop", "key": "DATABASE_URL"}}}
            ],
        },
    ),
    KubeCase(
        "missing-secret",
        gunicorn("healthy:app"),
        expect=ids("container-cannot-start"),
        up=None,
        until=(Waits(("CreateContainerConfigError",)), Happened("Failed", "not found")),
        container={**SOUND, "envFrom": [{"secretRef": {"name": "never-made"}}]},
    ),
    KubeCase(
        "no-such-command",
        ("/opt/gone/uvicorn", "healthy:app"),
        expect=ids("container-cannot-start"),
        allow=ids("crash-loop") | ALONE,
        up=None,
        until=(Ended(reason="StartError", exit_code=128),),
        container=SOUND,
    ),
    KubeCase(
        "too-large",
        gunicorn("healthy:app"),
        expect=ids("pod-unschedulable"),
        up=None,
        until=(Pods(phase="Pending", reason="Unschedulable"), Happened("FailedScheduling", "Insufficient memory")),
        container={**SOUND, "resources": {"requests": {"memory": "500Gi"}, "limits": {"memory": "500Gi"}}},
    ),
    KubeCase(
        "over-quota",
        gunicorn("healthy:app"),
        expect=ids("pod-unschedulable"),
        up=None,
        until=(Happened("FailedCreate", "exceeded quota"), Condition("ReplicaFailure", reason="FailedCreate")),
        objects=(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "small"},
                "spec": {"hard": {"limits.memory": "256Mi"}},
            },
        ),
        container=SOUND,
        apart=True,
    ),
    KubeCase(
        "crashing",
        gunicorn("broken_import:app"),
        expect=ids("crash-loop", "worker-boot-failed"),
        up=None,
        until=(Waits(("CrashLoopBackOff",)), Restarted(2)),
        container=SOUND,
    ),
    KubeCase(
        "crashing-before",
        gunicorn("healthy:app"),
        expect=ids("crash-loop"),
        up=None,
        until=(Waits(("CrashLoopBackOff",)),),
        pod={
            "initContainers": [
                {
                    "name": "migrate",
                    "command": ["python3", "-c", "raise SystemExit('the database is not migrated')"],
                }
            ]
        },
        container=SOUND,
    ),
    # The old pods serve on: only the rollout fails.
    KubeCase(
        "stuck-rollout",
        uvicorn("healthy:app"),
        expect=ids("image-pull-failed"),
        replicas=2,
        drive=(Pods(count=2, ready=True), revision(image=NO_SUCH_IMAGE)),
        until=(PULL_FAILED, Condition("Progressing", "False", "ProgressDeadlineExceeded")),
        spec={"progressDeadlineSeconds": 15},
        container=SOUND,
    ),
    # Three revisions, and the last one does not boot: the one before it is what to go back to.
    KubeCase(
        "bad-revision",
        gunicorn("healthy:app"),
        expect=ids("worker-boot-failed"),
        allow=ids("crash-loop"),
        drive=(
            Pods(ready=True),
            revision(resources=limits("1200Mi")),
            Condition("Progressing", reason="NewReplicaSetAvailable"),
            revision(command=list(gunicorn("broken_import:app"))),
        ),
        until=(Restarted(1),),
        container=SOUND,
    ),
    KubeCase(
        "lone-starting",
        uvicorn("slow_boot:app"),
        allow=ALONE | ids("startup-stalled"),
        look_alike_of="crash-loop",
        environment={"BOOT_SECONDS": "600"},
        up=Pods(phase="Running", ready=False),
        container={**SOUND, "startupProbe": {"httpGet": {"path": "/health", "port": 8000}, "failureThreshold": 300}},
    ),
)
