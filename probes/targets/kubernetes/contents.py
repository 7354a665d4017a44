"""Looks once into a container of each template for what its description does not tell: packages, gunicorn's own file.

One small program is run, where programs may be run at all. It reads and prints: directory names of what is installed,
and one configuration file. Large fleets are looked into as far as somebody looks at them or they are in trouble.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from probes import packages
from probes.base import DeploymentId, Frozen, NodeId
from probes.model import Deployment, Interest
from probes.target import ReadOnly, Unreadable
from probes.targets.kubernetes.choice import FEW
from probes.targets.kubernetes.kubelets import Kubelets
from probes.targets.kubernetes.recognition import Told, config_path
from probes.targets.kubernetes.views import ContainerView, PodView, TemplateView

_AT_ONCE = 2
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = (10.0, 600.0)
_REFUSED_SECONDS = 300.0
_DEADLINE_SECONDS = 10.0
_OUTPUT_BYTES = 1 << 20
_REMEMBERED = 20_000
# Read by the interpreter that the image has; `prefixes` are where others may have installed what serves.
_PROGRAM = r"""
import sys
sys.path = [p for p in sys.path if p]
import json, os
prefixes, config = json.loads(sys.argv[1])
def text(path):
    try:
        with open(path, "rb") as f:
            return f.read(262144).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError:
        return None
def told(names):
    return [n for n in names if n.endswith(("-info", ".egg")) or n == "fastapi"][:4000]
first = (text("/proc/1/cmdline") or "").split("\0")[0]
if first.startswith("/") and os.path.basename(os.path.dirname(first)) == "bin":
    prefixes.insert(0, os.path.dirname(os.path.dirname(first)))
if os.environ.get("VIRTUAL_ENV"):
    prefixes.insert(0, os.environ["VIRTUAL_ENV"])
found = {}
for prefix in prefixes + [sys.prefix]:
    for lib in ("lib", "lib64"):
        try:
            versions = sorted(n for n in os.listdir(prefix + "/" + lib) if n.startswith("python3"))
        except OSError:
            continue
        for version in versions:
            for leaf in ("site-packages", "dist-packages"):
                path = "/".join((prefix, lib, version, leaf))
                try:
                    names = os.listdir(path)
                except OSError:
                    continue
                found[path] = told(names)
for path in os.environ.get("PYTHONPATH", "").split(":") + ["/proc/1/cwd"]:
    try:
        found[path] = told(os.listdir(path)) if path else []
    except OSError:
        pass
there = os.path.lexists(config) if config else False
print(json.dumps({"found": found, "config": text(config) if there else None, "absent": bool(config) and not there}))
"""


class Executing(Protocol):
    """What is needed of an :class:`ApiClient`."""

    async def execute(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: tuple[str, ...] | list[str],
        *,
        stdin: bytes = b"",
        timeout_seconds: float = 10.0,
        limit: int = 1 << 20,
    ) -> bytes:
        """Runs a program in a container."""


class Holding(Protocol):
    """What is needed of a fleet."""

    deployments: dict[DeploymentId, Deployment]

    def unseen(
        self, among: Iterable[DeploymentId]
    ) -> Iterator[tuple[DeploymentId, TemplateView, PodView, ContainerView]]:
        """What is listed, runs, and was not looked into."""

    def tell(self, deployment: DeploymentId, template: TemplateView, told: Told) -> None:
        """Takes what was learned."""


class _Seen(Frozen, frozen=True):
    """What the program prints."""

    found: Mapping[str, list[str]] = {}
    config: str | None = None
    absent: bool = False


class Contents:
    """Runs beside the mirror on a live connection, where programs may be run in containers."""

    def __init__(self, fleet: Holding) -> None:
        self._fleet = fleet
        self._tried: dict[tuple[DeploymentId, TemplateView], tuple[int, float]] = {}
        """How often, and when next."""
        self._rest_until = 0.0
        self._ways_in = Kubelets()
        self._running: set[asyncio.Task[None]] = set()
        self.interest = Interest()

    @property
    def settled(self) -> bool:
        """Whether everything was looked into once, where there is little enough of it to look into all."""
        if time.monotonic() < self._rest_until:
            return True
        if len(self._fleet.deployments) > FEW:
            return True
        return not self._running and all(one[:2] in self._tried for one in self._fleet.unseen(self._near()))

    async def run(self, client: Executing) -> None:
        """Looks into what is worth it until cancelled. Never raises."""
        try:
            while True:
                for one in self._due():
                    while len(self._running) >= _AT_ONCE:
                        await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                    if time.monotonic() < self._rest_until:
                        break
                    if self._ways_in.silent(_node(one[2])) is not None:
                        continue
                    task = asyncio.create_task(self._look(client, *one))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _due(self) -> list[tuple[DeploymentId, TemplateView, PodView, ContainerView]]:
        now = time.monotonic()
        if now < self._rest_until:
            return []
        return [
            one
            for one in self._fleet.unseen(self._near())
            if self._tried.get(one[:2], (0, 0.0))[1] <= now and self._ways_in.silent(_node(one[2])) is None
        ]

    def _near(self) -> Collection[DeploymentId]:
        """All of a few; of many those that somebody looks at, or that are in trouble."""
        if len(self._fleet.deployments) <= FEW:
            return tuple(self._fleet.deployments)
        focused = self.interest.focused
        return self.interest.visible | self.interest.troubled | ({focused} if focused is not None else set())

    async def _look(
        self, client: Executing, deployment: DeploymentId, template: TemplateView, pod: PodView, found: ContainerView
    ) -> None:
        if len(self._tried) > _REMEMBERED:
            self._tried.clear()
        count = self._tried.get((deployment, template), (0, 0.0))[0]
        first, longest = _AGAIN_SECONDS
        self._tried[deployment, template] = count + 1, time.monotonic() + min(longest, first * 2.0**count)
        config = config_path(found)
        prefixes = packages.prefixes(found.argv, found.environment, found.working_dir or "/")
        argv = ("python3", "-c", _PROGRAM, json.dumps([prefixes, config or ""]))
        try:
            output = await client.execute(
                pod.namespace, pod.name, found.name, argv, timeout_seconds=_DEADLINE_SECONDS, limit=_OUTPUT_BYTES
            )
            self._ways_in.answered(_node(pod))
            seen = msgspec.json.decode(output, type=_Seen)
        except ReadOnly:
            self._rest_until = float("inf")
            return
        except Unreadable as unreadable:
            if unreadable.failure.code == "forbidden":
                self._rest_until = time.monotonic() + _REFUSED_SECONDS
            self._ways_in.failed(_node(pod), unreadable)
            return
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self._fleet.tell(deployment, template, told(seen, config))


def _node(pod: PodView) -> NodeId | None:
    return NodeId(pod.node) if pod.node else None


def told(seen: _Seen, config: str | None) -> Told:
    """What was printed, understood."""
    # A package without its dist-info counts, though of an unknown version: images are stripped of them.
    installed = packages.installed(list(seen.found), seen.found.get, lambda _: b"\n") or {}
    files: dict[str, bytes | None] = {}
    if config is not None and (seen.absent or seen.config is not None):
        files[config] = None if seen.config is None else seen.config.encode("utf-8", "surrogateescape")
    return Told(packages=installed, files=files, looked=True)
