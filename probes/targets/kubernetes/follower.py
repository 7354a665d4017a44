"""The log of one replica: read now and then, or followed, over restarts of its container and broken connections."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec

from probes import text
from probes.loghits import LogCoverage
from probes.logs import LogStream
from probes.logtime import LineClock
from probes.model import Replica
from probes.orchestrator import Ended
from probes.target import Unreadable
from probes.targets.kubernetes import logs
from probes.targets.kubernetes.client import ApiClient

SAMPLE_SECONDS = 15.0
"""All that one reading of a log may take."""
_RETRY_SECONDS = (0.5, 15.0)
_NEVER_STARTED = "invalid"
"""The API's answer (400) for a container that has no log yet."""


class Log:
    """What was read of one replica's log; goes on where it stopped, whoever reads."""

    def __init__(self, stream: LogStream, oldest: datetime, changed: Callable[[], None]) -> None:
        self.stream = stream
        self.coverage = LogCoverage(state="unread", why="not read yet")
        self._lines = logs.Lines()
        self._since = oldest
        self._changed = changed
        self._ends: set[datetime | None] = set()
        """The ends of runs whose output was read as that of the previous container."""
        self._past_read = False
        self._noticed: Ended | None = None
        self._told = asyncio.Event()
        self._turn = asyncio.Lock()
        """Who reads has it: two readings at once would tell everything twice."""

    def crashed(self, replica: Replica) -> bool:
        """Whether a run ended within the look-back whose output was not read yet."""
        end = replica.last_end
        return end is not None and end.at not in self._ends and (end.at is None or end.at >= self._since)

    def notice(self, replica: Replica) -> bool:
        """Whether there is a crash that was not noticed before."""
        if not self.crashed(replica) or replica.last_end == self._noticed:
            return False
        self._noticed = replica.last_end
        return True

    async def told(self, seconds: float) -> None:
        """Until it was read once, or could not be; at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()

    async def sample(self, client: ApiClient, replica: Replica) -> None:
        """Reads what is new once: the run before, where it crashed, and this one. Raises :class:`Unreadable`."""
        if self._turn.locked():
            return
        begun = datetime.now(UTC)
        async with self._turn, asyncio.timeout(SAMPLE_SECONDS):
            if self.crashed(replica):
                await self._read_previous(client, replica)
            whole = await self._take(client, replica, tail=logs.SAMPLE_LINES)
        self._settle("sampled", None if whole else begun, until=begun)

    async def follow(self, client: ApiClient, state: Callable[[], Replica | None]) -> None:
        """Until cancelled, or until the replica is gone or has no running container. Never raises."""
        try:
            async with self._turn:
                await self._follow(client, state)
        except Exception as error:  # noqa: BLE001 - a log that is not read must not be taken for a quiet one
            said = text.line(f"reading it failed: {type(error).__name__}: {error}", 300)
            self._settle("followed", until=datetime.now(UTC), why=said)
        finally:
            if self.coverage.state == "followed" and self.coverage.until is None:
                self.coverage = msgspec.structs.replace(self.coverage, until=datetime.now(UTC))

    async def _follow(self, client: ApiClient, state: Callable[[], Replica | None]) -> None:
        failures = 0
        while (replica := state()) is not None:
            before = self._lines.latest
            try:
                async with asyncio.timeout(SAMPLE_SECONDS):
                    if self.crashed(replica):
                        await self._read_previous(client, replica)
                    begun = datetime.now(UTC)
                    # The past is read first: of a log that is quiet, following says nothing, not even that it works.
                    whole = await self._take(client, replica, tail=logs.PAST_LINES)
                self._settle("followed", None if whole else begun)
                await self._read_on(client, replica)
                # The stream ended: the container did, or the way to it was cut; what was its last word is read again.
                async with asyncio.timeout(SAMPLE_SECONDS):
                    await self._read_previous(client, state() or replica)
                if (after := state()) is None or after.state != "running":
                    self.stream.end()
                    self._settle("followed", until=datetime.now(UTC))
                    return
            except TimeoutError:
                self._settle("followed", until=datetime.now(UTC), why="the kubelet did not answer in time")
            except Unreadable as unreadable:
                code, why = unreadable.failure.code, unreadable.failure.why
                self._settle("followed", until=datetime.now(UTC), why=why)
                if code in {"not-found", _NEVER_STARTED, "forbidden"}:
                    return
            failures = 0 if self._lines.latest != before else failures + 1
            low, high = _RETRY_SECONDS
            await asyncio.sleep(min(high, low * 2 ** min(failures, 6)) * random.uniform(0.7, 1.3))  # noqa: S311

    async def _read_on(self, client: ApiClient, replica: Replica) -> None:
        tail = logs.PAST_LINES
        reading = logs.read(client, replica.id, self._lines, since=self._since, tail=tail, follow=True)
        async with aclosing(reading) as chunks:
            async for chunk in chunks:
                self.stream.feed(chunk)
                self._settle("followed")

    async def _read_previous(self, client: ApiClient, replica: Replica) -> None:
        """The output of the run before; that the kubelet has none any more is no failure."""
        end = replica.last_end
        if end is not None:
            self._ends.add(end.at)
        try:
            await self._take(client, replica, tail=logs.SAMPLE_LINES, previous=True)
        except Unreadable as unreadable:
            if unreadable.failure.code not in {"not-found", _NEVER_STARTED, "server-error"}:
                raise
        self.stream.end()

    async def _take(self, client: ApiClient, replica: Replica, *, tail: int, previous: bool = False) -> bool:
        """Feeds what is new; whether nothing of it was left out. The past is dated by its first line where it was."""
        count, size, first = 0, 0, b""
        reading = logs.read(client, replica.id, self._lines, since=self._since, tail=tail, previous=previous)
        async with aclosing(reading) as chunks:
            async for chunk in chunks:
                first = first or chunk[: chunk.find(b"\n") + 1]
                count += chunk.count(b"\n")
                size += len(chunk)
                self.stream.feed(chunk)
                if size > logs.PAST_BYTES:
                    break
        if previous:
            return True
        whole = count < tail and size <= logs.PAST_BYTES
        if not whole and not self._past_read:
            self._since = LineClock(UTC).split(first)[0] or self._since
            whole = True
        self._past_read = True
        return whole

    def _settle(
        self, state: str, gap_until: datetime | None = None, *, until: datetime | None = None, why: str | None = None
    ) -> None:
        """Says what is covered; after a gap the cover begins anew behind it."""
        if state == "followed" and why is not None and self.coverage.state == "unread" and self._lines.latest is None:
            found = LogCoverage(state="unread", why=why)
        else:
            since = gap_until or self.coverage.since or self._since
            found = LogCoverage(
                state="sampled" if state == "sampled" else "followed", since=since, until=until, why=why
            )
        self._say(found)

    def unread(self, why: str) -> None:
        """Says that it could not be read; what was read before stays covered."""
        if self.coverage.state == "unread":
            found = LogCoverage(state="unread", why=why)
        else:
            found = msgspec.structs.replace(self.coverage, why=why)
        if found != self.coverage:
            self._say(found)
        self._told.set()

    def _say(self, found: LogCoverage) -> None:
        self.coverage = found
        self._told.set()
        self._changed()
