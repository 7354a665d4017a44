"""Raises the CPU limit of a container.

What it does: writes a new limit into the pods' description, which is then rolled out. The default is the largest of
1.5 × the present limit and what the service would have used: the CPU that it did use, and the time for which it was
held back. Rounded up to a tenth of a core. What is reserved (the request) stays, unless request and limit are the same
on purpose (the class Guaranteed): then both rise.

When it is right: the kernel stops the service in a large part of its periods while it has work (``cpu-throttled``).

When it is not: one process with one event loop uses one core at most. Above that a higher limit helps only what runs
beside the loop (threads, several workers); more replicas help in its place.

Risk: the pods are replaced, one after the other. A node whose pods may use more than it has slows down all of them.

Guard: never more than the largest node, or the namespace's LimitRange or quota, allows. Where an autoscaler's
percentages move with what is requested, that is said. Where a VerticalPodAutoscaler owns the limits, or Helm, Argo CD
or Flux the object, the patch is written into a file instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _facts
from probes.base import Value
from probes.intent import Desired, Intent
from probes.model import Deployment, Node

LEAST_CORES = 0.1
ABOVE_LIMIT = 1.5


def _limit(deployment: Deployment) -> float | None:
    limits = [r.cpu.limit.value for r in deployment.replicas if r.cpu.limit.limited and r.cpu.limit.value]
    return min(limits, default=None)


def _why_not(deployment: Deployment, _finding: Finding) -> str | None:
    if _limit(deployment) is None:
        return "No CPU limit of it is known, so there is none to raise."
    return None


def _parameters(deployment: Deployment, _finding: Finding, node: Node | None) -> tuple[Parameter, ...]:
    limit = _limit(deployment) or LEAST_CORES
    wanted = [
        r.cpu.used_cores + (r.cpu.throttled_time_ratio or 0.0)
        for r in deployment.running
        if r.cpu.used_cores is not None
    ]
    most = float(node.cpus) if node is not None and node.cpus else None
    advised = _up(max(ABOVE_LIMIT * limit, *wanted, LEAST_CORES))
    default = advised if most is None else max(LEAST_CORES, min(advised, most))
    return (Parameter("limit", "CPU limit", default, "cores", minimum=LEAST_CORES, maximum=most),)


def _up(cores: float) -> float:
    """Rounded up to a tenth; what float arithmetic adds to a tenth is no reason for another one."""
    return math.ceil(round(cores * 10, 6)) / 10


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Desired(cpu_limit_cores=float(values["limit"]))


def _cautions(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = []
    limit, wanted = _limit(deployment), float(values["limit"])
    if limit is not None and wanted < limit:
        said.append(f"This lowers the limit from {limit:g} to {wanted:g} cores.")
    if limit is not None and limit >= 1 and _facts.worker_count(deployment) == 1:
        said.append("One process with one event loop uses one core at most: more replicas may help more.")
    return tuple(said)


REMEDY = Remedy(
    id=RemedyId("set-cpu-limit"),
    title="Raise the CPU limit",
    capability="cpu-limit",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
)
