"""The limit of open files is the old default.

What it means. Each connection takes a descriptor, and so does each connection to a database, each log file and each
socket of the loop. 1024 is what a login shell has had for decades; a service with some hundred clients meets it.

What proves it. The soft limit (``ulimit -n``) of a serving process: 1024 or less. It is a warning where more than half
of it was open.

What it is not. A limit that is reached (``fd-exhausted``, which stands beside this one).

What to do. 65536, or as much as the hard limit allows.
"""

from __future__ import annotations

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import Proof
from fixes.signatures import _cases
from probes.history import Point
from probes.model import Worker

LOW = 1024


def detect(view: View) -> Verdict:
    """Fires for the serving process with the lowest limit."""
    low = [w for r in view.deployment.running for w in r.workers if w.role != "master" and w.open_files_limit]
    worker = min(low, key=lambda w: w.open_files_limit or 0, default=None)
    if worker is None or not worker.open_files_limit or worker.open_files_limit > LOW:
        return SILENT
    peak = _peak(view, worker)
    used = f", {peak:.0f} of them were in use" if peak else ""
    return Fires(
        severity="warning" if peak and peak > worker.open_files_limit / 2 else "info",
        title=f"a worker may have {worker.open_files_limit} files and connections open{used}",
        evidence=(
            Evidence(
                "proc",
                f"soft limit of open files: {worker.open_files_limit}",
                replica=worker.replica,
                worker=worker.pid,
                value=float(worker.open_files_limit),
                unit="descriptors",
            ),
        ),
        facts={"limit": worker.open_files_limit, **({"peak": int(peak)} if peak else {})},
    )


def _peak(view: View, worker: Worker) -> float | None:
    points: list[Point] = list(view.series("open-files").get(f"{worker.replica}/{worker.pid}", ()))
    seen = [p.value for p in points if p.at >= view.start.timestamp()]
    return max([*seen, float(worker.open_files or 0)], default=None) or None


def _open(count: int, limit: int) -> Example:
    worker = _cases.worker(open_files=count, open_files_limit=limit, open_files_hard_limit=1 << 20)
    return Example(f"{count} of {limit}", deployment=_cases.container(workers=(worker,)))


SIGNATURE = Signature(
    id=SignatureId("fd-limit-low"),
    title="Low limit of open files",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("raise-nofile"),),
    proof=Proof("settings", shown=lambda d: any(w.open_files_limit for w in d.workers)),
    source="getrlimit(2) RLIMIT_NOFILE; systemd's default soft limit of 1024 (systemd-system.conf)",
    fires=(_open(30, 1024), _open(700, 1024), _open(10, 256)),
    silent=(_open(700, 4096), _open(30, 65536), Example("the limit is not known")),
)
