"""The seams between fastops and the engines that run services.

A target is one folder under ``probes/targets``. The session, the signatures and the screens know nothing but what
stands here.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, runtime_checkable

from probes.base import DeploymentId, Failure, Frozen, ReplicaId, TargetId
from probes.intent import Intent, RestorePoint, Step
from probes.loghits import LogLine, Pattern
from probes.model import Deployment, Interest, StackSample, TargetState


class ReadOnly(Exception):
    """Something that would change the world was asked for in read-only mode."""


class Unreadable(Exception):
    """Something could not be read; carries the failure as data."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.what}: {failure.why}")
        self.failure = failure


class Refused(Exception):
    """A step was not performed and nothing is left half done; the text is one sentence for people."""


class Outdated(Refused):
    """Nothing was begun, because what is there is not what the diff was made of: a new plan tells."""


class Answer(Frozen, frozen=True):
    """What a service answered, or how it did not."""

    status: int | None
    body: bytes
    """Capped at 1 MiB."""
    took_seconds: float
    error: str | None = None
    """``timeout``, ``refused``, ``reset``, ``unreachable``, ``invalid``; ``None`` when there is a status."""


class Options(Frozen, frozen=True):
    """What a target is opened with."""

    patterns: tuple[Pattern, ...] = ()
    read_only: bool = False
    interval_seconds: float = 2.0
    """Between two samples of what is looked at; the rest is read less often."""
    lookback: timedelta = timedelta(minutes=15)
    unknown: bool = False
    """List what cannot be told to be FastAPI, too."""
    execute: bool = False
    """A short program may be run inside replicas to read their processes, where nothing else can; never in read-only
    mode."""
    namespace: str | None = None
    """Look at this namespace alone; ``None`` for all that may be listed, or the context's own."""
    prometheus: str | None = None
    """The URL of a Prometheus server that holds the figures of the target's replicas."""


class Access(Protocol):
    """Reading one replica, whatever the engine. Every call has a deadline and raises :class:`Unreadable` only."""

    async def get(self, replica: ReplicaId, port: int, path: str, timeout_seconds: float = 5.0) -> Answer:
        """GET ``path`` on a port inside the replica's network; errors are answers."""

    async def read(self, replica: ReplicaId, path: str, limit: int = 1 << 20) -> bytes:
        """A file as the replica sees it, ``limit`` bytes at most."""

    def logs(self, replica: ReplicaId, since: datetime) -> AsyncIterator[bytes]:
        """Chunks of log bytes from ``since`` on, followed until closed."""

    def dial(self, replica: ReplicaId, host: str, port: int) -> AbstractAsyncContextManager[tuple[str, int]]:
        """An address on this machine that reaches ``host:port`` as the replica would."""

    async def environment(self, replica: ReplicaId) -> Mapping[str, str]:
        """The environment with its secrets, to connect as the replica does: never kept, shown, logged or written."""

    async def stacks(self, replica: ReplicaId, pid: int) -> StackSample:
        """The stack of a worker's main thread; ``pid`` is :attr:`Worker.pid`. The process is never stopped for it."""


class Variables(dict[str, str]):
    """An environment of which some variables could not be read."""

    def __init__(self, read: Mapping[str, str], unread: Mapping[str, Failure]) -> None:
        super().__init__(read)
        self.unread = unread
        """A variable's name, or ``PREFIX*`` for those of which not even the names are known → why."""


class Way(Protocol):
    """A way to a port that no address of this machine leads to."""

    @property
    def failure(self) -> Failure | None:
        """What the way itself said of why it ended."""

    async def open(self) -> socket.socket:
        """A stream to the port, for this process alone; closing it ends it. Raises :class:`Unreadable`."""


class Reached(NamedTuple):
    """Where ``HOST:PORT`` of a replica is."""

    address: str
    """An address, or a name that this machine resolves."""
    port: int
    way: Way | None = None
    """``None`` where the address leads there from here."""
    inside: TargetId | None = None
    """The cluster whose own network the address is of: there, private addresses mean what that cluster says."""


