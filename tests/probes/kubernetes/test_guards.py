"""What a person is told, or refused, before a workload is changed: budgets, autoscalers, strategies, volumes."""

from __future__ import annotations

from typing import Any

import pytest

from probes.orchestrator import Autoscaler, DisruptionBudget, Orchestrated
from probes.target import Refused
from probes.targets.kubernetes.guards import rollout_notes, scale_notes, surge_of
from tests.probes.kubernetes._objects import workload


def of(kind: str = "Deployment", **spec: Any) -> dict[str, Any]:
    made = workload(kind=kind)
    made["spec"] = {**made["spec"], **spec}
    return made


def under(allowed: int | None) -> Orchestrated:
    return Orchestrated(disruption=DisruptionBudget("web-pdb", allowed))


AWAY = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}


def test_a_budget_that_allows_nothing_is_named_before_pods_are_away_and_before_scaling_down() -> None:
    (said,) = rollout_notes(of(strategy=AWAY), under(0))
    assert "web-pdb allows no disruption now, and a rollout does not ask it" in said
    assert "lets 1 pod be away at a time" in said
    assert rollout_notes(of(strategy=AWAY), under(1)) == ()
    assert rollout_notes(of(strategy=AWAY), None) == ()
    assert rollout_notes(of(), under(0)) == (), "one pod more comes first, none is away"
    (said,) = rollout_notes(of("StatefulSet", updateStrategy={"type": "OnDelete"}), under(0))
    assert "web-pdb" not in said, "no pod goes"
    (said,) = scale_notes(of(replicas=3), under(0), 2)
    assert "web-pdb does not hold for scaling down" in said
    assert scale_notes(of(replicas=3), under(0), 4) == ()


def test_an_autoscaler_is_not_worked_against() -> None:
    with pytest.raises(Refused, match=r"HorizontalPodAutoscaler web decides the number of replicas \(2 to 9\)"):
        scale_notes(of(), Orchestrated(autoscaler=Autoscaler("web", 2, 9)), 4)


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (of(paused=True), "Its rollout is paused"),
        (of("StatefulSet", updateStrategy={"type": "OnDelete"}), "OnDelete"),
        (of("DaemonSet", updateStrategy={"type": "OnDelete"}), "OnDelete"),
        (of(strategy={"type": "Recreate"}), "nobody answers between the old pods and the new ones"),
    ],
    ids=["paused", "on delete", "a daemon set's", "recreate"],
)
def test_a_rollout_that_goes_another_way_than_one_after_the_other_says_so(thing: dict[str, Any], said: str) -> None:
    (note,) = rollout_notes(thing, None)
    assert said in note


def test_a_claim_that_replicas_would_share_is_named() -> None:
    thing = of()
    thing["spec"]["template"]["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    (said,) = scale_notes(thing, None, 2)
    assert "share the claim data" in said
    assert scale_notes(thing, None, 1) == ()


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (of(replicas=4), (1, 1)),
        (of(replicas=1), (1, 0)),
        (of(replicas=10, strategy={"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}), (3, 2)),
        (of(replicas=3, strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}), (0, 1)),
        (of(replicas=3, strategy={"type": "Recreate"}), (0, 3)),
        (of("StatefulSet", replicas=3), (0, 1)),
    ],
)
def test_how_many_pods_more_and_fewer_a_rollout_runs_is_kubernetes_own_sum(
    thing: dict[str, Any], expected: tuple[int, int]
) -> None:
    assert surge_of(thing) == expected
