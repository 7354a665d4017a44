"""What several signatures ask: marks in the window, evidence from a hit, what came before and after in a log."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from fixes.model import SILENT, Evidence, Undecided, Verdict, View
from fixes.signatures import _wording
from probes.base import ReplicaId
from probes.history import Point
from probes.loghits import LogHit, Mark, Pattern
from probes.model import Replica, Worker

MIB = 1024 * 1024
STAYS_UP = timedelta(seconds=10)
"""A start that lasted so long is taken for a good one."""
LISTENS_ANEW = timedelta(seconds=30)
_EXCEPTION = re.compile(
    r"(?:^|[\s|\"])(?P<text>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Timeout|NotFound|Exit)(?:: .*|\s*$))"
)


class At(NamedTuple):
    """One place in one replica's log."""

    replica: ReplicaId
    line: int
    at: datetime | None


def keys(patterns: Iterable[Pattern]) -> tuple[str, ...]:
    """The keys to ask a view for."""
    return tuple(p.key for p in patterns)


def marks(view: View, hit: LogHit) -> tuple[Mark, ...]:
    """The kept marks in the window; those of unknown time are taken to be in it."""
    return tuple(m for m in hit.marks if m.at is None or m.at >= view.start)


def count(view: View, hit: LogHit) -> int:
    """How often it matched in the window."""
    kept = len(marks(view, hit))
    return max(hit.count, kept) if kept == len(hit.marks) else kept


def places(view: View, *patterns: Pattern) -> Iterator[tuple[LogHit, At]]:
    """Every kept place of these patterns in the window."""
    if not view.deployment.hits:
        return
    for hit in view.hits(*keys(patterns)):
        for mark in marks(view, hit):
            yield hit, At(hit.replica, mark.line, mark.at)


def latest_line(view: View, replica: ReplicaId, before: int | None, *patterns: Pattern) -> At | None:
    """The last place of these patterns in a replica's log, below the line ``before`` where that is given.

    Looks beyond the window: what came before a line explains it however long ago it was.
    """
    if not view.deployment.hits:
        return None
    wanted = keys(patterns)
    found = [
        At(hit.replica, mark.line, mark.at)
        for hit in view.deployment.hits
        if hit.key in wanted and hit.replica == replica
        for mark in hit.marks
        if before is None or mark.line < before
    ]
    return max(found, key=lambda place: place.line, default=None)


def evidence_of(hit: LogHit) -> Evidence:
    """The latest line that matched; events that a target renders as lines are events."""
    pid = hit.fields.get("pid", "")
    return Evidence(
        source="event" if hit.source == "event" else "log",
        text=hit.sample.strip(),
        at=hit.marks[-1].at,
        replica=hit.replica,
        worker=int(pid) if pid.isdecimal() and len(pid) < 12 else None,
    )


def span(found: Sequence[At]) -> tuple[datetime | None, datetime | None]:
    """The first and the last time among places."""
    times = [place.at for place in found if place.at is not None]
    return min(times, default=None), max(times, default=None)


def replica_of(view: View, identity: ReplicaId) -> Replica | None:
    """The replica of this id, while the deployment has it."""
    return next((r for r in view.deployment.replicas if r.id == identity), None)


def serving(replica: Replica) -> tuple[Worker, ...]:
    """The processes that answer requests."""
    return tuple(w for w in replica.workers if w.role != "master")


def unseen(view: View) -> Verdict:
    """Silent where the logs were read; where they were not, silence proves nothing."""
    logs = view.deployment.logs
    if logs.state != "unread":
        return SILENT
    return Undecided(f"its logs: {logs.why}" if logs.why else "its logs, which are not read")


def came_up(view: View, place: At) -> bool | None:
    """Whether the application started after this place in its log, and stays up; ``None`` while it just started.

    Servers that say nothing of a good start count when they listen half a minute after the replica began anew.
    """
    replica = replica_of(view, place.replica)
    if replica is None or replica.state != "running":
        return False
    good = latest_line(view, place.replica, None, _wording.STARTED)
    if good is not None and good.line > place.line:
        return True if good.at is None or view.now - good.at >= STAYS_UP else None
    anew = replica.started_at is not None and place.at is not None and replica.started_at > place.at
    return anew and bool(replica.listeners) and view.now - (replica.started_at or view.now) >= LISTENS_ANEW


