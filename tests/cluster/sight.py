"""Whether a fact of Kubernetes is to be seen in the objects of a workload: pure, but for the kubelet's counters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .api import Api
from .case import Condition, Ended, Event, Happened, Pods, Replaced, Restarted, Waits
from .manifests import CONTAINER


@dataclass(frozen=True)
class Sight:
    """What the API server says about a workload now; events are fetched when a fact needs them."""

    api: Api
    workload: dict[str, Any]
    pods: list[dict[str, Any]]
    events: Callable[[], list[dict[str, Any]]]
    first_pods: frozenset[str]

    def containers(self) -> Iterator[dict[str, Any]]:
        """The status of each container, those of initialisation first."""
        for pod in self.pods:
            yield from pod["status"].get("initContainerStatuses", [])
            yield from pod["status"].get("containerStatuses", [])


def shows(fact: Event, sight: Sight) -> bool:
    """Whether the fact is there."""
    if isinstance(fact, Waits):
        return any(item["state"].get("waiting", {}).get("reason") in fact.reasons for item in sight.containers())
    if isinstance(fact, Ended):
        return any(_ended(fact, item) for item in sight.containers())
    if isinstance(fact, Restarted):
        return any(
            item["restartCount"] >= fact.times and (not fact.running or "running" in item["state"])
            for item in sight.containers()
        )
    if isinstance(fact, Happened):
        return sum(_times(event) for event in sight.events() if _is(fact, event)) >= fact.times
    if isinstance(fact, Pods):
        return sum(_matches(fact, pod) for pod in sight.pods) >= fact.count
    if isinstance(fact, Condition):
        return any(
            (item["type"], item["status"]) == (fact.type, fact.status) and fact.reason in (None, item.get("reason"))
            for item in sight.workload["status"].get("conditions", [])
        )
    if isinstance(fact, Replaced):
        return _replaced(sight)
    return any(_counted(sight.api, pod, fact.metric) >= fact.at_least for pod in sight.pods)


def _ended(fact: Ended, container: dict[str, Any]) -> bool:
    ends = [state["terminated"] for state in (container["state"], container["lastState"]) if "terminated" in state]
    return any(fact.reason in (None, end.get("reason")) and fact.exit_code in (None, end["exitCode"]) for end in ends)


def _is(fact: Happened, event: dict[str, Any]) -> bool:
    return event["reason"] == fact.reason and fact.text in event.get("message", "")


def _times(event: dict[str, Any]) -> int:
    return int(event.get("count") or (event.get("series") or {}).get("count") or 1)


def _matches(fact: Pods, pod: dict[str, Any]) -> bool:
    status = pod["status"]
    return (
        fact.phase in (None, status.get("phase"))
        and fact.reason in (None, status.get("reason"), _condition(pod, "PodScheduled").get("reason"))
        and fact.ready in (None, _is_ready(pod))
    )


def _condition(pod: dict[str, Any], kind: str) -> dict[str, Any]:
    found = [item for item in pod["status"].get("conditions", []) if item["type"] == kind]
    return found[0] if found else {}


def _is_ready(pod: dict[str, Any]) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def _replaced(sight: Sight) -> bool:
    uids = {pod["metadata"]["uid"] for pod in sight.pods}
    return not uids & sight.first_pods and sum(map(_is_ready, sight.pods)) >= len(sight.first_pods)


def _counted(api: Api, pod: dict[str, Any], metric: str) -> float:
    """What cAdvisor measures of the pod's container; 0 when it has not measured it."""
    node, name = pod["spec"].get("nodeName"), pod["metadata"]["name"]
    if node is None:
        return 0.0
    counters = api.text(f"/api/v1/nodes/{node}/proxy/metrics/cadvisor")
    line = rf'^{metric}{{container="{CONTAINER}",[^}}]*pod="{name}"}} (\S+)'
    return sum(float(value) for value in re.findall(line, counters, re.MULTILINE))
