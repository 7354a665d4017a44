"""What was read of each deployment's logs: its book, and how far the log of each of its replicas was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from probes import accessformat
from probes.accesslog import AccessLog
from probes.base import DeploymentId, ReplicaId
from probes.logbook import LogBook
from probes.loghits import LogHit, LogLine
from probes.logs import RING_BYTES, Matcher
from probes.model import Deployment
from probes.targets.kubernetes import happenings, logs
from probes.targets.kubernetes.follower import Log
from probes.targets.kubernetes.ids import replica_parts
from probes.targets.kubernetes.views import HappeningView

SAMPLED_REPLICAS = 2
_RINGS_BYTES = 64 << 20
_LEAST_RING_BYTES = 8 << 10


class Books:
    """Changed by the target's event loop alone. Nothing is opened for what was never read."""

    def __init__(
        self,
        deployments: Callable[[], Mapping[DeploymentId, Deployment]],
        lookback: timedelta,
        touch: Callable[[Iterable[ReplicaId]], None],
    ) -> None:
        """``touch`` is called when something was found in a replica's log."""
        self._deployments = deployments
        self._lookback = lookback
        self._touch = touch
        self._books: dict[DeploymentId, LogBook] = {}
        self._logs: dict[DeploymentId, dict[ReplicaId, Log]] = {}
        self.matcher: Matcher | None = None
        """What lines are matched with; until it is there none can be taken."""

    def of(self, deployment: DeploymentId) -> Mapping[ReplicaId, Log]:
        """The logs that were opened of its replicas."""
        return self._logs.get(deployment, {})

    def keep(self, deployment: DeploymentId, present: set[ReplicaId]) -> None:
        """Forgets the replicas that are no more."""
        known = self._logs.get(deployment, {})
        for gone in known.keys() - present:
            del known[gone]
            self._books[deployment].drop(gone)

    def forget(self, deployment: DeploymentId) -> Iterable[ReplicaId]:
        """It is gone; whose logs were open."""
        self._books.pop(deployment, None)
        return self._logs.pop(deployment, {})

    def log(self, deployment: DeploymentId, replica: ReplicaId) -> Log:
        """The log of a replica, opened at the first call."""
        known = self._logs.setdefault(deployment, {})
        log = known.get(replica)
        if log is None:
            stream = self._book(deployment).stream(replica, logs.SOURCE)
            oldest = datetime.now(UTC) - self._lookback
            log = known[replica] = Log(stream, oldest, lambda: self._touch((replica,)))
        return log

    def hear(self, deployment: DeploymentId, replica: ReplicaId, event: HappeningView) -> None:
        """Takes what the API says of a replica as a line."""
        if self.matcher is None:
            return
        self._book(deployment).stream(replica, happenings.SOURCE).feed(
            happenings.line(event, replica_parts(replica)[2])
        )
        self._touch((replica,))

    def hits(self, deployment: DeploymentId, oldest: datetime) -> tuple[LogHit, ...]:
        """What matched in a deployment's logs since ``oldest``."""
        book = self._books.get(deployment)
        return () if book is None else book.hits(oldest)

    def requests(self, deployment: DeploymentId, replica: ReplicaId) -> tuple[AccessLog, ...]:
        """What a replica's log says of requests."""
        book = self._books.get(deployment)
        return () if book is None else book.requests(replica)

    def lines(self, deployment: DeploymentId, after: int) -> tuple[LogLine, ...]:
        """The kept tail of a deployment's logs."""
        book = self._books.get(deployment)
        return () if book is None else book.lines(after)

    def structured_ratio(self, deployment: DeploymentId) -> float | None:
        """The share of its lines that are records; ``None`` where too few were read."""
        book = self._books.get(deployment)
        return book.structured_ratio if book is not None else None

    def _book(self, key: DeploymentId) -> LogBook:
        book = self._books.get(key)
        if book is None:
            assert self.matcher is not None
            share = _RINGS_BYTES // (SAMPLED_REPLICAS * max(1, len(self._deployments())))
            ring = max(_LEAST_RING_BYTES, min(RING_BYTES, share))
            book = self._books[key] = LogBook(self.matcher, ring_bytes=ring)
            if (found := self._deployments().get(key)) is not None:
                book.expect(accessformat.of(found.server, found.settings))
        return book
