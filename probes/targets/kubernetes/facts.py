"""What a rewriting has to know beside the object: plain data that goes with a step, so that it is repeated exactly."""

from __future__ import annotations

from collections.abc import Mapping

from probes import text
from probes.base import Frozen
from probes.model import Deployment
from probes.target import Refused
from probes.targets.kubernetes.ids import replica_parts


class Facts(Frozen, frozen=True):
    """Of the deployment at the time of drafting."""

    container: str
    """The container that serves."""
    server: str | None = None
    packages: Mapping[str, str] = {}
    command: tuple[str, ...] = ()
    """As it was seen to run, secrets redacted; empty where only the image knows it."""
    given: frozenset[str] = frozenset()
    """Settings that the command line gives, by their names: a variable does not change them."""
    host: str | None = None
    port: int | None = None
    used_bytes: int | None = None
    """The largest working set of a replica."""


def facts_of(deployment: Deployment, containers: tuple[str, ...]) -> Facts:
    """``containers`` are those of the template; raises :class:`Refused` where none is known to serve."""
    named = [replica_parts(r.id)[2] for r in deployment.replicas]
    container = next((name for name in named if name in containers), containers[0] if len(containers) == 1 else None)
    if container is None:
        name = text.clean(deployment.name, 200)
        raise Refused(f"Which of {name}'s containers serves cannot be told while none of its pods is there.")
    port = deployment.setting("port")
    host = deployment.setting("host")
    used = [r.memory.used_bytes for r in deployment.running if r.memory.used_bytes is not None]
    listening = sorted({one.port for r in deployment.running for one in r.listeners or ()})
    return Facts(
        container=container,
        server=deployment.server,
        packages=dict(deployment.packages),
        command=next((r.command for r in deployment.replicas if r.command), ()),
        given=frozenset(n for n, setting in deployment.settings.items() if setting.source == "command line"),
        host=str(host) if host is not None else None,
        port=port if isinstance(port, int) else (listening[0] if len(listening) == 1 else None),
        used_bytes=max(used, default=None),
    )
