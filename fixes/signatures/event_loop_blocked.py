"""The event loop does not turn: something synchronous holds it, and every request of the worker waits.

What it means. An ``async def`` endpoint (or a dependency, a middleware, a start-up task) made a call that does not
await: ``time.sleep``, ``requests``, a synchronous driver, a lock. Until it returns, no other request of this worker
is served, not even a health check, while its CPU is idle.

What proves it. A path that no route answers is slow (1 s or more, or a time-out) in 2 of the last 3 requests, with
several workers in 2 of the last 6, while the workers' own CPU, read since the first slow answer, is low: a 404 needs
nothing but the loop. A stack sample of the loop's thread names the line; two samples on the same line are enough alone.
asyncio's debug mode says ``Executing … took N seconds``.

What it is not. Slow endpoints that await, and a slow health endpoint alone (a ``def`` one waits for a thread): the
unknown path stays fast. A worker that computes or is throttled: its CPU is busy. A worker that is ready to run
and gets no CPU: the machine is overloaded. The first seconds of a worker's life, and an import that takes minutes:
gunicorn's master listens before a worker can answer. A server without file descriptors: it cannot accept
(``fd-exhausted``).

What to do. Await the asynchronous counterpart of the call, or move it into a thread (``asyncio.to_thread``, ``def``).
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Undecided, Verdict, View
from fixes.signatures import _cases, _loop, _shared, _wording
from fixes.signatures._blocking import Held, held_at
from fixes.signatures.fd_exhausted import at_limit
from probes.loghits import LogHit
from probes.model import Cpu, Frame, HttpSample, Limit, Replica, StackSample

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
    since = max(view.start, view.now - FRESH)
    if replica.started_at is not None:
        since = max(since, replica.started_at + _loop.START_UP)
    probes = [p for p in replica.loop_probes if p.at >= since and not _loop.while_replaced(replica, p)]
    held = held_at([s for s in replica.stacks if s.at >= since and not _loop.young(replica, s)])
    sure = held is not None and held.times >= 2 and any(w.pid == held.sample.pid for w in replica.workers)
    slow = _loop.slow(probes, len(_shared.serving(replica)), view.threshold(_loop.TOOK))
    if not slow and not sure:
        return _unsure(view, replica, probes)
    if _loop.never_started(view, replica):
        return Undecided("a first answer of the application, which may still be imported")
    busy = _loop.busy(replica)
    if busy or (_no_descriptors(view, replica) and not sure):
        return SILENT
    if not sure and not _loop.judged_since(replica, probes, view.threshold(_loop.TOOK)):
        return Undecided("a look at its workers' CPU since it began to be slow")
    if busy is None and (held is None or not slow):
        return Undecided("the CPU of its workers, or a sample of their stacks")
    return _fires(replica, slow, held)


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


def _fires(replica: Replica, slow: list[HttpSample], held: Held | None) -> Fires:
    evidence = [_of_probe(replica, p) for p in slow[-3:]]
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
    moments = sorted([p.at for p in slow] + ([held.sample.at] if held else []))
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


def _told(view: View) -> Fires | None:
    """Asyncio's own words, without those about the start of a server."""
    hits = [h for h in view.hits(DEBUG.key) if not any(word in h.sample for word in _STARTS)]
    total = sum(_shared.count(view, hit) for hit in hits)
    longest = max((_seconds(hit) for hit in hits), default=0.0)
    if longest < LONG_STEP_SECONDS and total < 3:
        return None
    moments = sorted(m.at for hit in hits for m in _shared.marks(view, hit) if m.at is not None)
    seen = f" ({_shared.times(total)} in {_shared.window_text(view)})" if total > 1 else ""
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


def _probes(*took: float, error: str | None = None) -> tuple[HttpSample, ...]:
    count = len(took)
    return tuple(
        HttpSample(_cases.ago(5.0 * (count - i)), "/fastops-loop", seconds, None if error else 404, error)
        for i, seconds in enumerate(took)
    )


