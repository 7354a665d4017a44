"""Why a controller cannot make the pods that a rollout wants: a quota, a LimitRange, an admission that says no."""

from __future__ import annotations

from typing import Any

from probes import text
from probes.targets.kubernetes import podstate
from probes.targets.kubernetes.dryrun import Objects
from probes.targets.kubernetes.kinds import Subject

Json = dict[str, Any]
ROOM_SECONDS = 60.0
"""So long at most a controller is given to ask again, once there may be room."""
_BY_EVENT = frozenset({"StatefulSet", "DaemonSet"})
"""Their status does not say it, as a Deployment's condition ReplicaFailure does; events do."""


class Creation:
    """Remembers what was said before a rollout, so that only what is new counts."""

    def __init__(self, objects: Objects, subject: Subject) -> None:
        self._objects = objects
        self._subject = subject
        self._known: dict[str, int] | None = None

    async def refused(self, thing: Json, pods: list[Json]) -> str | None:
        """The refusal that holds now, in the API server's words; ``None`` where there is none."""
        if thing["kind"] in _BY_EVENT:
            return await self._by_event(thing, pods)
        for one in (thing.get("status") or {}).get("conditions") or []:
            if one.get("type") == "ReplicaFailure" and one.get("status") == "True":
                return _sentence(one)
        return None

    async def _by_event(self, thing: Json, pods: list[Json]) -> str | None:
        wanted = int((thing.get("status") or {}).get("desiredNumberScheduled") or thing["spec"].get("replicas") or 0)
        if self._known is not None and sum(not podstate.is_going(pod) for pod in pods) >= wanted:
            return None
        asked = f"involvedObject.uid={thing['metadata']['uid']},reason=FailedCreate"
        path = f"/api/v1/namespaces/{self._subject.namespace}/events"
        events = await self._objects.around(path, {"fieldSelector": asked})
        counts = {_uid(one): int(one.get("count") or 1) for one in events}
        known = self._known
        if known is None:
            self._known = counts
            return None
        new = [one for one in events if counts[_uid(one)] > known.get(_uid(one), 0)]
        return _sentence(new[-1]) if new else None


def _uid(event: Json) -> str:
    return str(event["metadata"]["uid"])


def _sentence(told: Json) -> str:
    return f"{text.clean(str(told.get('reason')), 80)}: {text.line(str(told.get('message') or ''), 300)}"
