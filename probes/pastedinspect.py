"""A container that ``docker inspect`` described, as a deployment of which nothing is measured."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from probes import servers, text
from probes.base import DeploymentId, TargetId
from probes.model import Deployment
from probes.targets.docker import parse
from probes.targets.docker.answers import Inspect


def container(found: Inspect) -> Deployment:
    """The container, with the settings of its server's command."""
    one = parse.replica(found)
    command = servers.parse(found.argv, found.environment, servers.no_files, found.config.working_dir or "/")
    settings = command.settings if command else {}
    if command and command.server == "gunicorn":  # a gunicorn.conf.py that is not seen here may say otherwise
        settings = {key: value for key, value in settings.items() if value.source != "default"}
    name = one.name or text.clean(found.id, 12) or "container"
    return Deployment(
        id=DeploymentId(f"docker/{name}"),
        target=TargetId("docker"),
        name=name,
        kind="container",
        framework="fastapi",
        recognised_by="it was pasted",
        replicas=(replace(one, sampled_at=seen_at(one.started_at, one.finished_at, one.created_at)),),
        server=command.server if command else None,
        settings=settings,
        restarts=one.restarts,
    )


def served(found: list[Deployment]) -> list[Deployment]:
    """Of several containers those that run one of the servers or Python: the others are databases and the like."""
    ours = [one for one in found if one.server or any("python" in word for word in one.replicas[0].command)]
    return ours or found


def seen_at(*moments: datetime | None) -> datetime | None:
    """The latest moment that a document tells of: it was written then or later."""
    return max((moment for moment in moments if moment is not None), default=None)
