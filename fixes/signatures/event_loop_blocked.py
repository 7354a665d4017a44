"""The event loop does not turn: something synchronous holds it, and every request of the worker waits.

What it means. An ``async def`` endpoint (or a dependency, a middleware, a start-up task) made a call that does not
await: ``time.sleep``, ``requests``, a synchronous driver, a lock. Until it returns, no other request of this worker
is served, not even a health check, while its CPU is idle.

What proves it. A path that no route answers is slow (1 s or more, or a time-out) in 2 of the last 3 requests, with
several workers in 2 of the last 6, while the workers' own CPU, read since the first slow answer, is low: a 404 needs
nothing but the loop. A stack sample of the loop's thread names the line; two samples on the same line are enough alone.
gunicorn's control socket tells of a worker that gave no sign of life for longer than half the time-out: beside a slow
answer, or a stack sample of that worker, it proves it; of several workers the others answer. asyncio's debug mode
says ``Executing … took N seconds``.

What it is not. Slow endpoints that await, and a slow health endpoint alone (a ``def`` one waits for a thread): the
unknown path stays fast. A worker that computes or is throttled: its CPU is busy. A worker that is ready to run
and gets no CPU: the machine is overloaded. The first seconds of a worker's life, and an import that takes minutes:
gunicorn's master listens before a worker can answer. A server without file descriptors: it cannot accept
(``fd-exhausted``).

What to do. Await the asynchronous counterpart of the call, or move it into a thread (``asyncio.to_thread``, ``def``).
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import SILENT, Evidence, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.signatures import _event_loop_blocked_examples, _loop, _shared, _wording
from fixes.signatures._blocking import Held, held_at
from fixes.signatures.fd_exhausted import at_limit
from probes.loghits import LogHit
from probes.model import Heartbeat, HttpSample, Replica, Worker

FRESH = timedelta(minutes=4)
"""Older probes and samples say nothing of now."""
LONG_STEP_SECONDS = 0.25
"""One step of the loop that took so long holds every other request; shorter ones (asyncio tells from 0.1 s) only if
there are three."""

DEBUG = _wording.complaint("loop/executing", r"Executing <.+> took (?P<seconds>\d+\.\d+) seconds")
_STARTS = (
    "Server.serve()",
    "Server._serve()",
    "LifespanOn.main()",
    "Lifespan.handle_lifespan()",
    "worker_serve()",
    "<module>",
)


def detect(view: View) -> Verdict:
    """Fires on slow probes of an idle worker, on two stack samples that agree, or on asyncio's own words."""
    verdicts = [_replica(view, replica) for replica in view.deployment.running]
    fires = next((v for v in verdicts if isinstance(v, Fires)), None)
    if fires is not None:
        return fires
    told = _told(view)
    if told is not None:
        return told
    return next((v for v in verdicts if isinstance(v, Undecided)), SILENT)


def _replica(view: View, replica: Replica) -> Verdict:
    if not (replica.loop_probes or replica.stacks or replica.heartbeats):
        return SILENT  # nothing was asked: so it is with most of a large fleet
    since = max(view.start, view.now - FRESH)
    if replica.started_at is not None:
        since = max(since, replica.started_at + _loop.START_UP)
    probes = [p for p in replica.loop_probes if p.at >= since and not _loop.while_replaced(replica, p)]
    held = held_at([s for s in replica.stacks if s.at >= since and not _loop.young(replica, s)])
    silent = _loop.silent(replica, since)
    sure = (
        held is not None
        and (held.times >= 2 or any(beat.pid == held.sample.pid for beat in silent))
        and any(w.pid == held.sample.pid for w in replica.workers)
    )
    slow = _loop.slow(probes, len(_shared.serving(replica)), view.threshold(_loop.TOOK), 1 if silent else 2)
    if not slow and not sure:
        return _unheard(replica, silent) or _unsure(view, replica, probes)
    if _loop.never_started(view, replica):
        return Undecided("a first answer of the application, which may still be imported")
    busy = _loop.busy(replica)
    if busy or (_no_descriptors(view, replica) and not sure):
        return SILENT
    if not sure and not _loop.judged_since(replica, probes, view.threshold(_loop.TOOK)):
        return Undecided("a look at its workers' CPU since it began to be slow")
    if busy is None and (held is None or not slow):
        return Undecided("the CPU of its workers, or a sample of their stacks")
    return _fires(replica, slow, held, silent)


def _unheard(replica: Replica, silent: list[Heartbeat]) -> Verdict | None:
    """What is missing where nothing but its silence speaks against a worker."""
    if not silent or _loop.busy(replica):
        return None
    worker = next((w for w in replica.workers if w.pid == silent[0].pid), None)
    return Undecided(
        f"a sample of the stack of worker {_shown(worker, silent[0])}, of which gunicorn heard nothing for"
        f" {silent[0].silent_seconds:.0f} s"
    )


def _shown(worker: Worker | None, beat: Heartbeat) -> int:
    """The worker's pid as its logs say it."""
    return (None if worker is None else worker.inner_pid) or beat.pid


