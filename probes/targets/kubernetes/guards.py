"""What stands in the way of a fix: owners, autoscalers, budgets. Pure.

A guard either refuses with one sentence or names what a person should know before saying yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from probes import text
from probes.model import Capability, DeploymentKind
from probes.orchestrator import Managed, Orchestrated
from probes.target import Refused
from probes.targets.kubernetes import apps
from probes.targets.kubernetes.kinds import template_of
from probes.targets.kubernetes.objects import Metadata

Json = dict[str, Any]
_ROLLS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_SCALES = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})
_TEMPLATE: tuple[Capability, ...] = (
    "gunicorn",
    "bind",
    "command",
    "probes",
    "environment",
    "variables",
    "secret",
    "restart",
)
KUBELET_ROTATES = "The kubelet rotates a pod's log by itself: 10 MiB and 5 files, or as the node's configuration says."
NO_NOFILE = "Kubernetes has no setting for open files: the container runtime of the node sets the limit."


def capabilities(kind: DeploymentKind, exec_refused: str | None = None) -> dict[Capability, str | None]:
    """What fixes can be made to a workload of this kind: ``None`` means yes, a sentence says why not.

    ``exec_refused``: why programs cannot be run in its pods (read-only mode, a missing right); ``None`` where they can.
    Who keeps an object (Helm, Argo CD, Flux) is no matter here: the fix is then offered as a file.
    """
    made: dict[Capability, str | None] = dict.fromkeys(_TEMPLATE)
    made |= {"memory-limit": None, "cpu-limit": None, "ports": None, "scale": None, "rollback": None}
    made |= {"nofile": NO_NOFILE, "log-rotation": KUBELET_ROTATES, "profile": exec_refused}
    if kind not in _ROLLS:
        said = _fixed(kind)
        made |= dict.fromkeys(_TEMPLATE, said)
        made["rollback"] = said
        if kind != "Pod":
            made["memory-limit"] = made["cpu-limit"] = said
    if kind not in _SCALES:
        made["scale"] = _not_scaled(kind)
    return made


def _fixed(kind: str) -> str:
    if kind == "Pod":
        return "A pod of its own cannot be changed but for its limits: make it by a Deployment."
    if kind == "Job":
        return "A job's template cannot be changed: make the job anew."
    return f"A {kind} does not replace its pods when its template changes: make it by a Deployment."


def _not_scaled(kind: str) -> str:
    if kind == "DaemonSet":
        return "A DaemonSet runs one pod on each of its nodes."
    return f"A {kind} has no number of replicas that could be changed."


def managed(thing: Json) -> Managed | None:
    """Who keeps an object as it is, by the marks that Helm, Argo CD and Flux leave on it."""
    metadata = msgspec.convert(thing["metadata"], type=Metadata)
    return apps.managed(metadata.labels or {}, metadata.annotations)


def owner_sentence(owner: Managed) -> str:
    """Why an object is not patched here."""
    who = {"helm": "the Helm release", "argocd": "the Argo CD application", "flux": "Flux' object"}[owner.by]
    then = {
        "helm": "the next upgrade would undo a change made here: put it into the chart's values or a post-renderer",
        "argocd": "its next sync would undo a change made here: put it into its repository",
        "flux": "its next reconciliation would undo a change made here: put it into its repository",
    }[owner.by]
    return f"It is kept by {who} {owner.name}; {then}. The patch is offered as a file."


def refuse_owned(thing: Json) -> None:
    """Raises :class:`Refused` for an object that another controller keeps."""
    owners = thing["metadata"].get("ownerReferences") or []
    owner = next((one for one in owners if one.get("controller")), None)
    if owner is not None:
        kind, name = text.clean(str(owner.get("kind")), 100), text.clean(str(owner.get("name")), 200)
        raise Refused(f"It belongs to {kind} {name}, which keeps it as it is: change that.")
    if thing["metadata"].get("deletionTimestamp"):
        raise Refused("It is being deleted.")


def scale_notes(thing: Json, around: Orchestrated | None, replicas: int) -> tuple[str, ...]:
    """What to know before scaling; raises :class:`Refused` where somebody else decides the number."""
    around = around or Orchestrated()
    scaler = around.autoscaler
    if scaler is not None:
        raise Refused(
            f"The HorizontalPodAutoscaler {scaler.name} decides the number of replicas "
            f"({scaler.minimum} to {scaler.maximum}): change its bounds."
        )
    said = []
    volumes = [v for v in template_of(thing)["spec"].get("volumes") or [] if v.get("persistentVolumeClaim")]
    if volumes and replicas > 1:
        claims = ", ".join(text.clean(str(v["persistentVolumeClaim"].get("claimName")), 100) for v in volumes)
        said.append(f"All replicas share the claim {claims}: one that is ReadWriteOnce is mounted on one node alone.")
    budget = around.disruption
    if budget is not None and replicas < int(thing["spec"].get("replicas", 1)):
        said.append(f"The PodDisruptionBudget {budget.name} does not hold for scaling down.")
    return tuple(said)


def rollout_notes(thing: Json, around: Orchestrated | None) -> tuple[str, ...]:
    """What to know before a template is changed."""
    said = []
    if thing["spec"].get("paused"):
        said.append("Its rollout is paused: nothing changes for running pods until it is resumed.")
    if by_hand(thing):
        said.append("Its update strategy is OnDelete: running pods keep their template until they are deleted.")
    if _recreates(thing):
        said.append("Its strategy is Recreate: nobody answers between the old pods and the new ones.")
    budget = (around or Orchestrated()).disruption
    fewer = 0 if thing["spec"].get("paused") or by_hand(thing) else surge_of(thing)[1]
    if budget is not None and budget.allowed == 0 and fewer:
        said.append(
            f"The PodDisruptionBudget {budget.name} allows no disruption now, and a rollout does not ask it: its "
            f"own strategy lets {fewer} pod{'s' if fewer != 1 else ''} be away at a time."
        )
    return tuple(said)


def refuse_disruption(around: Orchestrated | None) -> None:
    """Raises :class:`Refused` for a resize that restarts containers of which a budget lets none be away."""
    budget = (around or Orchestrated()).disruption
    if budget is not None and budget.allowed == 0:
        raise Refused(
            f"A resize restarts the container, as its resizePolicy says, and the PodDisruptionBudget {budget.name} "
            "allows no disruption now."
        )


def restarts_resized(container: Json, resources: Sequence[str]) -> bool:
    """Whether a container is restarted when its limits of these resources are changed in place."""
    policies = {one.get("resourceName"): one.get("restartPolicy") for one in container.get("resizePolicy") or []}
    return any(policies.get(name) == "RestartContainer" for name in resources)


def by_hand(thing: Json) -> bool:
    """Whether running pods keep their old template until somebody deletes them."""
    strategy = (thing["spec"].get("updateStrategy") or {}).get("type")
    return thing["kind"] == "ReplicaSet" or strategy == "OnDelete"


def _recreates(thing: Json) -> bool:
    return thing["kind"] == "Deployment" and (thing["spec"].get("strategy") or {}).get("type") == "Recreate"


def surge_of(thing: Json) -> tuple[int, int]:
    """How many pods more, and how many fewer, than wanted a rollout may run (maxSurge up, maxUnavailable down)."""
    replicas = int(thing["spec"].get("replicas", 1))
    if thing["kind"] != "Deployment":
        return 0, 1
    if _recreates(thing):
        return 0, replicas
    rolling = (thing["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", "25%"), replicas, up=True)
    fewer = _share(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return surge, fewer if surge or fewer else 1


def _share(value: object, replicas: int, *, up: bool) -> int:
    said = str(value)
    if said.endswith("%") and said[:-1].isdecimal():
        return (int(said[:-1]) * replicas + (99 if up else 0)) // 100
    return int(said) if said.isdecimal() else 0


def scaler_sentence(name: str) -> str:
    """Why limits are not patched beside a VerticalPodAutoscaler."""
    return f"The VerticalPodAutoscaler {name} sets its requests and limits. The patch is offered as a file."


def rollback_elsewhere(owner: Managed) -> str:
    """How the keeper of an object goes back."""
    how = {
        "helm": f"helm rollback {owner.name}",
        "argocd": f"argocd app rollback {owner.name}",
        "flux": "revert the commit in its repository",
    }[owner.by]
    return f"It is kept by {owner.by} ({owner.name}), which would bring the newer revision back: {how}."
