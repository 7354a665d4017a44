"""What a container would be made from once a wish is granted: the one computation that the diff and the act share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probes import text
from probes.base import Frozen
from probes.intent import Desired, Document
from probes.target import Refused, Unreadable
from probes.targets.docker.client import EngineClient
from probes.targets.docker.containers import Containers
from probes.targets.docker.documents import CannotReproduce, create_body, name_of
from probes.targets.docker.rendering import document
from probes.targets.docker.wanted import wanted

Json = dict[str, Any]


class Remade(Frozen, frozen=True):
    """A container as it is and as it shall be."""

    inspect: Json
    was: Json
    """The body that makes it as it is."""
    body: Json
    before: Document
    after: Document
    notes: tuple[str, ...] = ()


async def remake(
    client: EngineClient, inspect: Json, want: Desired, packages: Mapping[str, str], known_hard: int | None
) -> Remade:
    """Reads only. Raises :class:`Refused` where the container cannot be made again, or not so."""
    name = text.clean(name_of(inspect), 200)
    try:
        image = await Containers(client).image(inspect["Image"])
        body = create_body(inspect, image)
    except Unreadable as error:
        if error.failure.code != "not-found":
            raise
        raise Refused(f"The image that {name} was made from is gone: it cannot be made again.") from None
    except CannotReproduce as error:
        raise Refused(f"{name} cannot be made again: {error}") from None
    made = await wanted(client, inspect["Id"], body, want, packages, known_hard)
    return Remade(
        inspect=inspect,
        was=body,
        body=made.body,
        before=document(inspect, image),
        after=document(inspect, image, made.body),
        notes=made.notes,
    )