def _unsure(view: View, replica: Replica, probes: list[HttpSample]) -> Verdict:
    """Too few slow answers: nothing is wrong, or too few were asked for."""
    if not _loop.disagree(probes, view.threshold(_loop.TOOK)):
        return SILENT
    if _loop.busy(replica) or _no_descriptors(view, replica):
        return SILENT
    return Undecided("more answers of a path without a route: of the latest, some were late and some were not")


def _no_descriptors(view: View, replica: Replica) -> bool:
    if any(at_limit(w) for w in replica.workers):
        return True
    hits = view.hits(_wording.NO_DESCRIPTOR.key, _wording.ACCEPT_FAILED.key)
    return any(hit.replica == replica.id for hit in hits)


def _fires(replica: Replica, slow: list[HttpSample], held: Held | None, silent: list[Heartbeat]) -> Fires:
    evidence = [_of_probe(replica, p) for p in slow[-3:]] + [_of_beat(replica, one) for one in silent[:3]]
    facts: dict[str, str | int | float | bool] = {}
    where = ""
    if held is not None:
        place, sample = held.place, held.sample
        facts = {"file": place.file, "line": place.line, "function": place.function, "pid": sample.pid}
        if place.call:
            facts["call"] = place.call
        where = f": it stands in {place.text}"
        evidence.insert(
            0,
            Evidence(
                "stack",
                f"{_shared.times(held.times)} seen in {place.text}",
                at=sample.at,
                replica=replica.id,
                worker=sample.pid,
                file=place.file,
                line=place.line,
            ),
        )
    longest = max((p.took_seconds for p in slow), default=0.0)
    took = f" (a path without a route took {longest:.1f} s)" if slow else ""
    if slow:
        facts["slowest_seconds"] = round(longest, 2)
    moments = sorted([p.at for p in slow] + [b.at for b in silent] + ([held.sample.at] if held else []))
    return Fires(
        severity="error",
        title=f"the event loop is blocked{where}{took}",
        evidence=tuple(evidence),
        count=max(len(slow), held.times if held else 0),
        first_at=moments[0],
        last_at=moments[-1],
        facts=facts,
    )


def _of_probe(replica: Replica, sample: HttpSample) -> Evidence:
    answer = f"answered {sample.status}" if sample.status is not None else f"{sample.error}"
    text = f"GET {sample.path} {answer} after {sample.took_seconds:.2f} s"
    return Evidence("http", text, at=sample.at, replica=replica.id, value=sample.took_seconds, unit="seconds")


def _of_beat(replica: Replica, beat: Heartbeat) -> Evidence:
    worker = _shown(next((w for w in replica.workers if w.pid == beat.pid), None), beat)
    text = (
        f"worker {worker} gave gunicorn no sign of life for {beat.silent_seconds:.1f} s; a loop that turns gives one"
        f" every {beat.every_seconds:g} s"
    )
    return Evidence(
        "gunicorn", text, at=beat.at, replica=replica.id, worker=beat.pid, value=beat.silent_seconds, unit="seconds"
    )


def _told(view: View) -> Fires | None:
    """Asyncio's own words, without those about the start of a server."""
    hits = [h for h in view.hits(DEBUG.key) if not any(word in h.sample for word in _STARTS)]
    total = sum(_shared.count(view, hit) for hit in hits)
    longest = max((_seconds(hit) for hit in hits), default=0.0)
    if longest < LONG_STEP_SECONDS and total < 3:
        return None
    moments = sorted(m.at for hit in hits for m in _shared.marks(view, hit) if m.at is not None)
    seen = _shared.seen(view, total)
    return Fires(
        severity="error",
        title=f"one step held the event loop for {longest:.1f} s{seen}",
        evidence=tuple(_shared.evidence_of(hit) for hit in hits[-5:]),
        count=total,
        first_at=moments[0] if moments else None,
        last_at=moments[-1] if moments else None,
        facts={"slowest_seconds": longest},
    )


def _seconds(hit: LogHit) -> float:
    return float(hit.fields.get("seconds", "0")[:12])


SIGNATURE = Signature(
    id=SignatureId("event-loop-blocked"),
    title="Event loop blocked",
    severity="error",
    detect=detect,
    thresholds=(_loop.TOOK,),
    remedies=(RemedyId("profile"), RemedyId("advise")),
    source="docs.python.org/3/library/asyncio-dev.html (running blocking code, debug mode); fastapi.tiangolo.com/async",
    patterns=(DEBUG, _wording.NO_DESCRIPTOR, _wording.ACCEPT_FAILED, _wording.BOOTING, _wording.STARTED),
    explains=(
        SignatureId("worker-timeout"),
        SignatureId("pool-exhausted"),
        SignatureId("slow-requests"),
        SignatureId("http-pool-exhausted"),
        SignatureId("crash-loop"),
    ),
    fires=_event_loop_blocked_examples.FIRES,
    silent=_event_loop_blocked_examples.STAYS_SILENT,
)