@runtime_checkable
class Reaches(Protocol):
    """An access that finds its way to what only the replicas' own network knows, and holds it open while it is used."""

    async def reach(self, replica: ReplicaId, host: str, port: int) -> Reached:
        """The way to ``host:port`` as the replica would take it; raises :class:`Unreadable`."""


@runtime_checkable
class Collects(Protocol):
    """A target whose replicas do not reach fastops, but collectors of telemetry that run beside them."""

    async def collectors(self, deployment: DeploymentId) -> tuple[str, ...]:
        """URLs to which metrics may be sent as OTLP over HTTP, the likeliest first; raises :class:`Unreadable`."""


class Drafter(Protocol):
    """Pure rewriting of the documents of a deployment: reads only, safe in read-only mode."""

    async def draft(self, deployment: Deployment, want: Intent) -> Sequence[Step]:
        """The steps that make ``want`` true, in order; raises :class:`Refused` where a guard forbids it."""


class Writer(Protocol):
    """Performs steps; used by ``fixes/apply.py`` alone. Steps are idempotent and carry the change's id.

    The journal holds no texts, so after a crash a step may come back without them: only where its drafter set
    ``arguments["resumable"]`` to true. Both texts are then empty and ``after.version`` is the SHA-256 (hex) of the
    UTF-8 of the text that was wanted. ``perform`` completes what it had begun (it is as wanted already, its temporary
    file with that hash is there, the new container exists) or raises :class:`Refused` having changed nothing.
    ``restore`` and ``abandon`` accept what they have put back already, and steps of which nothing was begun.
    A drafter may also set ``arguments["confirm"]`` (why the deployment's name has to be typed) and
    ``arguments["notes"]`` (a list of sentences shown with the diff) and ``arguments["undo_notes"]`` (shown with the
    diff of an undo).
    """

    async def perform(self, step: Step, change: str, progress: Callable[[str], None]) -> RestorePoint:
        """Performs or completes a step; raises :class:`Refused` after having put back what it had begun."""

    async def restore(self, point: RestorePoint, change: str, progress: Callable[[str], None]) -> None:
        """Takes a performed step back; raises :class:`Refused` when what is there is not what the step left."""

    async def check(self, point: RestorePoint, change: str) -> None:
        """Raises :class:`Refused` where :meth:`restore` would, for what can be told without a change; reads only.

        It is asked for every point of a change before the first is restored, so that an undo is refused as a whole.
        """

    async def abandon(self, step: Step, change: str, progress: Callable[[str], None]) -> None:
        """Takes back what an interrupted ``perform`` of this step left, whatever that is."""

    async def discard(self, point: RestorePoint) -> None:
        """Removes what was kept for an undo that will not come (a kept container, a backup).

        Raises :class:`Refused`, having removed nothing, where that is the only copy of somebody's files.
        """


class Target(Protocol):
    """A Docker host, the local processes, and what is to come."""

    id: TargetId
    access: Access

    @property
    def drafter(self) -> Drafter:
        """What drafts fixes."""

    async def run(self, publish: Callable[[TargetState], None]) -> None:
        """Publishes its state as it learns, until cancelled. Failures are states; never raises."""

    def focus(self, interest: Interest) -> None:
        """What to read first; called from the session's loop."""

    def lines(self, deployment: DeploymentId, after: int = 0) -> Sequence[LogLine]:
        """The kept tail of the logs of a deployment, in order of arrival, numbers above ``after``."""

    async def preserve(self, deployment: DeploymentId) -> Mapping[str, bytes]:
        """Evidence that a fix would destroy: file name → redacted content, within 10 s."""

    def writer(self) -> Writer:
        """Raises :class:`ReadOnly` in read-only mode."""

    async def close(self) -> None:
        """Ends connections and helper processes."""
