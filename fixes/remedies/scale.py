"""Runs more replicas.

What it does: sets the number of replicas of the workload, by default one more, two at least.

When it is right: one replica serves everything, so that its restart is an outage; or all of them are busy. FastAPI's
own advice on Kubernetes is one process per container, and several containers.

When it is not: a HorizontalPodAutoscaler decides the number (change its bounds); a database whose connections are used
up, since every replica opens a pool of its own.

Risk: none to requests while the number rises. What was kept in one process (caches, sessions, rate limits) is then kept
per replica, and a scheduler runs in each.

Guard: the deployment's name must be typed where one replica becomes several and a scheduler, SQLite or Socket.IO is
loaded. Refused beside an autoscaler; quotas and volumes that only one node can mount are named.
"""

from __future__ import annotations

from collections.abc import Mapping

from fixes.model import Finding, Parameter, Remedy, RemedyId
from fixes.remedies import _several
from probes.base import Value
from probes.intent import Intent, Scale
from probes.model import Deployment, Node

LEAST = 2
MOST = 1000


def _now(deployment: Deployment) -> int:
    return deployment.desired if deployment.desired is not None else len(deployment.running)


def _why_not(deployment: Deployment, _finding: Finding) -> str | None:
    scaler = deployment.orchestrated.autoscaler if deployment.orchestrated is not None else None
    if scaler is not None:
        return (
            f"The HorizontalPodAutoscaler {scaler.name} decides the number of replicas "
            f"({scaler.minimum} to {scaler.maximum}): change its bounds."
        )
    return None


def _parameters(deployment: Deployment, _finding: Finding, _node: Node | None) -> tuple[Parameter, ...]:
    default = max(LEAST, _now(deployment) + 1)
    return (Parameter("replicas", "Replicas", default, minimum=1, maximum=max(MOST, default)),)


def _intend(_deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> Intent:
    return Scale(int(values["replicas"]))


def _cautions(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> tuple[str, ...]:
    said = []
    now, wanted = _now(deployment), int(values["replicas"])
    if wanted < now:
        said.append(f"This lowers the number of replicas from {now} to {wanted}.")
    if wanted > now and deployment.drivers:
        drivers = ", ".join(deployment.drivers)
        said.append(f"Each replica opens its own database pool ({drivers}): the connections rise by {wanted}/{now}.")
    if now <= 1 < wanted:
        said += _several.objections(deployment, replicas=True)
    return tuple(said)


def _confirm(deployment: Deployment, _finding: Finding, values: Mapping[str, Value]) -> str | None:
    if _now(deployment) <= 1 < int(values["replicas"]):
        return " ".join(_several.objections(deployment, replicas=True)) or None
    return None


REMEDY = Remedy(
    id=RemedyId("scale"),
    title="Run more replicas",
    capability="scale",
    why_not=_why_not,
    parameters=_parameters,
    intend=_intend,
    cautions=_cautions,
    confirm=_confirm,
)
