"""Follows the rollout of a template until all replicas are of it and available, or until that is not to be expected.

The conditions are those of ``kubectl rollout status`` (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from probes import text
from probes.base import Frozen
from probes.target import Refused, Unreadable
from probes.targets.kubernetes import podstate
from probes.targets.kubernetes.creation import ROOM_SECONDS, Creation
from probes.targets.kubernetes.dryrun import Objects
from probes.targets.kubernetes.guards import by_hand
from probes.targets.kubernetes.kinds import KINDS, Subject

Json = dict[str, Any]
Progress = Callable[[str], None]


class Patience(Frozen, frozen=True):
    """How long a rollout is waited for, in seconds."""

    stall: float = 300.0
    """Without any progress, where the workload's own ``progressDeadlineSeconds`` is not shorter."""
    most: float = 600.0
    """Altogether: a step of a change has 900 s, and taking it back takes its time too."""
    held: float = 8.0
    """A failure that does not end by waiting must last so long: a Secret may be made a moment later."""
    poll: float = 1.0


class Counts(Frozen, frozen=True):
    """How far a rollout is."""

    wanted: int
    updated: int
    available: int
    complete: bool
    trouble: str | None = None
    """The controller's own word that it goes no further."""
    observed: bool = True
    """The controller has seen the change."""
    former: int = 0
    """Replicas of another template."""

    @property
    def said(self) -> str:
        """For people."""
        if not self.observed:
            return "waiting for the controller"
        former = f", {self.former} of the former template" if self.former else ""
        return f"{self.updated} of {self.wanted} replicas updated, {self.available} available{former}"


class Pods(Frozen, frozen=True):
    """The pods of a workload before a change."""

    every: frozenset[str] = frozenset()
    """By uid."""
    unready: frozenset[str] = frozenset()


class Follower:
    """Follows one workload."""

    def __init__(self, objects: Objects, subject: Subject, patience: Patience) -> None:
        self._objects = objects
        self._subject = subject
        self._patience = patience

    async def pods(self, thing: Json) -> list[Json]:
        """The pods that the workload's selector chooses; nothing where they may not be read."""
        asked = {"labelSelector": selector(thing)}
        return await self._objects.around(KINDS["Pod"].path(self._subject.namespace), asked)

    async def before(self, thing: Json) -> Pods:
        """The pods as they are now."""
        pods = await self.pods(thing)
        return Pods(
            frozenset(str(p["metadata"]["uid"]) for p in pods),
            frozenset(str(p["metadata"]["uid"]) for p in pods if not podstate.is_ready(p)),
        )

    async def follow(self, before: Pods, progress: Progress, *, sick: bool = False, ready: bool = True) -> str | None:
        """Waits; ``None`` once every replica is of the new template and available, else why that is not expected.

        ``sick``: no replica was ready before either, so that waiting long for one is of little use. Without ``ready``
        it is enough that they are of the new template.
        """
        began = moved = left = time.monotonic()
        said = failing_since = None
        last = ""
        creation = Creation(self._objects, self._subject)
        while True:
            thing = await self._read()
            if thing is None:
                return "it was deleted meanwhile"
            if not follows(thing):
                return None
            counts = counted(thing)
            if counts.complete or (not ready and counts.observed and counts.updated >= counts.wanted):
                return None
            now = time.monotonic()
            if counts.said != last:
                last, moved = counts.said, now
                progress(last)
            pods = await self.pods(thing)
            stuck = await self._unblock(thing, pods, before)
            found = self._worst(pods, before)
            if found is not None and found.said != said:
                said = found.said
                progress(said)
            lacks = await creation.refused(thing, pods) if counts.observed else None
            failed = lacks or counts.trouble or (found.said if found is not None and found.final else None) or stuck
            # A pod that goes makes room, and a controller asks again after as long as it has tried.
            leaving = lacks is not None and any(pod["metadata"].get("deletionTimestamp") for pod in pods)
            left = now if leaving else left
            held = self._patience.held + (0.0 if lacks is None else min(left - began, ROOM_SECONDS))
            failing_since = None if failed is None or leaving else (failing_since or now)
            if failing_since is not None and now - failing_since >= held:
                return await self._described(failed or "", pods, before)
            if now - moved >= self._stall(thing, sick=sick) or now - began >= self._patience.most:
                waited = f"after {now - began:.0f} s {counts.said}"
                return await self._described(f"{waited}; {said}" if said else waited, pods, before)
            await asyncio.sleep(self._patience.poll)

    def _stall(self, thing: Json, *, sick: bool) -> float:
        own = float(thing["spec"].get("progressDeadlineSeconds") or self._patience.stall)
        return min(own, self._patience.stall, 120.0 if sick else self._patience.stall)

    async def _read(self) -> Json | None:
        """The workload; a server that cannot be read for a moment is asked again."""
        for attempt in range(5):
            try:
                return await self._objects.read(self._subject.path)
            except Unreadable:
                if attempt == 4:
                    raise
                await asyncio.sleep(self._patience.poll * 2**attempt)
        return None

    def _worst(self, pods: list[Json], before: Pods) -> podstate.Trouble | None:
        """What is wrong with the new pods."""
        new = [p for p in pods if p["metadata"]["uid"] not in before.every and not podstate.is_going(p)]
        found = [one for p in new if (one := podstate.trouble(p)) is not None]
        return next((one for one in found if one.final), found[0] if found else None)

    async def _unblock(self, thing: Json, pods: list[Json], before: Pods) -> str | None:
        """Removes pods of the old template that a StatefulSet waits for, though they never get ready.

        As its documentation tells people to (kubernetes.io/docs/concepts/workloads/controllers/statefulset: forced
        rollback). ``None``, or why one of them is still there.
        """
        if thing["kind"] != "StatefulSet" or not _observed(thing):
            return None
        wanted = (thing.get("status") or {}).get("updateRevision")
        for pod in pods:
            metadata = pod["metadata"]
            old = (metadata.get("labels") or {}).get("controller-revision-hash") != wanted
            if old and metadata["uid"] in before.unready and not podstate.is_ready(pod) and not podstate.is_going(pod):
                path = KINDS["Pod"].path(self._subject.namespace, metadata["name"])
                try:
                    await self._objects.delete_pod(path, metadata["uid"])
                except Refused as error:
                    name = text.clean(str(metadata["name"]), 253)
                    return f"it waits for {name}, which has to be deleted by hand: {str(error).rstrip('.')}"
        return None

    async def _described(self, why: str, pods: list[Json], before: Pods) -> str:
        """With what a new pod that is not ready says itself: its last line, and the last warning about it."""
        new = [p for p in pods if p["metadata"]["uid"] not in before.every and not podstate.is_ready(p)]
        if not new:
            return why
        found = podstate.trouble(new[0])
        events = await self._objects.around(
            f"/api/v1/namespaces/{self._subject.namespace}/events",
            {"fieldSelector": f"involvedObject.uid={new[0]['metadata']['uid']},type=Warning"},
        )
        # Beside what the container says of itself only the check that ended it is news.
        told = [one for one in events if found is None or one.get("reason") == "Unhealthy"]
        last = max(told, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""), default=None)
        message = text.line(str((last or {}).get("message") or ""), 300).rstrip(". ")
        line = await self._objects.last_line(KINDS["Pod"].path(self._subject.namespace, new[0]["metadata"]["name"]))
        return "; ".join(filter(None, (why, message, f"its log says: {line}" if line else "")))


