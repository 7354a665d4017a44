from __future__ import annotations

from typing import Any, cast

import pytest

from tests.cluster.api import Api
from tests.cluster.case import Condition, Ended, Event, Happened, Pods, Replaced, Restarted, Waits
from tests.cluster.sight import Sight, shows

OOM = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}


def status(state: dict[str, Any], last: dict[str, Any] | None = None, restarts: int = 0) -> dict[str, Any]:
    return {"state": state, "lastState": last or {}, "restartCount": restarts}


def pod(*containers: dict[str, Any], uid: str = "a", ready: str = "False", **more: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}, *more.pop("conditions", [])]
    return {
        "metadata": {"uid": uid},
        "status": {"containerStatuses": list(containers), "conditions": conditions, **more},
    }


def sight(*pods: dict[str, Any], events: list[dict[str, Any]] | None = None, first: str = "", **workload: Any) -> Sight:
    return Sight(cast("Api", None), {"status": workload}, list(pods), lambda: events or [], frozenset(first))


PULL = {"reason": "Failed", "message": "Failed to pull image x", "count": 3}


@pytest.mark.parametrize(
    ("fact", "seen", "there"),
    [
        (
            Waits(("ErrImagePull", "ImagePullBackOff")),
            sight(pod(status({"waiting": {"reason": "ErrImagePull"}}))),
            True,
        ),
        (Waits(("ErrImagePull",)), sight(pod(status({"waiting": {"reason": "ContainerCreating"}}))), False),
        (Ended("OOMKilled", 137), sight(pod(status({"running": {}}, OOM, 1))), True),
        (Ended("OOMKilled"), sight(pod(status({"terminated": {"reason": "Error", "exitCode": 137}}))), False),
        (Ended(), sight(pod(status({"running": {}}))), False),
        (Restarted(1, running=True), sight(pod(status({"running": {}}, OOM, 1))), True),
        (Restarted(1, running=True), sight(pod(status(OOM, OOM, 1))), False),
        (Happened("Failed", "pull image", times=3), sight(events=[PULL]), True),
        (Happened("Failed", "pull image", times=4), sight(events=[PULL]), False),
        (Pods(phase="Failed", reason="Evicted"), sight(pod(phase="Failed", reason="Evicted")), True),
        (Pods(count=2, ready=True), sight(pod(ready="True"), pod(ready="False")), False),
        (
            Pods(phase="Pending", reason="Unschedulable"),
            sight(pod(phase="Pending", conditions=[{"type": "PodScheduled", "reason": "Unschedulable"}])),
            True,
        ),
        (
            Condition("Progressing", "False", "ProgressDeadlineExceeded"),
            sight(conditions=[{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]),
            True,
        ),
        (Condition("ReplicaFailure"), sight(), False),
        (Replaced(), sight(pod(uid="b", ready="True"), first="a"), True),
        (Replaced(), sight(pod(uid="a", ready="True"), pod(uid="b", ready="True"), first="a"), False),
        (Replaced(), sight(pod(uid="b"), first="a"), False),
    ],
)
def test_a_fact_is_there_when_the_objects_say_so(fact: Event, seen: Sight, there: bool) -> None:
    assert shows(fact, seen) is there
