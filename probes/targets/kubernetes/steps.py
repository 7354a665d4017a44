"""Steps of plans on Kubernetes, and what their writer finds in their arguments. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from probes import text
from probes.base import Frozen
from probes.intent import Document, Intent, RestorePoint, Step
from probes.target import Refused
from probes.targets.kubernetes.facts import Facts
from probes.targets.kubernetes.patches import Put, digest
from probes.targets.kubernetes.remake import Remade
from probes.targets.kubernetes.rendering import documents, version
from probes.targets.kubernetes.sealing import seal

Json = dict[str, Any]


class Patching(Frozen, frozen=True):
    """Arguments of a step that patches an object."""

    want: Intent
    facts: Facts
    uid: str
    intended: str
    back: tuple[Put, ...]
    """The way back, sealed."""
    paths: tuple[tuple[str, ...], ...]
    """The touched fields."""
    left: str
    """SHA-256 of these after the change, as the server's dry run has them."""
    moved: tuple[str, ...] = ()
    """Variables that move into the workload's Secret."""
    at: str = ""
    serves: bool = False
    """A replica was ready before, so one has to be ready afterwards."""
    rolls: bool = False
    """The change is rolled out, and waited for."""


class Making(Frozen, frozen=True):
    """Arguments of a step that makes an object: a ConfigMap with these files, or a Secret of these variables."""

    kind: str
    namespace: str
    name: str
    files: Mapping[str, str] = {}
    workload: str = ""
    """Path of the workload whose container has the variables."""
    container: str = ""
    variables: tuple[str, ...] = ()


class Kept(Frozen, frozen=True):
    """What a performed patch leaves in the journal."""

    uid: str
    back: tuple[Put, ...]
    paths: tuple[tuple[str, ...], ...]
    lefts: tuple[str, ...] = ()
    """What the change left at each of them, in brief."""
    former: str | None = None
    """The change whose mark the object had before."""
    secret: str | None = None
    """Path of the Secret that holds the former values of this change."""
    moved: str | None = None
    """Path of the Secret that variables moved into."""
    rolls: bool = False
    serves: bool = True
    """A replica was ready before: of the former state one is waited for, too."""
    container: str = ""
    """Of a pod: whose limits were changed."""


def patch_step(
    made: Remade,
    after: Json,
    arguments: Patching,
    path: str,
    *,
    summary: str,
    notes: tuple[str, ...],
    restarts: bool,
    action: Any = "patch",
    undo_notes: tuple[str, ...] = (),
) -> Step:
    """The step that brings ``made.live`` to ``after``, which is the server's own word where that could be asked."""
    before_document, after_document = documents(made.live, after)
    return Step(
        action=action,
        summary=summary,
        before=before_document,
        after=after_document,
        subject=path,
        arguments={**_arguments(arguments, notes), "undo_notes": list(undo_notes)},
        restarts=restarts,
    )


def patching(made: Remade, after: Json, want: Intent, facts: Facts, *, serves: bool, rolls: bool, at: str) -> Patching:
    """What the writer needs to do the same again, and to take it back."""
    moved = tuple(getattr(want, "secret_variables", ()))
    paths = tuple(put.path for put in made.puts)
    return Patching(
        want=want,
        facts=facts,
        uid=str(made.live["metadata"]["uid"]),
        intended=made.intended,
        back=seal(made.back, moved).puts,
        paths=paths,
        left=digest(after, paths),
        moved=moved,
        at=at,
        serves=serves,
        rolls=rolls,
    )


def making_step(arguments: Making, path: str, shown: Json, notes: tuple[str, ...] = ()) -> Step:
    """The step that makes an object; ``shown`` is it, without what is secret."""
    from probes.targets.kubernetes.rendering import manifest

    title = f"{arguments.kind} {arguments.namespace}/{arguments.name}"
    document_id = f"object:{path}"
    after = manifest(shown)
    return Step(
        action="create",
        summary=f"create {text.clean(title, 300)}",
        before=Document(id=document_id, kind="object", title=title, text="", version=version({})),
        after=Document(id=document_id, kind="object", title=title, text=after, version=version(shown)),
        subject=path,
        arguments=_arguments(arguments, notes),
    )


def read_arguments(step: Step, kind: type[Any]) -> Any:
    """A step's arguments; raises :class:`Refused` where the journal has them not."""
    try:
        return msgspec.convert(step.arguments.get("kubernetes"), type=kind)
    except msgspec.ValidationError:
        raise Refused("The journal does not say what this step was to do: it is left as it is.") from None


def read_point(point: RestorePoint, kind: type[Any]) -> Any:
    """What a restore point keeps; raises :class:`Refused` where that cannot be read."""
    try:
        return msgspec.convert(point.data.get("kubernetes"), type=kind)
    except msgspec.ValidationError:
        raise Refused("The journal does not say how this is taken back: it is left as it is.") from None


def kept(value: Frozen) -> dict[str, object]:
    """Arguments or data of a restore point as they are journalled."""
    return {"kubernetes": msgspec.to_builtins(value)}


def _arguments(value: Frozen, notes: tuple[str, ...]) -> dict[str, object]:
    return {**kept(value), "resumable": True, "notes": list(notes)}
