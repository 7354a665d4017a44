"""What becomes of a container that is out of service: removed, unless it holds files that nothing else has."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from probes import text
from probes.intent import RestorePoint
from probes.target import Refused, Unreadable
from probes.targets.docker.containers import Containers
from probes.targets.docker.documents import is_kept, kept_name, name_of
from probes.targets.docker.former import was_started
from probes.targets.docker.guards import layer_files

Json = dict[str, Any]
_UNDONE = re.compile(r"-undone(-[0-9a-f]{12})?$")


def is_undone(inspect: Json) -> bool:
    """Whether a fix made it and it was taken back, and is kept for its files."""
    return is_kept(name_of(inspect)) and _UNDONE.search(name_of(inspect)) is not None


async def put_away(containers: Containers, new: Json, name: str, change: str, progress: Callable[[str], None]) -> None:
    """Removes the container that ``change`` made in place of ``name``; with files of its own it is kept, and named."""
    why = await _only_copy(containers, new) if was_started(new) else None
    if why is None:
        await containers.remove(new["Id"])
        return
    aside = f"{kept_name(name, change)}-undone"
    if await containers.inspect(aside) is not None:
        aside = f"{aside}-{new['Id'][:12]}"
    await containers.rename(new["Id"], aside)
    shown = text.clean(aside, 200)
    progress(f"the container that was taken back stays, stopped, as {shown}: {why}; `docker rm {shown}` removes it")


async def discard(containers: Containers, point: RestorePoint) -> None:
    """Removes the former container, its volumes kept: the new one uses them.

    Raises :class:`Refused` where it holds files that nothing else has: to remove those is for people alone.
    """
    kept = await containers.inspect(point.subject)
    if kept is None or not is_kept(name_of(kept)) or kept["State"].get("Running"):
        return
    why = await _only_copy(containers, kept)
    if why is not None:
        shown = text.clean(name_of(kept), 200)
        raise Refused(f"{shown} stays, stopped: {why}. `docker rm {shown}` removes it.")
    await containers.remove(point.subject)


async def _only_copy(containers: Containers, inspect: Json) -> str | None:
    """Why a container must not be removed, as a clause; ``None`` where it may be. What cannot be told is kept."""
    try:
        lost = await layer_files(containers, inspect)
    except Unreadable as error:
        return f"it could not be told whether files were changed inside it ({error.failure.why})"
    return None if lost is None else f"files that were changed inside it are nowhere else: {lost}"