def _stack(seconds_ago: float, line: int, *below: Frame, idle: bool = False) -> StackSample:
    frames = (
        *below,
        Frame("/srv/app/main.py", line, "block"),
        Frame("/opt/venv/lib/python3.11/site-packages/fastapi/routing.py", 212, "run_endpoint_function"),
        Frame("/usr/lib/python3.11/asyncio/runners.py", 118, "run"),
    )
    return StackSample(_cases.ago(seconds_ago), 17, frames, idle)


_IDLE = (_cases.worker(cpu_percent=2.0),)
_BUSY = (_cases.worker(cpu_percent=98.0),)
_REQUESTS = Frame("/opt/venv/lib/python3.11/site-packages/requests/sessions.py", 703, "send")
_RECV = Frame("/usr/lib/python3.11/socket.py", 706, "readinto")
_PYDEV = "[2026-11-22 09:35:18 +0000] [7] [WARNING] "

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
    fires=(
        Example(
            "time-outs alone, of an application that said that it had started",
            "[2026-11-22 11:58:00 +0000] [7] [INFO] Booting worker with pid: 17\n"
            "[2026-11-22 11:58:01 +0000] [17] [INFO] Application startup complete.\n",
            deployment=_cases.container(
                workers=_IDLE, started_at=_cases.ago(600), loop_probes=_probes(4, 4, 4, error="timeout")
            ),
        ),
        Example(
            "an unknown path is slow while the CPU is idle",
            deployment=_cases.container(workers=_IDLE, loop_probes=_probes(0.01, 2.1, 1.4)),
        ),
        Example(
            "time-outs, one of two workers",
            deployment=_cases.container(
                workers=(*_IDLE, _cases.worker(18, cpu_percent=5.0)), loop_probes=_probes(0.01, 3, 0.01, 0.01, 3, 0.01)
            ),
        ),
        Example(
            "two samples on the same line",
            deployment=_cases.container(
                workers=_IDLE, stacks=(_stack(9, 52, _RECV, _REQUESTS), _stack(4, 52, _RECV, _REQUESTS))
            ),
        ),
        Example(
            "asyncio's debug mode",
            "Executing <Task finished name='Task-5' coro=<RequestResponseCycle.run_asgi() done, defined at "
            "/opt/venv/lib/python3.11/site-packages/uvicorn/protocols/http/h11_impl.py:364> result=None> "
            "took 0.506 seconds\n",
        ),
        Example(
            "the same with a logger's prefix",
            _PYDEV + "Executing <Handle BaseSelectorEventLoop._read_ready() created at x.py:1> took 3.500 seconds\n",
        ),
    ),
    silent=(
        Example(
            "slow endpoints that await: the unknown path is fast",
            deployment=_cases.container(
                workers=_IDLE, loop_probes=_probes(0.001, 0.002, 0.001), health_probes=_probes(6.0, 6.0, 6.0)
            ),
        ),
        Example(
            "one slow answer, the latest",
            deployment=_cases.container(workers=_IDLE, loop_probes=_probes(0.01, 0.01, 2.0)),
            undecided=True,
        ),
        Example(
            "one slow answer, and quick ones since",
            deployment=_cases.container(workers=_IDLE, loop_probes=_probes(2.0, 0.01, 0.01, 0.01)),
        ),
        Example(
            "a first answer that came late",
            deployment=_cases.container(workers=_IDLE, loop_probes=_probes(0.6)),
            undecided=True,
        ),
        Example(
            "one late answer of a busy worker",
            deployment=_cases.container(workers=_BUSY, loop_probes=_probes(0.01, 0.01, 2.0)),
        ),
        Example(
            "a middleware awaits before each answer",
            deployment=_cases.container(workers=_IDLE, loop_probes=_probes(*[0.4] * 8)),
        ),
        Example("the CPU is busy", deployment=_cases.container(workers=_BUSY, loop_probes=_probes(2.0, 2.0, 2.0))),
        Example(
            "the machine has no CPU for it",
            deployment=_cases.container(
                workers=(_cases.worker(cpu_percent=6.0, queued_percent=71.0),), loop_probes=_probes(2.0, 2.0, 2.0)
            ),
        ),
        Example(
            "the CPU was read when it was not slow yet",
            deployment=_cases.container(workers=_IDLE, sampled_at=_cases.ago(60), loop_probes=_probes(0.01, 2.0, 2.0)),
            undecided=True,
        ),
        Example(
            "the CPU is throttled",
            deployment=_cases.container(
                workers=_IDLE, cpu=Cpu(throttled_ratio=0.6), loop_probes=_probes(2.0, 2.0, 2.0)
            ),
        ),
        Example(
            "workers at a quota of a tenth of a core",
            deployment=_cases.container(
                workers=(_cases.worker(cpu_percent=5.0), _cases.worker(18, cpu_percent=4.0)),
                cpu=Cpu(used_cores=0.02, limit=Limit(limited=True, value=0.1)),
                loop_probes=_probes(1.1, 1.6, 1.3),
            ),
        ),
        Example(
            "it starts",
            deployment=_cases.container(workers=_IDLE, started_at=_cases.ago(12), loop_probes=_probes(2.0, 2.0)),
        ),
        Example(
            "gunicorn's master listens, and its workers still import the application",
            "[2026-11-22 11:58:00 +0000] [7] [INFO] Booting worker with pid: 17\n",
            deployment=_cases.container(
                workers=_IDLE, started_at=_cases.ago(600), loop_probes=_probes(4, 4, 4, error="timeout")
            ),
            undecided=True,
        ),
        Example(
            "a server that tells nothing of its start, in its second minute",
            deployment=_cases.container(
                workers=_IDLE, started_at=_cases.ago(90), loop_probes=_probes(4, 4, 4, error="timeout")
            ),
            undecided=True,
        ),
        Example(
            "no descriptors are left",
            "socket.accept() out of system resource\n",
            deployment=_cases.container(workers=_IDLE, loop_probes=_probes(5, 5, 5, error="timeout")),
        ),
        Example(
            "nothing listens", deployment=_cases.container(workers=_IDLE, loop_probes=_probes(5, 5, 5, error="refused"))
        ),
        Example(
            "workers are being replaced",
            deployment=_cases.container(
                workers=(_cases.worker(cpu_percent=2.0, started_at=_cases.ago(20)), _cases.worker(18, cpu_percent=1.0)),
                loop_probes=_probes(4.8, 4.8, 4.8),
            ),
        ),
        Example(
            "two slow answers, and all workers were replaced between them",
            deployment=_cases.container(
                workers=(_cases.worker(cpu_percent=2.0, started_at=_cases.ago(60)),),
                loop_probes=(HttpSample(_cases.ago(120), "/x", 3.3, 404), HttpSample(_cases.ago(27), "/x", 2.5, 404)),
            ),
            undecided=True,
        ),
        Example(
            "samples of a worker that has just been born",
            deployment=_cases.container(
                workers=(_cases.worker(started_at=_cases.ago(12)),), stacks=(_stack(9, 52), _stack(4, 52))
            ),
        ),
        Example(
            "samples of a worker that is gone",
            deployment=_cases.container(workers=(_cases.worker(99),), stacks=(_stack(9, 52), _stack(4, 52))),
        ),
        Example("one stack sample", deployment=_cases.container(workers=_IDLE, stacks=(_stack(4, 52),))),
        Example(
            "a loop that waits for events",
            deployment=_cases.container(workers=_IDLE, stacks=(_stack(9, 52, idle=True), _stack(4, 52, idle=True))),
        ),
        Example(
            "asyncio's debug mode about the server's own start",
            "Executing <Task pending name='Task-1' coro=<Server.serve() running at /x/uvicorn/server.py:71>> "
            "took 0.900 seconds\n",
        ),
        Example("a short step", "Executing <Task finished name='T' coro=<f()>> took 0.104 seconds\n"),
        Example(
            "neither CPU nor stack is known",
            deployment=_cases.container(loop_probes=_probes(2.0, 2.0, 2.0)),
            undecided=True,
        ),
    ),
)
