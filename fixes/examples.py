"""Makes a view of an example: what a signature would see if the example were a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from fixes.counted import counted
from fixes.model import Example, View
from fixes.signatures import _cases
from probes.history import Metric, Point
from probes.loghits import LogCoverage, LogHit, Mark
from probes.logs import Matcher, match_text
from probes.model import Deployment

WINDOW = timedelta(minutes=15)
_LAST_LINE_AGE = timedelta(seconds=30)
"""How long before the moment of looking the last dated line of an example is taken to have been written."""


def view_of(example: Example, matcher: Matcher, now: datetime = _cases.NOW) -> View:
    """The example as a signature sees it at ``now``; its log lines are moved so that they end shortly before."""
    deployment = example.deployment or _cases.deployment()
    if example.log:
        deployment = with_log(deployment, example.log.encode(), matcher, now)
    moved: dict[Metric, Mapping[str, Sequence[Point]]] = {
        metric: {
            label: tuple(Point(now.timestamp() + point[0], point[1]) for point in points)
            for label, points in by_label.items()
        }
        for metric, by_label in example.series.items()
    }
    judged = counted(deployment)
    return View(
        deployment=judged,
        now=now,
        window=WINDOW,
        series=lambda metric: moved.get(metric, {}),
        node=example.node,
        whole=None if judged is deployment else deployment,
    )


def with_log(deployment: Deployment, log: bytes, matcher: Matcher, now: datetime) -> Deployment:
    """The deployment with what matches in a log of its first replica, dated to end shortly before ``now``."""
    hits = match_text(matcher, log, deployment.replicas[0].id, "example")
    latest = max((m.at for h in hits for m in h.marks if m.at is not None), default=None)
    shift = timedelta() if latest is None else now - _LAST_LINE_AGE - latest
    return msgspec.structs.replace(
        deployment,
        hits=tuple(_moved(hit, shift) for hit in hits),
        logs=LogCoverage("followed", since=now - WINDOW, until=now),
    )


def _moved(hit: LogHit, shift: timedelta) -> LogHit:
    marks = tuple(Mark(m.line, None if m.at is None else m.at + shift) for m in hit.marks)
    return msgspec.structs.replace(hit, marks=marks)
