"""What a namespace allows is told with its figures, and what does not concern a service's pods is not."""

from __future__ import annotations

from typing import Any

import pytest

from probes.target import Refused
from probes.targets.kubernetes.allowances import quota_notes, range_notes, refuse_beyond_quotas, refuse_beyond_ranges
from probes.targets.kubernetes.kinds import template_of
from probes.targets.kubernetes.scaling import moves, notes
from tests.probes.kubernetes._objects import container, workload

Json = dict[str, Any]


def quota(used: str, hard: str, key: str = "limits.memory", **spec: Any) -> Json:
    return {
        "metadata": {"name": "tight"},
        "spec": {"hard": {key: hard}, **spec},
        "status": {"used": {key: used}, "hard": {key: hard}},
    }


def limited(memory: str, **changes: Any) -> Json:
    return workload(resources={"limits": {"memory": memory}}, **changes)


def ranges(**item: Any) -> list[Json]:
    return [{"metadata": {"name": "small"}, "spec": {"limits": [{"type": "Container", **item}]}}]


def test_all_pods_of_the_new_template_have_to_fit_in_place_of_the_former() -> None:
    before, after = limited("300Mi"), limited("512Mi")
    refuse_beyond_quotas(before, after, [], [quota("600Mi", "1Gi")])
    with pytest.raises(Refused) as refused:
        refuse_beyond_quotas(before, after, [], [quota("700Mi", "1Gi")])
    assert str(refused.value) == (
        "The ResourceQuota tight allows 1Gi of limits.memory, of which 700Mi are used: "
        "2 pods of the new template would take 1Gi in place of 600Mi."
    )


def test_a_template_that_takes_no_more_is_never_refused_for_a_quota() -> None:
    refuse_beyond_quotas(limited("300Mi"), limited("300Mi"), [], [quota("2Gi", "1Gi")])
    refuse_beyond_quotas(limited("300Mi"), limited("200Mi"), [], [quota("2Gi", "1Gi")])


def test_what_a_range_gave_the_running_pods_is_in_use_and_given_back() -> None:
    bare = workload(resources={})
    pod = {"kind": "Pod", "metadata": {"name": "web-1"}, "spec": template_of(limited("256Mi"))["spec"]}
    refuse_beyond_quotas(bare, limited("400Mi"), [pod, pod], [quota("512Mi", "900Mi")])
    refuse_beyond_quotas(bare, limited("200Mi"), [pod, pod], [quota("512Mi", "400Mi")])
    with pytest.raises(Refused, match="2 pods of the new template would take 1000Mi in place of 512Mi"):
        refuse_beyond_quotas(bare, limited("500Mi"), [pod, pod], [quota("512Mi", "900Mi")])


@pytest.mark.parametrize(
    "other",
    [
        quota("1Gi", "1Gi", scopes=["BestEffort"]),
        quota("1Gi", "1Gi", scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass"}]}),
        quota("1", "1", key="services"),
        {"metadata": {"name": "new"}},
    ],
    ids=["for pods without limits", "for a class", "for something else", "not counted yet"],
)
def test_a_quota_for_other_things_is_none(other: Json) -> None:
    refuse_beyond_quotas(limited("300Mi"), limited("512Mi"), [], [other])
    assert quota_notes(limited("512Mi"), 1, [other]) == ()


def test_what_a_quota_leaves_is_told_with_what_is_used() -> None:
    assert quota_notes(limited("512Mi"), 2, [quota("700Mi", "1Gi")]) == (
        "The ResourceQuota tight leaves 324Mi of limits.memory (700Mi of 1Gi used); 2 more pods of it take 1Gi.",
    )
    assert quota_notes(limited("512Mi"), 1, [quota("512Mi", "1Gi", scopes=["NotTerminating"])]) == ()


def test_a_range_bounds_a_limit_by_what_is_reserved_too() -> None:
    app = container(resources={"limits": {"memory": "512Mi"}, "requests": {"memory": "64Mi"}})
    refuse_beyond_ranges(app, ranges(maxLimitRequestRatio={"memory": "8"}))
    with pytest.raises(Refused, match="limit of 4 times what is reserved: with 64Mi reserved that is 256Mi at most"):
        refuse_beyond_ranges(app, ranges(maxLimitRequestRatio={"memory": "4"}))


def test_what_a_range_gives_new_pods_is_told_unless_the_running_ones_have_it() -> None:
    given = ranges(default={"cpu": "500m", "memory": "1Gi"}, defaultRequest={"cpu": "20m"})
    thing = workload(resources={"requests": {"cpu": "10m"}, "limits": {"memory": "300Mi"}})
    running = {"spec": {"containers": [container()]}}
    (said,) = range_notes(thing, given, [running])
    assert said == (
        "The LimitRange small gives new pods what their description leaves out: a CPU limit of 500m for app."
    )
    has = {"spec": {"containers": [container(resources={"limits": {"cpu": "500m", "memory": "300Mi"}})]}}
    assert range_notes(thing, given, [has]) == ()
    assert range_notes(thing, given, [has, running]) == (said,), "one of them is older than the range"
    assert range_notes(thing, given, []) == (said,)


def test_a_percentage_of_one_container_moves_with_that_one_alone() -> None:
    def of(cpu: str) -> Json:
        return workload(
            {"name": "aside", "resources": {"requests": {"cpu": "50m"}}}, resources={"limits": {"cpu": cpu}}
        )

    def scaler(container: str) -> Json:
        target = {"type": "Utilization", "averageUtilization": 50}
        source = {"name": "cpu", "container": container, "target": target}
        metrics = [{"type": "ContainerResource", "containerResource": source}, {"type": "Pods", "pods": {}}]
        return {"metadata": {"name": "scales"}, "spec": {"metrics": metrics}}

    assert moves(of("400m"), of("200m"))
    assert not moves(of("400m"), of("400m"))
    (said,) = notes(of("400m"), of("200m"), scaler("app"))
    assert "100m of each pod instead of 200m, so that it wants more replicas" in said
    assert notes(of("400m"), of("200m"), scaler("aside")) == ()
