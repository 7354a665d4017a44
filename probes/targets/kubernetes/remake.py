"""What a fix makes of a live object: read, rewritten, compared. The diff and the act both come from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probes import text
from probes.base import Frozen
from probes.intent import Intent, Rollback
from probes.target import Refused
from probes.targets.kubernetes.dryrun import Objects
from probes.targets.kubernetes.facts import Facts
from probes.targets.kubernetes.kinds import KINDS, subject_at
from probes.targets.kubernetes.patches import Misfit, Put, difference
from probes.targets.kubernetes.rendering import version
from probes.targets.kubernetes.rollout import selector
from probes.targets.kubernetes.wanted import Wanted, wanted

Json = dict[str, Any]


class Remade(Frozen, frozen=True):
    """A live object and what it shall be."""

    live: Json
    wanted: Wanted
    puts: tuple[Put, ...]
    """From the one to the other."""
    back: tuple[Put, ...]
    """And back."""
    intended: str
    """SHA-256 of what is wanted, before the server has added its own."""


async def remake(objects: Objects, live: Json, want: Intent, facts: Facts, at: str = "") -> Remade:
    """Reads only. Raises :class:`Refused` where it cannot be had."""
    template = await revision_template(objects, live, want.revision) if isinstance(want, Rollback) else None
    made = wanted(live, want, facts, template, at)
    try:
        puts, back = difference(live, made.thing), difference(made.thing, live)
    except Misfit as error:
        raise Refused(f"It is not what it was: {text.line(str(error), 200)}.") from None
    return Remade(live=live, wanted=made, puts=puts, back=back, intended=version(made.thing))


async def revision_template(objects: Objects, live: Json, revision: int) -> Json:
    """The template of a revision that is kept; raises :class:`Refused` where it is not."""
    namespace, asked = subject_at(live).namespace, {"labelSelector": selector(live)}
    template: Any = None
    if live["kind"] == "Deployment":
        found = await objects.items(KINDS["ReplicaSet"].path(namespace), asked)
        kept = _owned(found, live, lambda one: _annotated(one, "deployment.kubernetes.io/revision"), revision)
        template = kept and kept["spec"]["template"]
    else:
        found = await objects.items(KINDS["ControllerRevision"].path(namespace), asked)
        kept = _owned(found, live, lambda one: str(one.get("revision")), revision)
        template = kept and kept["data"]["spec"]["template"]
    if not isinstance(template, dict):
        raise Refused(f"Revision {revision} of {text.clean(live['metadata']['name'], 200)} is not kept any more.")
    metadata = dict(template.get("metadata") or {})
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != "pod-template-hash"}
    return {"metadata": {**metadata, "labels": labels}, "spec": template["spec"]}


def _owned(found: list[Json], live: Json, number: Any, revision: int) -> Json | None:
    uid = live["metadata"]["uid"]
    return next(
        (
            one
            for one in found
            if number(one) == str(revision)
            and any(owner.get("uid") == uid for owner in one["metadata"].get("ownerReferences") or [])
        ),
        None,
    )


def _annotated(thing: Mapping[str, Any], name: str) -> str | None:
    found = (thing["metadata"].get("annotations") or {}).get(name)
    return None if found is None else str(found)
