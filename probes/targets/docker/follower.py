"""Follows the log of one container into its deployment's log book: the past once, then what comes, over reconnects."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from datetime import UTC, datetime

from probes import text
from probes.loghits import LogCoverage
from probes.logs import LogStream
from probes.logtime import LineClock
from probes.target import Unreadable
from probes.targets.docker import logs
from probes.targets.docker.client import EngineClient
from probes.targets.docker.container import Container

SOURCE = "docker logs"
_RETRY_SECONDS = (0.5, 15.0)


class Follower:
    """The log of one container. :meth:`run` may be called again after it ended: it goes on where it stopped."""

    def __init__(self, container: Container, stream: LogStream, oldest: datetime, changed: Callable[[], None]) -> None:
        self._container = container
        self._stream = stream
        self._oldest = oldest
        self._changed = changed
        self._past_read = False
        self._next = logs.stamp(oldest)
        self.coverage = LogCoverage(state="unread", why="not read yet")
        self.task: asyncio.Task[None] | None = None

    def start(self, client: EngineClient) -> None:
        """Follows, unless it does already."""
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self.run(client))

    async def stop(self) -> None:
        """Ends at once; what came is kept."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None
            if self.coverage.until is None:
                self.coverage = _until(self.coverage, datetime.now(UTC), self.coverage.why)

    async def run(self, client: EngineClient) -> None:
        """Until the container stops, or is gone. Never raises: a defect ends it, and the coverage says so."""
        why = logs.unreadable(self._container.base.log_driver)
        if why is not None:
            self._settle(LogCoverage(state="unread", why=why))
            return
        try:
            await self._follow(client)
        except Exception as error:  # noqa: BLE001 - a log that is not read must not be taken for a quiet one
            said = text.line(f"reading it failed: {type(error).__name__}: {error}", 300)
            self._settle(_until(self.coverage, datetime.now(UTC), said))

    async def _follow(self, client: EngineClient) -> None:
        failures = 0
        while True:
            try:
                if not self._past_read:
                    await self._read_past(client)
                if not self._container.running:
                    self._stream.end()
                    self._settle(_until(self.coverage, self._container.base.finished_at))
                    return
                self._settle(_until(self.coverage, None))
                received = await self._read_on(client)
                failures = 0 if received else failures + 1
            except Unreadable as unreadable:
                failures += 1
                if unreadable.failure.code == "not-found" or self._unstarted():
                    self._settle(LogCoverage(state="unread", why=unreadable.failure.why))
                    return
                self._settle(_until(self.coverage, datetime.now(UTC), unreadable.failure.why))
            low, high = _RETRY_SECONDS
            await asyncio.sleep(min(high, low * 2 ** min(failures, 6)) * random.uniform(0.7, 1.3))  # noqa: S311

    def _unstarted(self) -> bool:
        return self._container.base.state == "created"

    async def _read_past(self, client: EngineClient) -> None:
        since, count = self._oldest, 0
        first: bytes | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(logs.PAST_SECONDS):
                async for chunk in logs.past(client, self._container.id, self._oldest, tty=self._container.tty):
                    first = first or chunk[: chunk.find(b"\n") + 1]
                    count += chunk.count(b"\n")
                    self._stream.feed(chunk)
        if count >= logs.PAST_LINES and first:
            since = LineClock(UTC).split(first)[0] or since
        self._past_read = True
        # A log that said nothing is asked for from the same moment again: that is a time of the engine's clock, as
        # its lines' stamps are, and no line is read twice that was not there.
        self._next = self._resume(logs.stamp(self._oldest))
        self.coverage = LogCoverage(state="followed", since=since)

    async def _read_on(self, client: EngineClient) -> bool:
        received = False
        try:
            async for chunk in logs.follow(client, self._container.id, self._next, tty=self._container.tty):
                received = True
                self._stream.feed(chunk)
                self._changed()
        finally:
            self._next = self._resume(self._next)
        return received

    def _resume(self, otherwise: str) -> str:
        stamp = self._stream.last_stamp
        return logs.after(stamp) if stamp else otherwise

    def _settle(self, coverage: LogCoverage) -> None:
        self.coverage = coverage
        self._container.log_read = True
        self._changed()


def _until(coverage: LogCoverage, moment: datetime | None, why: str | None = None) -> LogCoverage:
    return LogCoverage(state=coverage.state, since=coverage.since, until=moment, why=why)


def together(coverages: list[LogCoverage]) -> LogCoverage:
    """What holds for all replicas of a deployment: the worst of them."""
    unread = next((one for one in coverages if one.state == "unread"), None)
    if unread is not None or not coverages:
        return unread or LogCoverage(state="unread")
    ends = [one.until for one in coverages if one.until is not None]
    return LogCoverage(
        state="followed",
        since=max((one.since for one in coverages if one.since is not None), default=None),
        until=min(ends) if len(ends) == len(coverages) else None,
        why=next((one.why for one in coverages if one.why), None),
    )