def selector(thing: Json) -> str:
    """A workload's selector as the API takes it."""
    said = thing["spec"].get("selector") or {}
    labels: Mapping[str, str] = said.get("matchLabels") or {}
    made = [f"{key}={value}" for key, value in labels.items()]
    for one in said.get("matchExpressions") or []:
        key, operator, values = one["key"], one["operator"], ",".join(one.get("values") or [])
        made.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[operator]
        )
    return ",".join(made)


def follows(thing: Json) -> bool:
    """Whether a change of the template is rolled out by itself."""
    return thing["kind"] in {"Deployment", "StatefulSet", "DaemonSet"} and not by_hand(thing) and not (
        thing["spec"].get("paused")
    )  # fmt: skip


def counted(thing: Json) -> Counts:
    """How far the rollout is, from the workload's status."""
    status: Json = thing.get("status") or {}
    if thing["kind"] == "DaemonSet":
        wanted = int(status.get("desiredNumberScheduled") or 0)
        updated = int(status.get("updatedNumberScheduled") or 0)
        available = int(status.get("numberAvailable") or 0)
        complete = _observed(thing) and updated >= wanted <= available
        return Counts(wanted, updated, available, complete, observed=_observed(thing), former=max(0, wanted - updated))
    wanted = int(thing["spec"].get("replicas", 1))
    updated, every = int(status.get("updatedReplicas") or 0), int(status.get("replicas") or 0)
    if thing["kind"] == "StatefulSet":
        rolling = (thing["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        due = max(0, wanted - int(rolling.get("partition") or 0))
        ready = int(status.get("readyReplicas") or 0)
        complete = _observed(thing) and updated >= due and ready >= wanted and every == wanted
        return Counts(wanted, updated, ready, complete, observed=_observed(thing), former=max(0, every - updated))
    available = int(status.get("availableReplicas") or 0)
    complete = _observed(thing) and updated >= wanted and every <= updated and available >= updated
    trouble = _trouble(status) if _observed(thing) else None
    return Counts(wanted, updated, available, complete, trouble, _observed(thing), max(0, every - updated))


def ready_replicas(thing: Json) -> int:
    """How many replicas take traffic."""
    status: Json = thing.get("status") or {}
    return int(status.get("readyReplicas") or status.get("numberReady") or 0)


def _observed(thing: Json) -> bool:
    return int((thing.get("status") or {}).get("observedGeneration") or 0) >= int(thing["metadata"]["generation"])


def _trouble(status: Json) -> str | None:
    for one in status.get("conditions") or []:
        stopped = one.get("type") == "Progressing" and one.get("status") == "False"
        if stopped or (one.get("type") == "ReplicaFailure" and one.get("status") == "True"):
            return f"{text.clean(str(one.get('reason')), 80)}: {text.line(str(one.get('message') or ''), 300)}"
    return None