def just_started() -> Undecided:
    """The answer while a failure was followed by a start that has not lasted yet."""
    return Undecided(f"{duration(STAYS_UP.total_seconds())} of the application staying up")


def exception_in(lines: Sequence[str]) -> str | None:
    """The last exception that these lines of a traceback name, with its message."""
    for line in reversed(lines):
        found = _EXCEPTION.search(line)
        if found:
            return found["text"].strip()[:300]
    return None


def unfolded(text: str) -> list[str]:
    """A line that carries a traceback in JSON, as the lines it was made of; any other line alone."""
    return text.replace("\\n", "\n").replace('\\"', '"').split("\n") if "\\n" in text else [text]


NEAR = timedelta(seconds=30)
"""Between the kernel's kill and the death that the engine, the log or the process table tells of."""


class Rise(NamedTuple):
    """How far a counter rose in the window, and when it was last seen to rise."""

    by: int
    at: datetime | None
    """``None`` when it rose before it was looked at first: nobody knows when."""
    seen: int
    """The counter's latest value."""
    spans: tuple[tuple[datetime, datetime], ...]
    """For each rise the time in which it came: between two looks, or between the start and the first look."""

    def near(self, moment: datetime | None) -> bool:
        """Whether it rose about then; unknown times are near nothing."""
        return moment is not None and any(begin - NEAR <= moment <= end + NEAR for begin, end in self.spans)


def oom_rises(view: View) -> Mapping[ReplicaId, Rise]:
    """The kernel's kills for memory in each replica's control group within the window.

    The counter begins at 0 with the control group, so in a container that started within the window all of them count.
    """
    found = {replica.id: oom_rise(view, replica, view.start) for replica in view.deployment.replicas}
    return {identity: rise for identity, rise in found.items() if rise is not None}


def oom_rise(view: View, replica: Replica, since: datetime | None = None) -> Rise | None:
    """The kernel's kills for memory in one replica's control group since then, or since they are known of."""
    points = view.series("oom-kills").get(replica.id, ())
    if not points and not replica.memory.oom_kills:
        return None
    total, spans = _risen(points, since.timestamp() if since is not None else 0.0)
    last = spans[-1][1] if spans else None
    begun = replica.started_at
    if begun is not None and (since is None or begun >= since):
        # What the first look at this start shows came before it, unless a look at the start before it told it apart.
        first = bisect_left(points, begun.timestamp(), key=lambda p: p.at)
        if first < len(points):
            looked, shown = datetime.fromtimestamp(points[first].at, UTC), int(points[first].value)
        else:
            looked, shown = max(begun, replica.sampled_at or view.now), replica.memory.oom_kills or 0
        if shown and (first == 0 or first == len(points) or points[first - 1].value == points[first].value):
            total, spans = total + shown, [(begun, looked), *spans]
    if not total:
        return None
    seen = points[-1].value if points else replica.memory.oom_kills or total
    return Rise(total, last, int(seen), tuple(spans))


def _risen(points: Sequence[Point], since: float) -> tuple[int, list[tuple[datetime, datetime]]]:
    total, spans = 0, []
    first = bisect_left(points, since, key=lambda p: p.at)
    for before, after in pairwise(points[max(0, first - 1) :]):
        # A counter that fell began anew at 0, with a new control group.
        by = after.value - before.value if after.value >= before.value else after.value
        if by > 0:
            total += int(by)
            spans.append((datetime.fromtimestamp(before.at, UTC), datetime.fromtimestamp(after.at, UTC)))
    return total, spans


def times(number: int) -> str:
    """``once``, ``twice``, ``5 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def window_text(view: View) -> str:
    """The look-back in words: ``15 min``."""
    return duration(view.window.total_seconds())


def within(view: View) -> str:
    """`` in 15 min``; nothing for a pasted text, which may tell of any time."""
    return "" if view.pasted else f" in {window_text(view)}"


def seen(view: View, total: int) -> str:
    """`` (3 times in 15 min)`` behind a title; nothing where it was seen once."""
    return f" ({times(total)}{within(view)})" if total > 1 else ""


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h``, ``2 days``: one unit, rounded."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"


def mebibytes(size: float) -> str:
    """``64 MiB``, ``1.5 GiB``."""
    return f"{size / MIB:.0f} MiB" if size < 1024 * MIB else f"{size / MIB / 1024:.1f} GiB"
