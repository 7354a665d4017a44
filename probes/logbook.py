"""The logs of one deployment together: its replicas' streams, opened as they are heard of."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from probes.accessformat import Format
from probes.accesslog import AccessLog
from probes.base import ReplicaId
from probes.loghits import LogHit, LogLine
from probes.logs import RING_BYTES, Arrivals, LogStream, Matcher

_ENOUGH_LINES = 20


class LogBook:
    """The logs of one deployment: a stream per replica and source, their lines numbered as they arrived."""

    def __init__(self, matcher: Matcher, *, zone: tzinfo = UTC, ring_bytes: int = RING_BYTES) -> None:
        self._matcher = matcher
        self._zone = zone
        self._ring_bytes = ring_bytes
        self._arrivals = Arrivals()
        self._streams: dict[tuple[ReplicaId, str | None], LogStream] = {}
        self._requests: dict[ReplicaId, tuple[AccessLog, ...]] = {}
        self._form: Format | None = None

    def stream(self, replica: ReplicaId, source: str | None = None) -> LogStream:
        """The stream of a replica from one source (its output, what is said of it), opened where there is none."""
        found = self._streams.get((replica, source))
        if found is None:
            found = self._streams[replica, source] = LogStream(
                self._matcher,
                replica,
                source,
                arrivals=self._arrivals,
                zone=self._zone,
                ring_bytes=self._ring_bytes,
            )
            found.requests.expect(self._form)
            self._requests[replica] = (*self._requests.get(replica, ()), found.requests)
        return found

    def drop(self, replica: ReplicaId) -> None:
        """Forgets a replica that is gone."""
        self._streams = {key: stream for key, stream in self._streams.items() if key[0] != replica}
        self._requests.pop(replica, None)

    def expect(self, form: Format | None) -> None:
        """The format of the access logs among them; said before the first line, its past is understood, too."""
        self._form = form
        for stream in self._streams.values():
            stream.requests.expect(form)

    def requests(self, replica: ReplicaId) -> tuple[AccessLog, ...]:
        """What the logs of a replica say of its requests."""
        return self._requests.get(replica, ())

    @property
    def structured_ratio(self) -> float | None:
        """How many of the lines are JSON objects, in tenths; ``None`` below 20 lines. Events are none of them."""
        own = [stream for stream in self._streams.values() if stream.source != "event"]
        seen = sum(stream.seen for stream in own)
        return round(sum(stream.structured for stream in own) / seen, 1) if seen >= _ENOUGH_LINES else None

    def hits(self, since: datetime | None = None) -> tuple[LogHit, ...]:
        """The hits of all replicas."""
        return tuple(hit for stream in self._streams.values() for hit in stream.hits(since))

    def lines(self, after: int = 0) -> tuple[LogLine, ...]:
        """The kept lines of all replicas in order of arrival, numbers above ``after``."""
        found = [line for stream in self._streams.values() for line in stream.lines(after)]
        return tuple(sorted(found, key=lambda line: line.number))
