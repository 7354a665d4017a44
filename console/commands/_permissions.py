"""What a Kubernetes API server permits, for ``fastops doctor``: asked right by right."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import unquote

from probes.base import TargetId
from probes.target import ReadOnly, Unreadable
from probes.targets.kubernetes.client import ApiClient, ApiError
from probes.targets.kubernetes.contexts import resolve
from probes.targets.kubernetes.place import Place
from probes.targets.kubernetes.review import Denied, denied
from probes.targets.kubernetes.rights import needed

ASK_SECONDS = 15.0


class Permissions(NamedTuple):
    """What is not permitted, or why that is not known."""

    denied: tuple[Denied, ...]
    asked: int
    unknown: str | None = None


def ask(target: TargetId, names: Sequence[str], namespace: str | None) -> Permissions:
    """Asks the server of an open target; ``names`` are those that were typed: one may hold a namespace.

    Never raises what a server can cause.
    """
    return asyncio.run(_ask(target, names, namespace))


async def _ask(target: TargetId, names: Sequence[str], namespace: str | None) -> Permissions:
    try:
        place = _place(target, names, namespace)
        client = ApiClient(place, read_only=False)
        rights = needed(read_only=False, namespaced=place.namespace is not None)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return Permissions(await denied(client, rights, place.namespace), len(rights))
        finally:
            await client.close()
    except Unreadable as unreadable:
        return Permissions((), 0, unreadable.failure.why)
    except (ApiError, ReadOnly) as error:
        return Permissions((), 0, str(error))
    except TimeoutError:
        return Permissions((), 0, f"there was no answer within {ASK_SECONDS:g} s")


def _place(target: TargetId, names: Sequence[str], namespace: str | None) -> Place:
    for name in names:
        with suppress(Unreadable):
            place = resolve(name, namespace)
            if place.target == target:
                return place
    return resolve(f"k8s:{unquote(target.removeprefix('k8s/'))}", namespace)
