"""All threads for ``def`` endpoints are busy, and further requests to them wait.

What it means. FastAPI runs ``def`` endpoints and dependencies in a pool of 40 threads per worker (AnyIO's default).
When 40 of them wait for something slow, the next request waits for a thread, also a ``def`` health check, while
``async def`` endpoints and the loop itself are quick.

What proves it. The health path was slow (1 s or more, or a time-out) in 2 of the last 3 requests, a path that no route
answers was quick each time, and a worker has 40 threads beside its own.

What it is not. A blocked loop: then the unknown path is slow too. A health path that is slow for itself: without the
threads nothing is found. Where the threads wait for the pool of a database, that explains it.

What to do. Make what waits asynchronous, bound it by a time-out, or give the pool more threads.
"""

from __future__ import annotations

from datetime import timedelta

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _loop, _shared
from probes.model import HttpSample, Replica

POOL_THREADS = 40
QUICK_SECONDS = 0.25
FRESH = timedelta(minutes=4)


def detect(view: View) -> Verdict:
    """Fires for replicas whose threads are all taken while the loop is free."""
    for replica in view.deployment.running:
        full = [w for w in _shared.serving(replica) if w.threads is not None and w.threads > POOL_THREADS]
        loop, health = _recent(view, replica.loop_probes), _recent(view, replica.health_probes)
        slow = _loop.slow(health, 1)
        quick = len(loop) == 3 and all(p.error is None and p.took_seconds < QUICK_SECONDS for p in loop)
        if full and slow and quick and not _loop.busy(replica):
            return _fires(replica, slow, loop, max(w.threads or 0 for w in full), full[0].pid)
    return SILENT


def _recent(view: View, probes: tuple[HttpSample, ...]) -> list[HttpSample]:
    since = max(view.start, view.now - FRESH)
    return [p for p in probes if p.at >= since][-3:]


def _fires(replica: Replica, slow: list[HttpSample], loop: list[HttpSample], threads: int, pid: int) -> Fires:
    longest = max(p.took_seconds for p in slow)
    said = [
        ("http", f"GET {slow[-1].path} took {longest:.2f} s", longest, "seconds"),
        ("http", f"GET {loop[-1].path}, which no route answers, took {loop[-1].took_seconds:.3f} s", None, None),
        ("proc", f"the worker has {threads} threads", float(threads), "threads"),
    ]
    return Fires(
        severity="error",
        title=f"all {POOL_THREADS} threads for def endpoints are busy: a request waited {longest:.1f} s for one",
        evidence=tuple(
            Evidence(
                "proc" if source == "proc" else "http",
                text,
                at=slow[-1].at,
                replica=replica.id,
                worker=pid if source == "proc" else None,
                value=value,
                unit=unit,
            )
            for source, text, value, unit in said
        ),
        count=len(slow),
        first_at=slow[0].at,
        last_at=slow[-1].at,
        facts={"threads": threads},
    )


def _probes(path: str, *took: float) -> tuple[HttpSample, ...]:
    count = len(took)
    return tuple(HttpSample(_cases.ago(10.0 * (count - i)), path, one, 200) for i, one in enumerate(took))


def _case(name: str, threads: int | None, loop: tuple[float, ...], health: tuple[float, ...]) -> Example:
    return Example(
        name,
        deployment=_cases.container(
            workers=(_cases.worker(threads=threads, cpu_percent=3.0),),
            loop_probes=_probes("/fastops-loop", *loop),
            health_probes=_probes("/health", *health),
        ),
    )


_QUICK = (0.001, 0.001, 0.002)

SIGNATURE = Signature(
    id=SignatureId("threadpool-exhausted"),
    title="Thread pool exhausted",
    severity="error",
    detect=detect,
    remedies=(RemedyId("profile"), RemedyId("advise")),
    source="anyio.readthedocs.io (threads: 40 by default); fastapi.tiangolo.com/async (path operation functions)",
    explains=(SignatureId("slow-requests"),),
    fires=(
        _case("health waits for a thread", 44, _QUICK, (4.0, 6.0, 6.0)),
        _case("two of three", 52, _QUICK, (0.01, 2.0, 1.5)),
    ),
    silent=(
        _case("the loop is slow too", 44, (2.0, 2.0, 2.0), (4.0, 6.0, 6.0)),
        _case("few threads", 6, _QUICK, (4.0, 6.0, 6.0)),
        _case("health is quick", 44, _QUICK, _QUICK),
        _case("threads are not known", None, _QUICK, (4.0, 6.0, 6.0)),
        Example("nothing was asked"),
    ),
)
