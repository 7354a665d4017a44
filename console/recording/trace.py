"""The last half hour of one deployment in a recording: its series and its log."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from console.recording.form import Damaged, Moment, Part
from console.recording.pack import decoded, door, inflated, utc
from console.recording.read import Reader, Row
from probes.base import DeploymentId, PatternKey, ReplicaId
from probes.history import History, Metric, Point, SeriesKey, numbers
from probes.loghits import LogLine

BACK_SECONDS = 1800.0
"""How far back series and log lines are read after going to another time."""
READ_SECONDS = 2.0
"""How long that may take: what was not read then is left out."""
MOST_LINES = 2000
MOST_SERIES = 2048


class Trace:
    """Grows as the recording is played."""

    def __init__(self, deployment: DeploymentId) -> None:
        self.deployment = deployment
        self._history = History()
        self._labels: set[tuple[Metric, str]] = set()
        self._lines: deque[LogLine] = deque(maxlen=MOST_LINES)
        self._base = b""

    @classmethod
    def back_from(cls, reader: Reader, to: Row, deployment: DeploymentId) -> Trace:
        """What there is of a deployment up to a moment."""
        trace, end = cls(deployment), time.monotonic() + READ_SECONDS
        with contextlib.suppress(Damaged):  # what can be read is shown
            chapter = reader.find(to.at - BACK_SECONDS).first
            for row, moment in _following(reader, chapter, to):
                trace.take(row, moment)
                if time.monotonic() > end:
                    break
        return trace

    def take(self, row: Row, moment: Moment) -> None:
        """The next moment."""
        if row.id == row.first:
            self._base = b""
        with contextlib.suppress(Damaged, ValueError, OverflowError):  # the latter two of a time that cannot be
            whole, since = moment.whole.get(self.deployment), moment.since.get(self.deployment)
            if whole is not None:
                self._base = inflated(whole)
                self._number(self._base)
            if since is not None and self._base:
                self._number(inflated(since, self._base))
            lines = moment.lines.get(self.deployment)
            if lines is not None:
                self._lines += map(_clean, decoded(inflated(lines), list[LogLine])[-MOST_LINES:])

    def series(self, metric: Metric, since: float) -> Mapping[str, Sequence[Point]]:
        """The series of one metric by label."""
        labels = self._history.labels(self.deployment, metric)
        return {label: self._history.series(SeriesKey(self.deployment, metric, label), since) for label in labels}

    def lines(self, after: int) -> Sequence[LogLine]:
        """The lines with numbers above ``after``."""
        return [line for line in self._lines if line.number > after]

    def _number(self, raw: bytes) -> None:
        for key, at, value in numbers(decoded(raw, Part).deployment):
            label = door(key.label)
            if (key.metric, label) not in self._labels:
                if len(self._labels) >= MOST_SERIES:
                    continue
                self._labels.add((key.metric, label))
            self._history.add(SeriesKey(self.deployment, key.metric, label), at, value)


def _following(reader: Reader, first: int, to: Row) -> Iterator[tuple[Row, Moment]]:
    """The moments of one chapter after the other."""
    before = first - 1
    while before < first <= to.id:
        before = first
        for row, moment in reader.moments(first, to.id):
            yield row, moment
            first = row.id + 1


def _clean(line: LogLine) -> LogLine:
    """It has passed the door, if fastops wrote the file."""
    return replace(
        line,
        replica=ReplicaId(door(line.replica)),
        at=None if line.at is None else utc(line.at),
        text=door(line.text).replace("\n", " "),
        keys=tuple(PatternKey(door(key)) for key in line.keys),
    )
