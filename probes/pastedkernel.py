"""What the kernel and the engine say of kills in pasted text: as events, beside which a server's own log is judged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from probes.base import PatternKey
from probes.loghits import LogHit, Mark, Pattern
from probes.model import Event

KILL = Pattern(
    PatternKey("pasted/kernel-kill"),
    r"Kill(?:ed)? process (?P<pid>\d+),? \(?(?P<name>[^(),]{1,40})\)?",
)
"""mm/oom_kill.c: ``Memory cgroup out of memory: Killed process 7 (gunicorn) …``, older ``Kill process 7``."""
TASK = Pattern(
    PatternKey("pasted/kernel-task"), r"oom-kill:constraint=.*,task=(?P<name>[^,]{1,40}),pid=(?P<pid>\d+),uid="
)
VICTIM = Pattern(
    PatternKey("pasted/kubelet-victim"),
    r"System OOM encountered, victim process: (?P<name>[^,]{1,40}), pid: (?P<pid>\d+)",
)
ENGINE = Pattern(
    PatternKey("pasted/engine-oom"), r"container oom (?P<id>[0-9a-f]{12,64}) \(.*name=(?P<name>[\w.\-]{1,200})"
)
PATTERNS = (KILL, TASK, VICTIM, ENGINE)
# The kernel's name of a task has 15 characters; setproctitle changes only what ps shows.
_SERVED = re.compile(r"(?i)^(?:gunicorn|uvicorn|hypercorn|granian|fastapi|python|pypy)")
_SAME_LINES = 60
"""Within so many lines several sentences about one process tell of one kill."""


def events(hits: Iterable[LogHit], now: datetime) -> tuple[Event, ...]:
    """A kill for memory, and the death that it is, for each server or Python process that was killed."""
    found: list[Event] = []
    told: dict[str, list[int]] = {}
    for hit, mark in sorted(_places(hits), key=lambda one: one[1].line):
        who = hit.fields.get("pid") or hit.fields.get("id", "")
        near = told.setdefault(who, [])
        if near and mark.line - near[-1] <= _SAME_LINES:
            continue
        near.append(mark.line)
        at, said = mark.at or now, hit.sample.strip()
        found += [Event(at, "oom", text=said), Event(at, "die", signal=9, text=said)]
    return tuple(found[-64:])


def _places(hits: Iterable[LogHit]) -> list[tuple[LogHit, Mark]]:
    keys = {pattern.key for pattern in PATTERNS}
    return [
        (hit, mark)
        for hit in hits
        if hit.key in keys and (hit.key == ENGINE.key or _SERVED.match(hit.fields.get("name", "")))
        for mark in hit.marks
    ]
