"""Performs patches and takes them back: under preconditions, marked with the change, followed until rolled out.

Why a precondition on the object's version, with the whole object compared before: a field that somebody changed since
the diff was shown is never overwritten, and a status that a controller wrote meanwhile costs one more attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from probes import text
from probes.intent import RestorePoint, Step
from probes.target import Refused
from probes.targets.kubernetes import podstate, resizing, sealing
from probes.targets.kubernetes.dryrun import Changed, Lost, Objects
from probes.targets.kubernetes.kinds import KINDS, Subject, subject_at
from probes.targets.kubernetes.patches import Misfit, Put, brief, digest, operations, titled
from probes.targets.kubernetes.remake import Remade, remake
from probes.targets.kubernetes.rendering import CHANGE, version
from probes.targets.kubernetes.rollout import Follower, Patience, Pods
from probes.targets.kubernetes.steps import Kept, Patching, kept, read_arguments, read_point
from probes.targets.kubernetes.wanted import secret_name

Json = dict[str, Any]
Progress = Callable[[str], None]
TRIES = 8
BACK_SECONDS = 200.0
"""For the rollout of the way back: with the way there (:class:`Patience`) it has to fit into a step's 900 s."""
_MARK = ("metadata", "annotations", CHANGE)


class Patched:
    """Performs ``patch`` and ``restart`` steps; the subject is the object's path."""

    def __init__(self, objects: Objects, patience: Patience) -> None:
        self._objects = objects
        self._patience = patience

    async def perform(self, step: Step, change: str, progress: Progress) -> RestorePoint:
        """Patches, or completes that, and follows the rollout."""
        said = read_arguments(step, Patching)
        live = await self._there(step.subject, said.uid)
        follower = Follower(self._objects, subject_at(live), self._patience)
        pods = Pods()
        former = _mark(live)
        if not _is_done(live, said, change):
            pods = await follower.before(live) if said.rolls else pods
            live = await self._patch(step, said, live, change)
        else:
            former = None
        point = RestorePoint(
            action=step.action,
            subject=step.subject,
            left=digest(live, said.paths),
            data=kept(_kept(live, said, change, None if former == change else former)),
        )
        why = await self._followed(live, said, follower, pods, progress)
        if why is None:
            return point
        if said.rolls and not said.serves:
            progress(f"not ready: {why}; it was not before either, so the change stays and can be undone")
            return point
        progress(f"taking it back: {why}")
        if step.action == "patch":
            await self.restore(point, change, progress)
            raise Refused(f"It did not become ready and was taken back: {why}.")
        raise Refused(f"It did not become ready: {why}.")

    async def abandon(self, step: Step, change: str, progress: Progress) -> None:
        """Takes the patch back where it is in force; one that was not begun leaves its kept Secret at most."""
        said = read_arguments(step, Patching)
        live = await self._objects.read(step.subject)
        if live is None or str(live["metadata"]["uid"]) != said.uid:
            return
        if _is_done(live, said, change):
            data = kept(_kept(live, said, change, None))
            left = digest(live, said.paths)
            await self.restore(RestorePoint("patch", step.subject, left, data), change, progress)
        elif live["kind"] != "Pod" and _mark(live) == change:
            raise Refused(f"{text.clean(subject_at(live).title, 300)} was changed since: it is left as it is.")
        elif sealing.needs(said.back)[0]:
            await self._remove_kept(_kept_path(live, change))

    async def restore(self, point: RestorePoint, change: str, progress: Progress) -> None:
        """Puts the former fields back; raises :class:`Refused` where others than the step's are there now."""
        said = read_point(point, Kept)
        live = await self._left(point, said)
        if live is None or _is_back(live, said, change):
            return
        back = await self._way_back(live, said)
        patience = replace(self._patience, most=min(self._patience.most, BACK_SECONDS))
        follower = Follower(self._objects, subject_at(live), patience)
        pods = Pods()
        for _ in range(TRIES):
            if not _to_do(live, said, back, point.left):
                break
            pods = await follower.before(live) if said.rolls else pods
            progress(f"bringing the former state of {text.clean(subject_at(live).title, 300)} back")
            try:
                live = await self._send(live, (*back, *_marked(live, said.former)))
                break
            except (Changed, Lost):
                live = await self._there(point.subject, said.uid)
        else:
            raise Refused(f"{text.clean(subject_at(live).title, 300)} changes too fast to be taken back; try again.")
        if live["kind"] == "Pod" and said.container:
            path, ready = subject_at(live).path, podstate.is_ready(live)
            why = await resizing.follow(self._objects, path, said.container, ready=ready)
            if why is not None:
                progress(f"the former limits are back in the description, and not in force: {why}")
        if said.rolls:
            why = await follower.follow(pods, progress, sick=True, ready=said.serves)
            if why is None and not said.serves:
                progress("the former state is back; no replica was ready in it")
            elif why is not None:
                progress(f"the former state is back, and not ready: {why}")
        if said.secret is not None:
            await self._remove_kept(said.secret)

    async def check(self, point: RestorePoint, change: str) -> None:
        """Raises as :meth:`restore`, changes nothing."""
        said = read_point(point, Kept)
        live = await self._left(point, said)
        if live is not None and not _is_back(live, said, change):
            _to_do(live, said, await self._way_back(live, said), point.left)

    async def discard(self, point: RestorePoint) -> None:
        """Removes the Secret that kept former values."""
        said = read_point(point, Kept)
        if said.secret is not None:
            await self._remove_kept(said.secret)

    async def _patch(self, step: Step, said: Patching, live: Json, change: str) -> Json:
        for _ in range(TRIES):
            made = await remake(self._objects, live, said.want, said.facts, said.at)
            if version(live) != step.before.version or made.intended != said.intended:
                name = text.clean(subject_at(live).title, 300)
                raise Refused(f"{name} was changed since the diff was made; plan again.")
            await self._keep(made, said, change)
            try:
                return await self._send(live, (*made.puts, *_marked(live, change)))
            except (Changed, Lost):
                live = await self._there(step.subject, said.uid)
                if _is_done(live, said, change):
                    return live  # the answer was lost, the change was not
        raise Refused(f"{text.clean(subject_at(live).title, 300)} changes too fast to be patched; plan again.")

    async def _send(self, live: Json, puts: Sequence[Put]) -> Json:
        """Patches a workload; a pod's limits go by its subresource, which takes no annotation."""
        path = subject_at(live).path
        if live["kind"] == "Pod":
            return await self._objects.patch(f"{path}/resize", live, [p for p in puts if p.path[0] != "metadata"])
        return await self._objects.patch(path, live, puts)

    async def _followed(
        self, live: Json, said: Patching, follower: Follower, pods: Pods, progress: Progress
    ) -> str | None:
        if live["kind"] == "Pod":
            path, ready = subject_at(live).path, podstate.is_ready(live)
            return await resizing.follow(self._objects, path, said.facts.container, ready=ready)
        return await follower.follow(pods, progress, sick=not said.serves) if said.rolls else None

    async def _keep(self, made: Remade, said: Patching, change: str) -> None:
        """Keeps former values that are secret where the way back will look for them."""
        values = sealing.seal(made.back, said.moved).kept
        if not values:
            return
        subject = subject_at(made.live)
        name = _kept_name(made.live, change)
        held = await self._objects.create(subject.namespace, sealing.secret(subject.namespace, name, values, change))
        if held is None:
            there = await self._objects.read(KINDS["Secret"].path(subject.namespace, name))
            if there is None or _mark(there) != change:
                raise Refused(f"A Secret {name} is there already, and not of this change.")

    async def _way_back(self, live: Json, said: Kept) -> tuple[Put, ...]:
        back = await self._unsealed(said)
        return resizing.way_back(live, back) if live["kind"] == "Pod" else back

    async def _unsealed(self, said: Kept) -> tuple[Put, ...]:
        own, moved = sealing.needs(said.back)
        held = await self._objects.read(said.secret) if own and said.secret else None
        into = await self._objects.read(said.moved) if moved and said.moved else None
        return sealing.unseal(said.back, held, into)

    async def _remove_kept(self, path: str) -> None:
        for _ in range(TRIES):
            live = await self._objects.read(path)
            if live is None:
                return
            try:
                await self._objects.delete(path, live)
                return
            except (Changed, Lost):
                await asyncio.sleep(0.1)

    async def _left(self, point: RestorePoint, said: Kept) -> Json | None:
        """What a step left; ``None`` for a pod that was replaced since, which took its limits with it."""
        live = await self._objects.read(point.subject)
        if live is not None and str(live["metadata"]["uid"]) == said.uid:
            return live
        if point.subject.split("/")[-2] == KINDS["Pod"].plural:
            return None
        raise Refused("The object that was changed is gone, so there is nothing to take back.")

    async def _there(self, path: str, uid: str) -> Json:
        live = await self._objects.read(path)
        if live is None or str(live["metadata"]["uid"]) != uid:
            raise Refused("The object that this was planned for is gone; plan again.")
        return live


