"""A worker has no file descriptors left.

What it means. Each connection, file and pipe takes a descriptor. At the soft limit (``ulimit -n``) the server can no
longer accept connections: clients wait and time out although the process lives, and the log fills with tracebacks (a
server at its limit was seen to write 33,000 in 12 s).

What proves it. ``[Errno 24]`` (EMFILE) or asyncio's ``socket.accept() out of system resource`` in the log, or a
worker with at least 95 % of its soft limit open.

What it is not. ``[Errno 23]`` is the whole machine's limit, ``[Errno 24] inotify …`` the user's limit of watchers.
Descriptors below 95 %, however many they are.

What to do. Raise the limit; if the number only grows, find what is not closed.
"""

from __future__ import annotations

from collections.abc import Sequence

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases, _shared, _wording
from probes.base import ReplicaId
from probes.model import Worker

FULL = 0.95


def detect(view: View) -> Verdict:
    """Fires on the kernel's refusals in the log, and on workers at their limit."""
    hits = view.hits(_wording.NO_DESCRIPTOR.key, _wording.ACCEPT_FAILED.key)
    full = [(r.id, w, r.sampled_at) for r in view.deployment.running for w in r.processes if at_limit(w)]
    if not hits and not full:
        return SILENT
    per_key: dict[str, int] = {}
    for hit in hits:
        per_key[hit.key] = per_key.get(hit.key, 0) + _shared.count(view, hit)
    refused = max(per_key.values(), default=0)
    evidence = [_shared.evidence_of(hit) for hit in hits[-4:]]
    evidence += [
        Evidence(
            "proc",
            f"{w.open_files} of {w.open_files_limit} descriptors are open",
            at=at,
            replica=replica,
            worker=w.pid,
            value=float(w.open_files or 0),
            unit="descriptors",
        )
        for replica, w, at in full[:4]
    ]
    moments = sorted(m.at for hit in hits for m in _shared.marks(view, hit) if m.at is not None)
    worst = _worst(view, full)
    limit = f" of its limit of {worst.open_files_limit}" if worst is not None and worst.open_files_limit else ""
    who = f"worker {worst.inner_pid or worst.pid}" if full and worst is not None else "a worker"
    seen = f", refused {_shared.times(refused)}{_shared.within(view)}" if refused else ""
    return Fires(
        severity="critical",
        title=f"{who} has no file descriptors left{limit}{seen}",
        evidence=tuple(evidence),
        count=max(1, refused),
        first_at=moments[0] if moments else None,
        last_at=moments[-1] if moments else None,
        facts=_facts(worst),
    )


def at_limit(worker: Worker) -> bool:
    """Whether a worker has 95 % of its descriptors open."""
    return bool(worker.open_files and worker.open_files_limit and worker.open_files >= FULL * worker.open_files_limit)


def _worst(view: View, full: Sequence[tuple[ReplicaId, Worker, object]]) -> Worker | None:
    """The worker at its limit; without one, the worker with the lowest limit."""
    if full:
        return max((w for _, w, _ in full), key=lambda w: (w.open_files or 0) / (w.open_files_limit or 1))
    known = [w for w in view.deployment.workers if w.open_files_limit]
    return min(known, key=lambda w: w.open_files_limit or 0, default=None)


def _facts(worker: Worker | None) -> dict[str, str | int | float | bool]:
    if worker is None:
        return {}
    numbers = {
        "pid": worker.pid,
        "open_files": worker.open_files,
        "limit": worker.open_files_limit,
        "hard_limit": worker.open_files_hard_limit,
    }
    return {name: value for name, value in numbers.items() if value is not None}


SIGNATURE = Signature(
    id=SignatureId("fd-exhausted"),
    title="File descriptors exhausted",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("raise-nofile"), RemedyId("restart"), RemedyId("profile")),
    source="errno(3) EMFILE; asyncio/selector_events.py _accept_connection; getrlimit(2) RLIMIT_NOFILE",
    patterns=(_wording.NO_DESCRIPTOR, _wording.ACCEPT_FAILED),
    explains=(SignatureId("event-loop-blocked"), SignatureId("disk-full"), SignatureId("unhandled-exceptions")),
    fires=(
        Example("uvicorn with asyncio", "socket.accept() out of system resource\n"),
        Example("the application", "OSError: [Errno 24] Too many open files: '/dev/null'\n"),
        Example("in words of musl", "OSError: [Errno 24] No file descriptors available: '/dev/null'\n"),
        Example("the number alone", "OSError: [Errno 24]\n"),
        Example("granian", "[ERROR] accept error: Too many open files (os error 24)\n"),
        Example("gunicorn", "OSError: [Errno 24] Too many open files\n" * 3),
        Example(
            "at 96 % of the limit",
            deployment=_cases.container(workers=(_cases.worker(open_files=246, open_files_limit=256),)),
        ),
    ),
    silent=(
        Example(
            "at 90 % of the limit",
            deployment=_cases.container(workers=(_cases.worker(open_files=230, open_files_limit=256),)),
        ),
        Example(
            "another error number",
            "OSError: [Errno 98] Address already in use\n[Errno 9] Bad file descriptor\n",
        ),
        Example("the machine's limit", "OSError: [Errno 23] Too many open files in system\n"),
        Example("no inotify watchers are left", "OSError: [Errno 24] inotify instance limit reached\n"),
        Example("ulimit -a", "open files                          (-n) 1024\n"),
    ),
)
