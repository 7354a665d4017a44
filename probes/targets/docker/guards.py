"""When a container must not be made again, and when that needs a typed yes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from probes import text
from probes.target import Refused
from probes.targets.docker.containers import Containers
from probes.targets.docker.documents import is_kept, name_of

Json = dict[str, Any]
_NAMED = 3
# What a service leaves behind by running, and makes again: bytecode, sockets, pid files, logs and caches.
_TRANSIENT = re.compile(
    r"/__pycache__(/|$)|\.py[co]$|\.sock(et)?$|\.ctl$|\.pid$|\.lock$|\.log(\.[\w.-]+)?$|/\.?logs?(/|$)|/\.?caches?(/|$)"
    r"|/\.(gunicorn|python_history|bash_history|pytest_cache)(/|$)|^/(tmp|run|dev|proc|sys|var/(tmp|run|lock))(/|$)"
    r"|^/etc/(hosts|hostname|resolv\.conf|mtab)$|/prometheus_multiproc[^/]*(/|$)"
)


def refuse_recreate(inspect: Json) -> None:
    """Raises :class:`Refused` for a container that must not be made again, by what it is itself."""
    refuse_owned(inspect)
    if inspect["HostConfig"].get("AutoRemove"):
        name = text.clean(name_of(inspect), 200)
        raise Refused(f"{name} was started with --rm: stopping it would remove it. Start it without --rm, then fix it.")


def refuse_owned(inspect: Json) -> None:
    """Raises :class:`Refused` for a container that must not be changed at all."""
    name = text.clean(name_of(inspect), 200)
    labels: Json = inspect["Config"].get("Labels") or {}
    if "com.docker.swarm.task.id" in labels or "com.docker.swarm.service.id" in labels:
        raise Refused(f"{name} is a task of a swarm service: change the service (docker service update) instead.")
    if "io.kubernetes.pod.name" in labels:
        raise Refused(f"{name} belongs to a Kubernetes pod: change the pod's owner instead.")
    if is_kept(name):
        raise Refused(f"{name} is kept for an undo and not in service.")
    if inspect["State"].get("Paused"):
        raise Refused(f"{name} is paused: unpause it first (docker unpause {name}).")


async def refuse_joined(containers: Containers, inspect: Json) -> None:
    """Raises :class:`Refused` where other containers use this one's network, processes, volumes or a legacy link."""
    mine, name = str(inspect["Id"]), name_of(inspect)
    for other_id in await containers.ids():
        other = None if other_id == mine else await containers.inspect(other_id)
        how = None if other is None or is_kept(name_of(other)) else _joins(other["HostConfig"], mine, name)
        if other is not None and how:
            them, me = text.clean(name_of(other), 200), text.clean(name, 200)
            raise Refused(f"{them} {how} {me} and would lose it: recreate both by the means that made them.")


async def layer_confirmation(containers: Containers, inspect: Json) -> str | None:
    """The sentence to confirm where files were changed inside the container; ``None`` where nothing would be lost."""
    lost = await layer_files(containers, inspect)
    if lost is None:
        return None
    name = text.clean(name_of(inspect), 200)
    return f"Files were changed inside {name}, and the new container will not have them: {lost}."


async def layer_files(containers: Containers, inspect: Json) -> str | None:
    """The files that would be lost with a container, the first of them named; ``None`` where there are none."""
    lost = worth_keeping(await containers.changes(inspect["Id"]), [m["Destination"] for m in inspect["Mounts"] or []])
    if not lost:
        return None
    shown = ", ".join(text.clean(path, 120) for path in lost[:_NAMED])
    return f"{shown} and {len(lost) - _NAMED} more" if len(lost) > _NAMED else shown


def worth_keeping(changes: Sequence[Json], mounted: Sequence[str]) -> list[str]:
    """Paths of the writable layer that would be missed, sorted: neither transient, nor mounted, nor a mere folder."""
    paths = {str(one["Path"]) for one in changes}
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
    points = [point.rstrip("/") for point in mounted]
    return sorted(
        path
        for path in paths - folders
        if not _TRANSIENT.search(path)
        and not any(path == point or path.startswith(f"{point}/") or point.startswith(f"{path}/") for point in points)
        and not (path == "/root" or re.fullmatch(r"/home/[^/]+", path))
    )


def _joins(host: Json, mine: str, name: str) -> str | None:
    def is_me(other: str) -> bool:
        other = other.lstrip("/")
        return bool(other) and (other == name or (len(other) >= 12 and mine.startswith(other)))

    for key, how in (
        ("NetworkMode", "shares the network of"),
        ("PidMode", "shares the processes of"),
        ("IpcMode", "shares the memory of"),
    ):
        mode = str(host.get(key) or "")
        if mode.startswith("container:") and is_me(mode.removeprefix("container:")):
            return how
    if any(is_me(str(one).partition(":")[0]) for one in host.get("VolumesFrom") or []):
        return "takes its volumes from"
    if any(is_me(str(one).partition(":")[0]) for one in host.get("Links") or []):
        return "is linked to"
    return None