def _is_done(live: Json, said: Patching, change: str) -> bool:
    """Whether this very change is in force: its mark, and the fields as the dry run had them."""
    marked = live["kind"] == "Pod" or _mark(live) == change
    return marked and digest(live, said.paths) == said.left


def _is_back(live: Json, said: Kept, change: str) -> bool:
    """Whether it was taken back: its mark went with it, and perhaps the Secret that held its values."""
    return _mark(live) != change and not _operations(live, sealing.open_puts(said.back))


def _to_do(live: Json, said: Kept, back: Sequence[Put], left: str) -> bool:
    """Whether former fields are to be put back; raises :class:`Refused` where others than the step's are there."""
    if not _operations(live, back):
        return False
    if digest(live, said.paths) != left:
        name = text.clean(subject_at(live).title, 300)
        theirs = [path for path, was in zip(said.paths, said.lefts, strict=False) if brief(live, path) != was]
        fields = f" ({', '.join(text.clean(titled(path), 200) for path in theirs[:3])})" if theirs else ""
        raise Refused(f"{name} was changed since{fields}: it is not what this fix left, so it is not taken back.")
    return True


def _kept(live: Json, said: Patching, change: str, former: str | None) -> Kept:
    own, moved = sealing.needs(said.back)
    namespace = subject_at(live).namespace
    return Kept(
        uid=said.uid,
        back=said.back,
        paths=said.paths,
        lefts=tuple(brief(live, path) for path in said.paths),
        former=former,
        secret=_kept_path(live, change) if own else None,
        moved=KINDS["Secret"].path(namespace, secret_name(live)) if moved else None,
        rolls=said.rolls,
        serves=said.serves,
        container=said.facts.container,
    )


def _kept_name(live: Json, change: str) -> str:
    return f"{live['metadata']['name'][:200]}-fastops-{change}"


def _kept_path(live: Json, change: str) -> str:
    subject: Subject = subject_at(live)
    return KINDS["Secret"].path(subject.namespace, _kept_name(live, change))


def _mark(live: Json) -> str | None:
    found = (live["metadata"].get("annotations") or {}).get(CHANGE)
    return None if found is None else str(found)


def _marked(live: Json, change: str | None) -> tuple[Put, ...]:
    """The object's mark; annotations are made where there are none."""
    if change is None:
        return (Put(_MARK, absent=True),)
    empty = () if live["metadata"].get("annotations") else (Put(_MARK[:2], value={}),)
    return (*empty, Put(_MARK, value=change))


def _operations(live: Json, puts: Sequence[Put]) -> list[Json]:
    try:
        return operations(live, puts)
    except Misfit as error:
        raise Refused(f"It was changed since and cannot be taken back: {text.line(str(error), 300)}.") from None
