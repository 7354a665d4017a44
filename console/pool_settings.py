"""Looks into each service's own files for the size of its pool, once, beside the targets: nobody waits for it."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Mapping, Sequence

from console.judging import Judging
from console.nearby import targets_read
from probes import rooted
from probes.base import ReplicaId, TargetId
from probes.database import poolsearch
from probes.database.budget import NOTHING, Found
from probes.database.poolsearch import MODULE_BYTES, Place, Read
from probes.model import Deployment, Replica
from probes.target import Target, Unreadable

EVERY_SECONDS = 5.0
"""Between two looks for services that were not there, or were started anew."""
REST_SECONDS = 20.0
"""Likewise where many run and nothing was new: going through them takes time itself."""
FEW = 60
SEARCH_SECONDS = 20.0
"""One service's files; those of a slow engine are not read to the end, and nothing is said of its pool."""
MOST_DEPLOYMENTS = 300
"""At one look; the others have their turn at the next."""
_AT_ONCE = 4


class PoolSettings:
    """Runs in the session's loop; what it finds goes to the board."""

    def __init__(self, targets: Mapping[TargetId, Target], judging: Judging, sources: Sequence[str] = ()) -> None:
        """``sources``: absolute paths of directories on this machine with the code of services (``--source``)."""
        self._targets = targets
        self._judging = judging
        self._board = judging.board
        self._sources = sources
        self._looked: set[ReplicaId] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.read = False
        """The services that were there at first were looked at."""

    async def run(self) -> None:
        """Looks until cancelled."""
        await targets_read(self._board, self._targets)
        while True:
            new = self._new()
            await asyncio.gather(*(self._look(deployment, replica) for deployment, replica in new))
            if not self.read:
                self.read = True
                self._judging.more_was_read()
            await asyncio.sleep(EVERY_SECONDS if new or len(self._looked) <= FEW else REST_SECONDS)

    def _new(self) -> list[tuple[Deployment, Replica]]:
        running = [(one, one.running[0]) for one in self._board.snapshot().deployments() if one.running]
        self._looked &= {replica.id for _, replica in running}
        new = [(one, r) for one, r in running if r.id not in self._looked and poolsearch.may_have_pool(one)]
        return new[:MOST_DEPLOYMENTS]

    async def _look(self, deployment: Deployment, replica: Replica) -> None:
        async with self._turns:
            self._looked.add(replica.id)
            found = NOTHING
            try:
                async with asyncio.timeout(SEARCH_SECONDS):
                    found = await self._found(deployment, replica)
            except TimeoutError:
                pass
            except Exception as error:  # noqa: BLE001 -- a defect here must cost nothing but this answer
                self._judging.defects.note("reading the settings of pools", error)
            self._board.found(deployment.id, found)

    async def _found(self, deployment: Deployment, replica: Replica) -> Found:
        """What runs is believed before a copy of it. Files inside pods are not read: a program would have to be run."""
        where = poolsearch.place(deployment, replica)
        if where is None:
            return NOTHING
        found = NOTHING
        if deployment.orchestrated is None:
            found = await poolsearch.search(self._reader(deployment, replica), where, replica.environment)
        for source in self._sources if found.code is None else ():
            module = posixpath.join(source, posixpath.basename(where.module)) if where.is_script else where.module
            there = Place((source, f"{source}/src"), module)
            copy = await poolsearch.search(_local, there, replica.environment, needs_module=True)
            if copy != NOTHING:
                return copy
        return found

    def _reader(self, deployment: Deployment, replica: Replica) -> Read:
        access = self._targets[deployment.target].access

        async def read(path: str) -> bytes | None:
            try:
                return await access.read(replica.id, path, MODULE_BYTES)
            except Unreadable:
                return None

        return read


async def _local(path: str) -> bytes | None:
    return await asyncio.to_thread(rooted.read_file, "/", path, MODULE_BYTES)
