"""Whether a container's user can read a file in it, by its owner and mode: the engine itself reads everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from probes.target import Unreadable
from probes.targets.docker import archive
from probes.targets.docker.archive import Entry
from probes.targets.docker.client import EngineClient

Json = dict[str, Any]
_FILE_BYTES = 1 << 18
_ROOT = frozenset({"", "0", "root"})


async def by_its_user(client: EngineClient, container: str, body: Json, file: Entry) -> bool:
    """Whether the user that ``body`` names (``User``: ``1000``, ``app``, ``app:group``) can read the file.

    Names are looked up in the container's own ``/etc/passwd`` and ``/etc/group``; a user that is not in there can read
    what everybody can.
    """
    name, _, group = str(body.get("User") or "").partition(":")
    if name in _ROOT or file.mode & 0o004:
        return True
    users = await _rows(client, container, "/etc/passwd", 4)
    found = next((row for row in users if name in (row[0], row[2])), None)
    if file.mode & 0o400 and str(file.uid) == (found[2] if found is not None else name):
        return True
    if not file.mode & 0o040:
        return False
    groups = await _rows(client, container, "/etc/group", 4)
    return str(file.gid) in _groups(name, group, found, groups, (body.get("HostConfig") or {}).get("GroupAdd") or ())


def _groups(
    name: str, group: str, user: Sequence[str] | None, rows: Sequence[Sequence[str]], added: Sequence[str]
) -> Iterator[str]:
    """The numbers of the groups that its process has: as told, else its own and those that it is a member of."""
    for one in (group, *map(str, added)):
        if one:
            yield next((row[2] for row in rows if row[0] == one), one)
    if group:
        return
    yield "0" if user is None else user[3]
    for row in rows:
        if (name if user is None else user[0]) in row[3].split(","):
            yield row[2]


async def _rows(client: EngineClient, container: str, path: str, fields: int) -> list[list[str]]:
    try:
        data = await archive.read(client, container, path, _FILE_BYTES)
    except Unreadable:
        return []
    rows = (line.split(":") for line in data.decode("utf-8", "replace").splitlines())
    return [row for row in rows if len(row) >= fields]
