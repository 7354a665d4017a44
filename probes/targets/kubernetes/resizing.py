"""Limits of running pods, changed in place (``pods/resize``: beta in Kubernetes 1.33, stable in 1.35).

A Deployment whose template changes replaces its pods in any case, and what was resized would go with them. So pods are
resized where no rollout follows: a pod of its own, and the pods of a workload whose update strategy is ``OnDelete`` –
there together with the template, or the limit would be lost with the pod.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from probes import text
from probes.intent import Desired, Intent, Step
from probes.orchestrator import Orchestrated
from probes.target import Refused
from probes.targets.kubernetes import guards, podstate
from probes.targets.kubernetes.dryrun import Changed, Lost, Objects
from probes.targets.kubernetes.facts import Facts
from probes.targets.kubernetes.kinds import KINDS, Subject, subject_at
from probes.targets.kubernetes.patches import Put, value_at
from probes.targets.kubernetes.remake import remake
from probes.targets.kubernetes.resources import limit
from probes.targets.kubernetes.rollout import selector
from probes.targets.kubernetes.steps import patch_step, patching

Json = dict[str, Any]
STAYS = "Kubernetes takes no limit away from a running pod: an undo leaves it there until the pod is replaced."
MOST = 50
RESIZE_SECONDS = 60.0
DEFERRED_SECONDS = 10.0
"""So long another pod is given to make room for one whose node has none now."""


async def of_workload(
    objects: Objects, live: Json, subject: Subject, want: Intent, facts: Facts, around: Orchestrated | None = None
) -> tuple[list[Step], tuple[str, ...]]:
    """The steps for a workload's running pods; none where a budget, the server or a pod's own class forbids it.

    Beside them the sentence that says so.
    """
    pods = await objects.around(KINDS["Pod"].path(subject.namespace), {"labelSelector": selector(live)})
    here = [pod for pod in pods if not podstate.is_going(pod)][:MOST]
    try:
        return await steps(objects, here, want, facts, around), ()
    except Refused as refused:
        return [], (f"Running pods keep their limits until they are replaced: {refused}",)


async def steps(
    objects: Objects, pods: list[Json], want: Intent, facts: Facts, around: Orchestrated | None = None
) -> list[Step]:
    """The steps that resize these pods; raises :class:`Refused` where one cannot be."""
    if not isinstance(want, Desired) or want != _limits_of(want):
        raise Refused("A pod of its own cannot be changed but for its limits: make it by a Deployment.")
    found: list[Step] = []
    for pod in pods:
        made = await remake(objects, pod, want, facts)
        if not made.puts:
            continue
        subject = subject_at(pod)
        container = next(c for c in pod["spec"]["containers"] if c["name"] == facts.container)
        restarts = guards.restarts_resized(container, _resources(want))
        if restarts:
            guards.refuse_disruption(around)
        stays = (STAYS,) if any(_takes_away(made.wanted.thing, put) for put in made.back) else ()
        after = made.wanted.thing
        if not objects.read_only:
            after = await _tried(objects, subject, made.live, made.puts)
        arguments = patching(made, after, want, facts, serves=False, rolls=False, at="")
        summary = f"limits of {text.clean(subject.title, 300)}, in place"
        found.append(
            patch_step(
                made,
                after,
                arguments,
                subject.path,
                summary=summary,
                notes=stays,
                restarts=restarts,
                undo_notes=stays,
            )
        )
    return found


async def follow(
    objects: Objects, path: str, container: str, *, ready: bool, seconds: float = RESIZE_SECONDS
) -> str | None:
    """Waits until a pod runs with its limits, and is ready where it was; ``None`` then, else why it does not."""
    deadline = time.monotonic() + seconds
    deferred_until = time.monotonic() + min(DEFERRED_SECONDS, seconds)
    while True:
        pod = await objects.read(path)
        if pod is None:
            return "the pod is gone"
        status: Json = pod.get("status") or {}
        conditions = {str(one.get("type")): one for one in status.get("conditions") or []}
        pending = conditions.get("PodResizePending") or {}
        told = pending or conditions.get("PodResizeInProgress") or {}
        message = text.line(str(told.get("message") or ""), 300).rstrip(". ")
        if pending.get("reason") == "Infeasible":
            return f"the node cannot do it: {message}"
        if pending.get("reason") == "Deferred" and time.monotonic() > deferred_until:
            return f"the node has no room for it now: {message}"
        done = not pending and _in_force(pod, container)
        if done and (podstate.is_ready(pod) or not ready):
            return None
        if done and time.monotonic() > deadline:
            return f"it was not ready again within {seconds:g} s"
        if time.monotonic() > deadline:
            return f"the kubelet did not do it within {seconds:g} s" + (f": {message}" if message else "")
        await asyncio.sleep(0.5)


def _in_force(pod: Json, container: str) -> bool:
    wanted: Json = next((c for c in pod["spec"]["containers"] if c["name"] == container), {})
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    found: Json = next((c for c in statuses if c["name"] == container), {})
    return all(limit(wanted, what) == limit(found, what) for what in ("memory", "cpu"))


def way_back(pod: Json, back: Sequence[Put]) -> tuple[Put, ...]:
    """What of a way back can be done to a running pod: a limit can be changed in place, and not be taken away.

    The pods of a workload keep such a limit until they are replaced; raises :class:`Refused` for a pod of its own.
    """
    kept = tuple(put for put in back if not _takes_away(pod, put))
    if kept != tuple(back) and not pod["metadata"].get("ownerReferences"):
        raise Refused("Kubernetes takes no limit away from a running pod: make the pod anew without it.")
    return kept


def _takes_away(pod: Json, put: Put) -> bool:
    now = value_at(pod, put.path)
    return put.absent or (isinstance(now, dict) and isinstance(put.value, dict) and bool(now.keys() - put.value.keys()))


async def _tried(objects: Objects, subject: Subject, live: Json, puts: Any) -> Json:
    try:
        return await objects.patch(f"{subject.path}/resize", live, puts, dry_run=True)
    except Changed:
        raise Refused(f"{text.clean(subject.title, 300)} changes just now; plan again.") from None
    except Lost as error:
        raise Refused(f"The server did not answer the dry run: {error}.") from None


def _resources(want: Desired) -> list[str]:
    limits = {"memory": want.memory_limit_bytes, "cpu": want.cpu_limit_cores}
    return [name for name, limit in limits.items() if limit is not None]


def _limits_of(want: Desired) -> Desired:
    return Desired(memory_limit_bytes=want.memory_limit_bytes, cpu_limit_cores=want.cpu_limit_cores)
