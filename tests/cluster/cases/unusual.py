"""Pods that are put together in an unusual way and are well, one that merely waits, and one with a sick neighbour."""

from __future__ import annotations

from tests.cluster.case import Condition, KubeCase, Patch, Pods, Waits
from tests.lab.case import gunicorn, ids, uvicorn

from .sound import SOUND
from .starting import ALONE

IDLE = ["python3", "-c", "import time; time.sleep(100000)"]

CASES = (
    KubeCase(
        "with-native-sidecar",
        gunicorn("healthy:app"),
        look_alike_of="startup-stalled",
        pod={"initContainers": [{"name": "agent", "command": IDLE, "restartPolicy": "Always"}]},
        container=SOUND,
    ),
    KubeCase(
        "initialised",
        gunicorn("healthy:app"),
        look_alike_of="startup-stalled",
        pod={"initContainers": [{"name": "migrate", "command": ["python3", "-c", "print('nothing to migrate')"]}]},
        container=SOUND,
    ),
    # Ten minutes of it are a finding: until then nobody can tell it from a long migration.
    KubeCase(
        "waits-for-database",
        gunicorn("healthy:app"),
        allow=ALONE,
        look_alike_of="startup-stalled",
        up=None,
        until=(Pods(phase="Pending", ready=False), Waits(("PodInitializing",))),
        pod={"initContainers": [{"name": "wait", "command": IDLE}]},
        container=SOUND,
    ),
    # Somebody looks at half of a rollout, or prepares the next one.
    KubeCase(
        "paused",
        uvicorn("healthy:app"),
        replicas=2,
        drive=(
            Pods(count=2, ready=True),
            Patch({"spec": {"paused": True, "template": {"metadata": {"annotations": {"shop/next": "1"}}}}}),
        ),
        until=(Condition("Progressing", "Unknown", "DeploymentPaused"),),
        container=SOUND,
    ),
    KubeCase(
        "neighbour-crashing",
        gunicorn("healthy:app"),
        expect=ids("crash-loop"),
        until=(Waits(("CrashLoopBackOff",)),),
        beside=({"name": "agent", "command": ["python3", "-c", "raise SystemExit('no configuration')"]},),
        container=SOUND,
    ),
)
