"""Containers, grouped into deployments with what can be changed about them. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from probes import several, text
from probes.base import DeploymentId, NodeId, TargetId
from probes.control import effective
from probes.loghits import LogCoverage, LogHit
from probes.model import Capability, Deployment, Framework, Replica
from probes.targets.docker.container import Container

COMPOSE = "com.docker.compose."
SWARM_TASK = "com.docker.swarm.task.id"
UNREAD = LogCoverage(state="unread")
_MANAGED = frozenset({"gunicorn", "uvicorn"})


def part(name: str) -> str:
    """A part of an id: what is not a letter, digit or one of ``.-_@:`` is percent-encoded."""
    return quote(name, safe=".-_@:").replace("~", "%7E")


def deployment_id(target: TargetId, container: Container) -> DeploymentId:
    """``docker/NAME``, or ``docker/PROJECT/SERVICE`` for what Compose made."""
    labels = container.labels
    project, service = labels.get(f"{COMPOSE}project"), labels.get(f"{COMPOSE}service")
    if project and service:
        return DeploymentId(f"{target}/{part(project)}/{part(service)}")
    return DeploymentId(f"{target}/{part(container.base.name)}")


def one_off(container: Container) -> bool:
    """Whether it was made by ``docker compose run``."""
    return container.labels.get(f"{COMPOSE}oneoff", "").lower() == "true"


def joined_by(containers: Iterable[Container]) -> dict[str, str]:
    """Id or name of a container that others join → the name of one that does."""
    found: dict[str, str] = {}
    for one in containers:
        modes = (one.host.network_mode, one.host.pid_mode, one.host.ipc_mode)
        joins = [mode.removeprefix("container:") for mode in modes if mode.startswith("container:")]
        joins += [source.split(":")[0] for source in one.host.volumes_from or ()]
        found.update(dict.fromkeys(joins, one.base.name))
    return found


def build(
    target: TargetId,
    key: DeploymentId,
    containers: Sequence[Container],
    *,
    oldest: datetime,
    joined: Mapping[str, str],
    node: NodeId | None,
    local: bool,
    hits: tuple[LogHit, ...] = (),
    logs: LogCoverage = UNREAD,
) -> Deployment:
    """One deployment of its containers, which are at least one."""
    members = sorted(containers, key=lambda one: (_number(one), one.base.name))
    leader = next((one for one in members if one.running), members[0])
    known = leader.known
    assert known is not None
    command, recognition = known.command, known.recognition
    replicas = tuple(one.replica(oldest) for one in members)
    project, service = leader.labels.get(f"{COMPOSE}project"), leader.labels.get(f"{COMPOSE}service")
    composed = bool(project and service)
    framework: Framework = "fastapi" if recognition.framework == "fastapi" else "unknown"
    drivers = sorted({one for c in members if c.reading for one in c.reading.drivers or ()})
    return Deployment(
        id=key,
        target=target,
        name=text.clean(service or "", 200) if composed else leader.base.name,
        kind="compose-service" if composed else "container",
        framework=framework,
        recognised_by=text.line(recognition.why, 300) + several.also(replicas),
        replicas=replicas,
        desired=len(members),
        server=command.server if command else None,
        server_version=recognition.packages.get(command.server) if command else None,
        origin=text.clean(project or "", 200) if composed else None,
        node=node,
        restarts=_sum(replicas),
        settings=effective(command.settings, leader.control) if command else {},
        packages=recognition.packages,
        drivers=tuple(drivers),
        files=_files(leader, command.config_file if command else None) if local else (),
        capabilities=capabilities(members, joined),
        hits=hits,
        logs=logs,
    )


def capabilities(members: Sequence[Container], joined: Mapping[str, str]) -> dict[Capability, str | None]:
    """What can be changed here, ``None``, or the sentence that says why it cannot."""
    swarm = next((_swarm(one) for one in members if _swarm(one)), None)
    recreate = swarm or next((why for one in members if (why := _no_recreate(one, joined))), None)
    leader = next((one for one in members if one.running), members[0])
    server = leader.known.command.server if leader.known and leader.known.command else None
    managed = None if server in _MANAGED else f"{server or 'its own command'} is not managed by gunicorn here."
    bindable = None if server is not None else "The address is set by its own command or code."
    locks = leader.known.locks if leader.known else {}
    return {
        "memory-limit": swarm,
        "nofile": recreate,
        "gunicorn": recreate or managed or locks.get("gunicorn"),
        "bind": recreate or bindable or locks.get("bind"),
        "log-rotation": recreate,
        "variables": recreate,
        "command": recreate or (locks.get("command") if server else "Its own command or code starts its server."),
        "restart": swarm,
        "profile": _no_profile(members),
    }


def _swarm(container: Container) -> str | None:
    if SWARM_TASK in container.labels:
        return f"{container.base.name} is a swarm task: change its service (docker service update), not the task."
    return None


def _no_recreate(container: Container, joined: Mapping[str, str]) -> str | None:
    name = container.base.name
    if container.host.auto_remove:
        return f"{name} was started with --rm: it would be lost when it stops, so it is not made anew."
    other = joined.get(container.id) or joined.get(name) or joined.get(container.id[:12])
    if other is not None:
        return f"{other} uses the network, processes or volumes of {name} and would lose them."
    return None


def _no_profile(members: Sequence[Container]) -> str | None:
    running = [one for one in members if one.running]
    if not running:
        return "It does not run."
    if not any(one.local for one in running):
        return "Its processes are not on this machine: run fastops where the engine runs."
    return None


def _number(container: Container) -> int:
    word = container.labels.get(f"{COMPOSE}container-number", "")
    return int(word) if word.isdecimal() and len(word) < 8 else 0


def _sum(replicas: Sequence[Replica]) -> int | None:
    known = [one.restarts for one in replicas if one.restarts is not None]
    return sum(known) if known else None


def _files(container: Container, config_file: str | None) -> tuple[str, ...]:
    """The Compose files that are here, and gunicorn's file where a bind mount brings it from here."""
    labels = container.labels
    directory = labels.get(f"{COMPOSE}project.working_dir", "/")
    named = [one for one in labels.get(f"{COMPOSE}project.config_files", "").split(",") if one]
    paths = [posixpath.normpath(posixpath.join(directory, one)) for one in named[:16]]
    if config_file is not None:
        paths += _mounted(container, config_file)
    return tuple(text.clean(one, 1000) for one in paths if one.startswith("/") and _is_file(one))


def _mounted(container: Container, path: str) -> list[str]:
    binds = [one for one in container.mounts if one.type == "bind" and one.destination]
    for mount in sorted(binds, key=lambda one: -len(one.destination)):
        if path == mount.destination:
            return [mount.source]
        if path.startswith(mount.destination.rstrip("/") + "/"):
            return [posixpath.join(mount.source, path[len(mount.destination.rstrip("/")) + 1 :])]
    return []


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
