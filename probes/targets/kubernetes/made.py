"""Makes the ConfigMaps and Secrets that a changed template refers to, and removes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from probes import text
from probes.intent import RestorePoint, Step
from probes.target import Refused
from probes.targets.kubernetes import sealing
from probes.targets.kubernetes.dryrun import Changed, Lost, Objects
from probes.targets.kubernetes.kinds import container_of
from probes.targets.kubernetes.offered import config_map
from probes.targets.kubernetes.patches import Put
from probes.targets.kubernetes.rendering import CHANGE
from probes.targets.kubernetes.steps import Making, read_arguments
from probes.targets.kubernetes.variables import key_of, literals

Json = dict[str, Any]
Progress = Callable[[str], None]
TRIES = 5
_ADDED = "fastops.added"
"""The annotation on a Secret that variables were added to later: ``KEY=CHANGE`` for each."""


class Made:
    """Performs ``create`` steps; the subject is the path of what is made."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def perform(self, step: Step, change: str) -> RestorePoint:
        """Makes it, or takes what an interrupted attempt made; raises :class:`Refused` where another has its name."""
        said = read_arguments(step, Making)
        point = RestorePoint(action="create", subject=step.subject, left=step.after.version)
        if said.kind == "Secret" and await self._is_there(step.subject, said, change):
            return point  # the variables may have moved already: their values stand nowhere else
        thing = await self._wanted(said, change)
        for _ in range(TRIES):
            try:
                if await self._objects.create(said.namespace, thing) is not None:
                    break
                there = await self._objects.read(step.subject)
                if there is None:
                    continue
                if await self._holds(step.subject, there, thing, change):
                    break
            except (Changed, Lost):
                continue
        else:
            raise Refused(f"{text.clean(step.summary, 300)} did not succeed; plan again.")
        return point

    async def remove(self, path: str, change: str, progress: Progress) -> None:
        """Removes what this change made or added; what is of another change, or of somebody else, stays."""
        for _ in range(TRIES):
            there = await self._objects.read(path)
            if there is None:
                return
            added = _added(there)
            mine = [key for key, by in added.items() if by == change]
            made = (there["metadata"].get("annotations") or {}).get(CHANGE) == change
            if not made and not mine:
                return
            progress(
                f"removing what was made: {text.clean(there['kind'], 60)} {text.clean(path.rpartition('/')[2], 250)}"
            )
            try:
                if made and not added:
                    await self._objects.delete(path, there)
                else:
                    rest = {key: by for key, by in added.items() if by != change}
                    gone = tuple(Put(("data", key), absent=True) for key in mine)
                    await self._objects.patch(
                        path, there, (*gone, Put(("metadata", "annotations", _ADDED), _said(rest)))
                    )
                return
            except (Changed, Lost):
                continue
        raise Refused(f"{text.clean(path, 300)} changes too fast to be removed; try again.")

    async def _is_there(self, path: str, said: Making, change: str) -> bool:
        """Whether an interrupted attempt of this very change has made the Secret, or added to it."""
        there = await self._objects.read(path)
        if there is None:
            return False
        added = _added(there)
        made = (there["metadata"].get("annotations") or {}).get(CHANGE) == change
        keys = [key_of(name) for name in said.variables]
        held = there.get("data") or {}
        return all(key in held and (added.get(key) == change or (made and key not in added)) for key in keys)

    async def _wanted(self, said: Making, change: str) -> Json:
        if said.kind == "ConfigMap":
            thing = config_map(said.namespace, said.name, dict(said.files))
            thing["metadata"]["annotations"] = {CHANGE: change}
            return thing
        workload = await self._objects.read(said.workload)
        if workload is None:
            raise Refused("The workload whose variables should move is gone; plan again.")
        values = literals(container_of(workload, said.container))
        missing = [name for name in said.variables if not values.get(name)]
        if missing:
            names = text.clean(", ".join(missing), 200)
            raise Refused(f"{names} has no literal value any more; plan again.")
        moved = {key_of(name): values[name] for name in said.variables}
        return sealing.secret(said.namespace, said.name, moved, change)

    async def _holds(self, path: str, there: Json, wanted: Json, change: str) -> bool:
        """Whether the object that has the name is this one, or a Secret of ours that keys were added to."""
        annotations = there["metadata"].get("annotations") or {}
        data: Json = there.get("data") or {}
        name = text.clean(str(there["metadata"]["name"]), 250)
        same = all(data.get(key) == value for key, value in wanted["data"].items())
        if same and (there["kind"] == "ConfigMap" or CHANGE in annotations):
            return True
        if there["kind"] != "Secret" or CHANGE not in annotations:
            raise Refused(f"A {there['kind']} {name} is there already, and was not made by fastops.")
        other = [key for key, value in wanted["data"].items() if key in data and data[key] != value]
        if other:
            raise Refused(f"The Secret {name} has another value for {text.clean(', '.join(other), 200)} already.")
        new = {key: value for key, value in wanted["data"].items() if key not in data}
        added = {**_added(there), **dict.fromkeys(new, change)}
        puts = [Put(("data", key), value) for key, value in new.items()]
        await self._objects.patch(path, there, (*puts, Put(("metadata", "annotations", _ADDED), _said(added))))
        return True


def _added(thing: Json) -> dict[str, str]:
    said = str((thing["metadata"].get("annotations") or {}).get(_ADDED) or "")
    return dict(one.partition("=")[::2] for one in said.split(",") if one)


def _said(added: dict[str, str]) -> str:
    return ",".join(f"{key}={by}" for key, by in sorted(added.items()))
