"""What a change of requests means to a HorizontalPodAutoscaler: its percentages are of what is requested. Pure.

kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale (algorithm details): utilization is the
usage of the pods divided by their requests.
"""

from __future__ import annotations

from typing import Any

from probes import text
from probes.targets.kubernetes import resources
from probes.targets.kubernetes.allowances import RESOURCES, plain
from probes.targets.kubernetes.kinds import template_of

Json = dict[str, Any]


def moves(before: Json, after: Json) -> bool:
    """Whether what a pod requests changes."""
    return any(_requested(before, what, None) != _requested(after, what, None) for what in RESOURCES)


def notes(before: Json, after: Json, scaler: Json) -> tuple[str, ...]:
    """One sentence for each target of the autoscaler that stands for another amount afterwards."""
    name = text.clean(str(scaler["metadata"]["name"]), 200)
    found = []
    for metric in (scaler.get("spec") or {}).get("metrics") or []:
        kind = str(metric.get("type") or "")
        source = metric.get("containerResource" if kind == "ContainerResource" else "resource") or {}
        what, percent = str(source.get("name")), (source.get("target") or {}).get("averageUtilization")
        if what not in RESOURCES or not isinstance(percent, int):
            continue
        old, new = (_requested(one, what, source.get("container")) for one in (before, after))
        if old != new:
            was = f" instead of {plain(what, old * percent / 100)}" if old else ""
            fewer = "" if not old else f", so that it wants {'fewer' if new > old else 'more'} replicas"
            words = "CPU" if what == "cpu" else what
            found.append(
                f"The HorizontalPodAutoscaler {name} aims at {percent} % of the {words} that is requested: that is "
                f"{plain(what, new * percent / 100)} of each pod{was}{fewer}."
            )
    return tuple(found)


def _requested(thing: Json, what: str, container: object) -> float:
    """What a pod requests, or one container of it; 0 where that is nothing."""
    every = template_of(thing)["spec"]["containers"]
    chosen = [one for one in every if container is None or one["name"] == container]
    return sum(resources.request(one, what) or 0.0 for one in chosen)
