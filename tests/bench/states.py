"""The statuses that kubelets would have written: most pods run, some are in the troubles that pods are in. Pure."""

from __future__ import annotations

import random

from .company import NOWHERE, Json, stamp

_STATES = {"running": 92, "crashloop": 2, "oomkilled": 2, "imagepull": 2, "pending": 2}
"""In percent."""


def draw(rng: random.Random) -> str:
    """A state, as often as it is usual."""
    return rng.choices(list(_STATES), list(_STATES.values()))[0]


def status(rng: random.Random, state: str, name: str, image: str, number: int) -> Json:
    """The status of a pod in this state."""
    began = stamp(rng)
    ready = state in {"running", "oomkilled"}
    if state == "pending":
        why = "0/12 nodes are available: 12 Insufficient memory."
        waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
        return {"phase": "Pending", "conditions": [waits | {"lastTransitionTime": began}]}
    container: Json = {
        "name": "app",
        "image": image,
        "imageID": "" if state == "imagepull" else f"app@sha256:{rng.getrandbits(256):064x}",
        "containerID": "" if state == "imagepull" else f"containerd://{rng.getrandbits(256):064x}",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": {"running": {"startedAt": began}},
        "lastState": {},
    }
    over = {"startedAt": began, "finishedAt": stamp(rng), "containerID": container["containerID"]}
    if state == "oomkilled":
        container["lastState"] = {"terminated": over | {"exitCode": 137, "reason": "OOMKilled"}}
        container["restartCount"] = rng.randrange(1, 40)
    elif state == "crashloop":
        container["lastState"] = {"terminated": over | {"exitCode": rng.choice([1, 3, 137]), "reason": "Error"}}
        container["restartCount"] = rng.randrange(5, 900)
        why = f"back-off 5m0s restarting failed container=app pod={name}"
        container["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": why}}
    elif state == "imagepull":
        why = f'Back-off pulling image "{image}": not found'
        container["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": why}}
    conditions = {
        "PodReadyToStartContainers": True,
        "Initialized": True,
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": True,
    }
    return {
        "phase": "Pending" if state == "imagepull" else "Running",
        "conditions": [
            {"type": t, "status": str(is_so), "lastTransitionTime": began} for t, is_so in conditions.items()
        ],
        "startTime": began,
        "hostIP": f"{NOWHERE}.20.0.1",
        "podIP": f"{NOWHERE}.244.{number >> 8 & 255}.{number & 255}",
        "qosClass": "Burstable",
        "containerStatuses": [container],
    }
