"""The application's start-up does not come to an end: it neither completes nor fails.

What it means. The lifespan's start-up (or a start-up event) waits for something without a time-out: a database, a
broker, a lock, a model that is downloaded. Until it returns, the server accepts no request.

What proves it. ``Waiting for application startup.`` more than 60 s ago, and since then neither ``Application startup
complete.`` nor a failure nor another start, while the container runs and its CPU is idle.

What it is not. A start that computes (CPU busy), or one that takes as long as earlier starts did. One of several
workers, while others came up.

What to do. See where it waits (profile), and give each wait in the lifespan a time-out.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import SILENT, Example, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _cases, _logged, _loop, _shared, _wording
from probes.loghits import LogHit
from probes.model import Replica

LONG = timedelta(seconds=60)
_ENDS = (_wording.STARTED, *_wording.BOOT_FAILURES, _wording.STOPPING, _wording.BOOTING, _wording.TIMED_OUT)


def detect(view: View) -> Verdict:
    """Fires for replicas whose latest start waits for more than a minute."""
    found, unknown = [], False
    for replica in view.deployment.running:
        waits = _shared.latest_line(view, replica.id, None, _wording.WAITING)
        if waits is None or waits.at is None or view.now - waits.at < max(LONG, _usual(view, replica)):
            continue
        ends = _shared.latest_line(view, replica.id, None, *_ENDS)
        if (ends is not None and ends.line > waits.line) or (replica.started_at or waits.at) > waits.at + LONG:
            continue
        busy = _loop.busy(replica)
        unknown = unknown or busy is None
        if busy is False:
            found += [(hit, waits) for hit in _hits(view, replica)]
    if not found:
        return Undecided("the CPU of its workers") if unknown else SILENT
    waited = max((view.now - place.at).total_seconds() for _, place in found if place.at is not None)
    title = f"the application's start-up has not ended for {_shared.duration(waited)}"
    return _logged.fires(view, found, "error", title, count=1, facts={"waited_seconds": round(waited)})


def _hits(view: View, replica: Replica) -> list[LogHit]:
    return [h for h in view.deployment.hits if h.key == _wording.WAITING.key and h.replica == replica.id]


def _usual(view: View, replica: Replica) -> timedelta:
    """How long the longest earlier start of this replica took."""
    waits = sorted((m.line, m.at) for h in _hits(view, replica) for m in h.marks if m.at is not None)
    longest = timedelta()
    for hit in view.deployment.hits:
        if hit.key != _wording.STARTED.key or hit.replica != replica.id:
            continue
        for mark in hit.marks:
            begun = [at for line, at in waits if line < mark.line]
            if mark.at is not None and begun:
                longest = max(longest, mark.at - begun[-1])
    return longest * 1.5


_WAITS = "2026-11-22T09:00:00Z INFO:     Waiting for application startup.\n"
_DONE = "INFO:     Application startup complete.\n"
_IDLE = _cases.container(workers=(_cases.worker(cpu_percent=1.0),))
# What follows dates the text: its last line that matters was written half a minute ago.
_NOW = "2026-11-22T09:05:00Z Worker (pid:1) was sent SIGKILL!\n"

SIGNATURE = Signature(
    id=SignatureId("startup-stalled"),
    title="Start-up does not end",
    severity="error",
    detect=detect,
    remedies=(RemedyId("profile"), RemedyId("edit-probes"), RemedyId("advise")),
    proof=BY_START,
    source="uvicorn/lifespan/on.py (0.17 to 0.54): it waits for the application without a limit",
    patterns=(_wording.WAITING, *_ENDS),
    fires=(
        Example("five minutes", _WAITS + _NOW, deployment=_IDLE),
        Example(
            "longer than before",
            "2026-11-22T08:59:00Z Waiting for application startup.\n2026-11-22T08:59:09Z " + _DONE + _WAITS + _NOW,
            deployment=_IDLE,
        ),
    ),
    silent=(
        Example("it completed", _WAITS + "2026-11-22T09:04:00Z " + _DONE + _NOW, deployment=_IDLE),
        Example("it failed", _WAITS + "2026-11-22T09:05:00Z Application startup failed. Exiting.\n", deployment=_IDLE),
        Example("half a minute", _WAITS, deployment=_IDLE),
        Example("it computes", _WAITS + _NOW, deployment=_cases.container(workers=(_cases.worker(cpu_percent=99.0),))),
        Example("its container ended", _WAITS + _NOW, deployment=_cases.container(state="exited")),
        Example(
            "earlier starts took as long",
            "2026-11-22T08:50:00Z Waiting for application startup.\n2026-11-22T08:54:50Z " + _DONE + _WAITS + _NOW,
            deployment=_IDLE,
        ),
        Example("its CPU is not known", _WAITS + _NOW, undecided=True),
    ),
)
