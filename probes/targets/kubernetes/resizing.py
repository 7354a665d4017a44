"""Limits of running pods, changed in place (``pods/resize``: beta in Kubernetes 1.33, stable in 1.35).

A Deployment whose template changes replaces its pods in any case, and what was resized would go with them. So pods are
resized where no rollout follows: a pod of its own, and the pods of a workload whose update strategy is ``OnDelete`` –
there together with the template, or the limit would be lost with the pod.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from probes import text
from probes.intent import Desired, Intent, Step
from probes.target import Refused
from probes.targets.kubernetes import podstate
from probes.targets.kubernetes.dryrun import Changed, Lost, Objects
from probes.targets.kubernetes.facts import Facts
from probes.targets.kubernetes.kinds import KINDS, Subject, subject_at
from probes.targets.kubernetes.remake import remake
from probes.targets.kubernetes.resources import limit
from probes.targets.kubernetes.rollout import selector
from probes.targets.kubernetes.steps import patch_step, patching

Json = dict[str, Any]
MOST = 50
RESIZE_SECONDS = 60.0


async def of_workload(objects: Objects, live: Json, subject: Subject, want: Intent, facts: Facts) -> list[Step]:
    """The steps for a workload's running pods; none where the server or a pod's own class forbids it."""
    pods = await objects.around(KINDS["Pod"].path(subject.namespace), {"labelSelector": selector(live)})
    here = [pod for pod in pods if not podstate.is_going(pod)][:MOST]
    try:
        return await steps(objects, here, want, facts)
    except Refused:
        return []


async def steps(objects: Objects, pods: list[Json], want: Intent, facts: Facts) -> list[Step]:
    """The steps that resize these pods; raises :class:`Refused` where one cannot be."""
    if not isinstance(want, Desired) or want != _limits_of(want):
        raise Refused("A pod of its own cannot be changed but for its limits: make it by a Deployment.")
    found: list[Step] = []
    for pod in pods:
        made = await remake(objects, pod, want, facts)
        if not made.puts:
            continue
        subject = subject_at(pod)
        after = made.wanted.thing
        if not objects.read_only:
            after = await _tried(objects, subject, made.live, made.puts)
        container = next(c for c in pod["spec"]["containers"] if c["name"] == facts.container)
        restarts = any(one.get("restartPolicy") == "RestartContainer" for one in container.get("resizePolicy") or [])
        arguments = patching(made, after, want, facts, serves=False, rolls=False, at="")
        summary = f"limits of {text.clean(subject.title, 300)}, in place"
        found.append(patch_step(made, after, arguments, subject.path, summary=summary, notes=(), restarts=restarts))
    return found


async def follow(objects: Objects, path: str, container: str, seconds: float = RESIZE_SECONDS) -> str | None:
    """Waits until a pod runs with its limits; ``None`` then, else why it does not."""
    deadline = time.monotonic() + seconds
    while True:
        pod = await objects.read(path)
        if pod is None:
            return "the pod is gone"
        status: Json = pod.get("status") or {}
        for one in status.get("conditions") or []:
            if one.get("type") == "PodResizePending" and one.get("reason") == "Infeasible":
                return f"the node cannot do it: {text.line(str(one.get('message') or ''), 300)}"
        if _in_force(pod, container):
            return None
        if time.monotonic() > deadline:
            return f"the kubelet did not do it within {seconds:g} s"
        await asyncio.sleep(0.5)


def _in_force(pod: Json, container: str) -> bool:
    wanted: Json = next((c for c in pod["spec"]["containers"] if c["name"] == container), {})
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    found: Json = next((c for c in statuses if c["name"] == container), {})
    return all(limit(wanted, what) == limit(found, what) for what in ("memory", "cpu"))


async def _tried(objects: Objects, subject: Subject, live: Json, puts: Any) -> Json:
    try:
        return await objects.patch(f"{subject.path}/resize", live, puts, dry_run=True)
    except Changed:
        raise Refused(f"{text.clean(subject.title, 300)} changes just now; plan again.") from None
    except Lost as error:
        raise Refused(f"The server did not answer the dry run: {error}.") from None


def _limits_of(want: Desired) -> Desired:
    return Desired(memory_limit_bytes=want.memory_limit_bytes, cpu_limit_cores=want.cpu_limit_cores)
