"""Whose process it is, by its control group: a systemd unit's, a container's, or nobody's. Pure."""

from __future__ import annotations

import re

from probes.base import Frozen
from probes.text import clean

_ID = r"[0-9a-f]{64}"
# Docker's two drivers (cgroupfs: /docker/ID; systemd: docker-ID.scope). The engine's own target lists these.
_DOCKER = re.compile(rf"(?:^|/)(?:docker/|docker-)({_ID})(?:\.scope)?(?:/|$)", re.MULTILINE)
# Podman, CRI-O, containerd under a kubelet, LXC: systemd.scope or cgroupfs names.
_OTHER = re.compile(
    rf"(?:^|/)(?:(libpod|crio|cri-containerd|nerdctl)[-:]({_ID})(?:\.scope)?|(kubepods)[^/\n]*/(?:[^\n]*/)?({_ID})"
    r"|(lxc)(?:\.payload)?[./]([A-Za-z0-9_.\-]+))(?:/|$)",
    re.MULTILINE,
)
_UNIT = re.compile(r"/([A-Za-z0-9:_.\\@\-]+\.service)(?:/|$)")


class Origin(Frozen, frozen=True):
    """What started a process, as far as its control group tells."""

    unit: str | None = None
    """``checkout.service``."""
    user_unit: bool = False
    """The unit belongs to a user's own service manager."""
    container: str | None = None
    """The container's id."""
    runtime: str | None = None
    """``docker``, ``libpod``, ``kubepods``, …"""

    def text(self) -> str | None:
        """For people: ``checkout.service``, ``container 0123456789ab (libpod)``."""
        if self.container is not None:
            return f"container {self.container[:12]} ({self.runtime})"
        return self.unit


def origin(cgroup: str | None, own: str | None = None) -> Origin:
    """Reads ``/proc/PID/cgroup``; ``own`` is fastops's: a container that both are in is no origin."""
    found = _container(cgroup or "")
    if found is not None and found != _container(own or ""):
        return Origin(container=found[1], runtime=found[0])
    for row in (cgroup or "").splitlines():
        path = row.rpartition(":")[2]
        units: list[str] = _UNIT.findall(path)
        # A user's manager is a unit itself; what it runs stands below. The manager alone owns sessions, no services.
        inner = [one for one in units if not one.startswith("user@")]
        if inner:
            return Origin(unit=clean(inner[-1], 256), user_unit=len(inner) < len(units))
    return Origin()


def _container(cgroup: str) -> tuple[str, str] | None:
    docker = _DOCKER.search(cgroup)
    if docker:
        return "docker", docker[1]
    other = _OTHER.search(cgroup)
    if other is None:
        return None
    runtime, identity = (one for one in other.groups() if one is not None)
    return runtime, identity
