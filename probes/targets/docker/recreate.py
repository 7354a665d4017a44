"""Making a container again with other settings, so that the service can never be lost.

The new container is made first, stopped and under a name of its own, with labels that say what it is for and how the
former one was run. Then the two change places: the former is stopped, loses its restart policy and becomes
``NAME.fastops-CHANGE``; the new one becomes ``NAME``, gets the policy and is started. Ports and addresses are free by
then. Until the former's policy goes, a reboot brings the former back; right after, the new one.

Every act first looks whether it was done, and all that is needed stands in the engine (names, ids and labels), so
that ``perform`` finishes and ``abandon`` takes back whatever a kill at any moment left. How the former one was run
stands in the step as well: it is put back also where somebody removed the new one meanwhile. The former container is
removed by :func:`probes.targets.docker.keep.discard` alone.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from probes import text
from probes.intent import RestorePoint, Step
from probes.target import Refused, Unreadable
from probes.targets.docker.client import EngineError
from probes.targets.docker.containers import Containers, grace_of
from probes.targets.docker.documents import (
    CHANGE_LABEL,
    FORMER_LABEL,
    REPLACES_LABEL,
    kept_name,
    name_of,
    staged_name,
)
from probes.targets.docker.former import (
    NO_POLICY,
    Former,
    Policy,
    is_up,
    policy_of,
    run_as,
    told_by_label,
    told_by_step,
    was_started,
)
from probes.targets.docker.former import policy as policy_in
from probes.targets.docker.joins import attachments
from probes.targets.docker.keep import is_undone, put_away
from probes.targets.docker.ready import NotReady
from probes.targets.docker.remake import Remade
from probes.targets.docker.rendering import document

Json = dict[str, Any]
Progress = Callable[[str], None]


class Recreate:
    """Replaces containers, and takes that back."""

    def __init__(
        self,
        containers: Containers,
        draft: Callable[[Step], Awaitable[Remade]],
        wait: Callable[[str, Step, Progress], Awaitable[None]],
    ) -> None:
        """``draft`` raises :class:`Refused` where the former is not what the step is for, ``wait`` ``NotReady``."""
        self._containers = containers
        self._draft = draft
        self._wait = wait

    async def perform(self, step: Step, change: str, progress: Progress) -> RestorePoint:
        """Replaces the step's container or completes that; raises :class:`Refused` with the former one in place."""
        name, old = str(step.arguments["name"]), step.subject
        new = await self._made(change, old) or await self._stage(step, change, name, progress)
        try:
            former = told_by_label(new)
            await self._join(old, new)
            progress(f"putting the new container in the place of {text.clean(name, 200)}")
            start = bool(step.arguments["start"])
            go = None if await self._containers.inspect(old) is None else old
            await self._exchange(new["Id"], go, name, kept_name(name, change), former.policy, start=start)
            if start:
                await self._wait(new["Id"], step, progress)
            left = await self._version(new["Id"])
        except (EngineError, Unreadable, NotReady, Refused) as error:
            said = await self._last_words(new["Id"])
            await self.abandon(step, change, progress)
            raise Refused(f"The new container did not come into service: {_why(error)}.{said} {_BACK}") from None
        return RestorePoint(
            action="recreate",
            subject=old,
            left=left,
            data={
                "name": name,
                "new": new["Id"],
                "kept": kept_name(name, change),
                "policy": former.policy,
                "running": former.running,
            },
        )

    async def abandon(self, step: Step, change: str, progress: Progress) -> None:
        """Puts the former container back, whatever was done; raises ``Unreadable``, ``EngineError`` or ``Refused``."""
        new = await self._made(change, step.subject)
        old = await self._containers.inspect(step.subject)
        name = str(step.arguments["name"])
        if new is None:
            if old is not None:
                await self._back_alone(old, name, change, told_by_step(step), progress)
            return
        former = told_by_label(new)
        if old is None:
            raise Refused(f"The former container of {text.clean(name, 200)} is gone; the new one is left as it is.")
        progress(f"putting the former container {text.clean(name, 200)} back")
        if name_of(new) == staged_name(name, change) and not was_started(new):
            # The engine ends a stop that it was asked for, whoever waits for it: started now, it would be stopped.
            await self._stop(old)
        await self._back(step.subject, new["Id"], name, change, former, progress)

    async def restore(self, point: RestorePoint, change: str, progress: Progress) -> None:
        """Puts the former container back in place of what the step left; raises :class:`Refused` where that is gone."""
        name, new = str(point.data["name"]), str(point.data["new"])
        shown, former = text.clean(name, 200), _former_of(point)
        there = await self.check(point, change)
        progress(f"putting the former container {shown} back")
        try:
            await self._back(point.subject, None if there is None else new, name, change, former, progress)
        except EngineError as error:
            if there is None:
                raise
            await self._stop(await self._fresh(new))  # its stop may be under way still
            await self._exchange(new, point.subject, name, str(point.data["kept"]), former.policy, start=True)
            raise Refused(f"The former container does not start: {_why(error)}. The fixed one runs on.") from None

    async def check(self, point: RestorePoint, change: str) -> Json | None:
        """The container that the step left, ``None`` where it is gone; raises as :meth:`restore`, changes nothing."""
        name, new = str(point.data["name"]), str(point.data["new"])
        shown = text.clean(name, 200)
        if await self._containers.inspect(point.subject) is None:
            raise Refused(f"The former container of {shown} is gone: there is nothing to go back to.")
        there = await self._containers.inspect(new)
        if there is None:
            await self._refuse_taken(name, point.subject)
        elif is_undone(there):
            there = None
            await self._refuse_taken(name, point.subject)
        elif name_of(there) not in {name, staged_name(name, change)}:
            raise Refused(f"{shown} was replaced since, by something else: it is not taken back.")
        elif await self._version(new, _former_of(point).policy) != point.left:
            raise Refused(f"{shown} was changed since: it is not what this fix left, so it is not taken back.")
        return there

    async def _stage(self, step: Step, change: str, name: str, progress: Progress) -> Json:
        """Makes the new container beside the former one, which is not touched."""
        draft = await self._draft(step)
        host: Json = draft.body["HostConfig"]
        former = run_as(draft.inspect)
        labels = {
            CHANGE_LABEL: change,
            REPLACES_LABEL: step.subject,
            FORMER_LABEL: msgspec.json.encode(former).decode(),
        }
        # Without a policy until it is in place: an engine that starts would start it beside the former one.
        body = {
            **draft.body,
            "Labels": {**draft.body.get("Labels", {}), **labels},
            "HostConfig": {**host, "RestartPolicy": NO_POLICY},
        }
        progress(f"making the new container of {text.clean(name, 200)}")
        try:
            new = await self._fresh(await self._containers.create(staged_name(name, change), body))
            _check_image(new, draft.inspect)
            await self._join(step.subject, new)
        except (EngineError, Unreadable) as error:
            made = await self._made(change, step.subject)
            if made is not None:  # never started: there is nothing in it
                await self._containers.remove(made["Id"])
            raise Refused(f"The engine will not make the new container: {_why(error)}. Nothing was changed.") from None
        return new

    async def _made(self, change: str, old: str) -> Json | None:
        """The container that this change made in place of ``old``, but for one that was taken back."""
        filters = {"label": [f"{CHANGE_LABEL}={change}", f"{REPLACES_LABEL}={old}"]}
        for found in await self._containers.ids(filters):
            inspect = await self._containers.inspect(found)
            if inspect is not None and not is_undone(inspect):
                return inspect
        return None

    async def _join(self, old: str, new: Json) -> None:
        """Connects the new container to the networks of the former one that it is not in yet."""
        before = await self._containers.inspect(old)
        if before is None or new["State"].get("Running"):
            return
        has = (await self._fresh(new["Id"]))["NetworkSettings"]["Networks"]
        wanted = attachments(before)
        for network, endpoint in wanted.others:
            if network not in has:
                await self._containers.connect(new["Id"], network, endpoint)
        if wanted.leaves and wanted.leaves in has:
            await self._containers.disconnect(new["Id"], wanted.leaves)

    async def _back(
        self, old: str, new: str | None, name: str, change: str, former: Former, progress: Progress
    ) -> None:
        await self._exchange(old, new, name, staged_name(name, change), former.policy, start=former.running)
        back = await self._fresh(old)
        if former.running and not is_up(back):
            code = back["State"].get("ExitCode")
            raise EngineError(None, f"{text.clean(name, 200)} was started and ended again with code {code}")
        if new is not None:
            await put_away(self._containers, await self._fresh(new), name, change, progress)

    async def _back_alone(self, old: Json, name: str, change: str, former: Former, progress: Progress) -> None:
        """Puts the former container back where the new one is not there: never made, or removed by somebody."""
        shown = text.clean(name, 200)
        unset = policy_in(old) == NO_POLICY != former.policy and not is_up(old)
        if name_of(old) == kept_name(name, change) or (name_of(old) == name and unset):
            progress(f"putting the former container {shown} back")
            await self._back(old["Id"], None, name, change, former, progress)
        elif former.running and not is_up(old):
            # Without a trace of its own fastops cannot tell its stop from that of a person, who wants it stopped.
            raise Refused(f"{shown} ran when the fix was planned and is stopped now: `docker start {shown}` starts it.")

    async def _exchange(self, come: str, go: str | None, name: str, aside: str, policy: Policy, *, start: bool) -> None:
        """``come`` takes the name and the policy, ``go`` (where there is one) is stopped and set aside."""
        if go is not None:
            going = await self._fresh(go)
            await self._stop(going)
            if policy_in(going) != NO_POLICY:
                await self._containers.update(go, {"RestartPolicy": NO_POLICY})
            if name_of(going) == name:
                await self._containers.rename(go, aside)
        coming = await self._fresh(come)
        if name_of(coming) != name:
            await self._refuse_taken(name, come)
            await self._containers.rename(come, name)
        if policy_in(coming) != policy:
            await self._containers.update(come, {"RestartPolicy": policy})
        if start and not coming["State"].get("Running"):
            await self._containers.start(come)

    async def _stop(self, inspect: Json) -> None:
        """Stops it where it runs, also where that is under way: then it ends within the same grace period."""
        if is_up(inspect):
            await self._containers.stop(inspect["Id"], grace_of(inspect))

    async def _refuse_taken(self, name: str, own: str) -> None:
        holder = await self._containers.inspect(name)
        if holder is not None and holder["Id"] != own and name_of(holder) == name:
            raise Refused(f"Another container has taken the name {text.clean(name, 200)} since; it is left as it is.")

    async def _fresh(self, container: str) -> Json:
        found = await self._containers.inspect(container)
        if found is None:
            raise EngineError(404, f"the container {container[:12]} is gone")
        return found

    async def _version(self, container: str, policy: Policy | None = None) -> str:
        """``policy`` is what it had before it was stopped and set aside."""
        inspect = await self._fresh(container)
        if policy is not None and not inspect["State"].get("Running") and policy_in(inspect) == NO_POLICY:
            inspect["HostConfig"]["RestartPolicy"] = policy
        return document(inspect, await self._containers.image(inspect["Image"])).version

    async def _last_words(self, container: str) -> str:
        """The line of its log that says most about its end: the last that speaks of an error, else the last."""
        lines = [one for one in text.block(await self._containers.log_tail(container)).splitlines() if one.strip()]
        telling = [one for one in lines if _ERROR.search(one)] or lines
        return f" Its last words: {telling[-1].strip()[:300]}" if telling else ""


_ERROR = re.compile(r"(?i)error|invalid|fail|not (found|permitted|allowed)")
_BACK = "The former one is in its place again."


def _former_of(point: RestorePoint) -> Former:
    return Former(policy=policy_of(point.data["policy"]), running=bool(point.data["running"]))


def _check_image(new: Json, old: Json) -> None:
    if new["Image"] != old["Image"]:
        raise EngineError(None, "it got another image than the former one has")


def _why(error: Exception) -> str:
    return text.line(str(error), 600).rstrip(". ")
