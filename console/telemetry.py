"""Receives what services send of their own requests, finds out whose it is, and puts it on the board."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence

from console.judging import Judging
from console.nearby import is_here
from probes.aside import Aside
from probes.base import DeploymentId, TargetId
from probes.database import sockets
from probes.database.attribution import addresses, plain
from probes.latency import not_users
from probes.model import Deployment, Latency
from probes.otlp.decode import Export
from probes.otlp.instance import Instance, Peer
from probes.otlp.instances import OWNER, Instances, together
from probes.otlp.receiver import Place, Receiver
from probes.target import Target
from probes.traffic import together as of_deployment

TICK_SECONDS = 1.0
AGAIN_SECONDS = 10.0
"""Until listening is tried again."""
_SOCKETS_SECONDS = 3.0


class TelemetryWatch:
    """Runs in the session's loop; what was heard is put together in threads, for it may be much."""

    def __init__(self, where: Place, targets: Mapping[TargetId, Target], judging: Judging) -> None:
        self._where = where
        self._targets = targets
        self._judging = judging
        self._lock = threading.Lock()
        """Of the two below; never waited for in the loop."""
        self._instances = Instances()
        self._unknown: set[Peer] = set()
        """Who was heard since whose they are was looked for."""
        self._aside = Aside("fastops-peers")

    async def run(self) -> None:
        """Until cancelled."""
        receiver = Receiver(self._where, self._take)
        while (failure := await receiver.open()) is not None:
            self._judging.receiving(None, failure)
            await asyncio.sleep(AGAIN_SECONDS)
        self._judging.receiving(self._where)
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                try:
                    await self._look()
                except Exception as error:  # noqa: BLE001 -- a defect here must not end the session
                    self._judging.receiving(self._where, self._judging.defects.note("reading telemetry", error))
        finally:
            await receiver.close()

    def _take(self, exports: Sequence[Export], peer: Peer) -> None:
        """Called in the receiver's thread."""
        with self._lock:
            self._instances.take(exports, peer, time.monotonic())
            self._unknown.add(peer)

    def _heard(self) -> tuple[tuple[Instance, ...], set[Peer]]:
        with self._lock:
            unknown, self._unknown = self._unknown, set()
            return self._instances.heard(time.monotonic()), unknown

    async def _look(self) -> None:
        """Tells the board what is known now; what did not change costs nothing there."""
        heard, unknown = await asyncio.to_thread(self._heard)
        deployments = {d.id: d for d in self._judging.board.snapshot().deployments()} if heard else {}
        fresh = [one for one in heard if one.owner not in deployments and one.peer in unknown]
        if fresh:
            await self._find_owners(fresh, deployments)
        self._judging.board.hear(await asyncio.to_thread(self._told, heard, deployments) if heard else {})

    def _told(
        self, heard: Sequence[Instance], deployments: Mapping[DeploymentId, Deployment]
    ) -> dict[DeploymentId, Latency]:
        told: dict[DeploymentId, Latency] = {}
        with self._lock:
            for owner in {one.owner for one in heard}:
                deployment = None if owner is None else deployments.get(owner)
                if deployment is None:
                    continue
                mine = [one for one in heard if one.owner == deployment.id]
                for one in mine:
                    one.ignored = not_users(deployment.running)
                traffic = together(mine, processes(deployment), len(deployment.running))
                latency = None if traffic is None else of_deployment([traffic], 1)
                if latency is not None:
                    told[deployment.id] = latency
        return told

    async def _find_owners(self, fresh: Sequence[Instance], deployments: Mapping[DeploymentId, Deployment]) -> None:
        """By the address where that is a replica's own, by the socket where processes share it, else by its name."""
        states = self._judging.board.snapshot().targets
        near = {t for t, s in states.items() if not t.startswith("k8s/") and await is_here(self._targets[t], s)}
        known = [d for d in deployments.values() if d.target in near]
        by_address = addresses(known)
        by_process = sockets.processes(known)
        port = self._where.port
        try:
            by_socket = await self._aside.call(
                lambda: sockets.read(by_process, frozenset({port})), within_seconds=_SOCKETS_SECONDS
            )
        except TimeoutError:
            by_socket = {}
        for one in fresh:
            address, number = plain(one.peer[0]), one.peer[1]
            owner = by_socket.get((address, number)) or by_address.get(address)
            named = DeploymentId(one.resource.get(OWNER, ""))
            one.owner = owner if owner is not None else named if named in deployments else None


def processes(deployment: Deployment) -> int | None:
    """How many processes of a deployment answer requests, where that is known."""
    found = 0
    said = deployment.setting("workers")
    for replica in deployment.running:
        serving = sum(1 for one in replica.workers if one.role != "master")
        if not serving:
            if type(said) is not int or said <= 0:
                return None
            serving = said
        found += serving
    return found or None
