"""The engine keeps all that the service ever printed, in one file that grows for ever.

What it means. Docker's ``json-file`` driver rotates nothing unless it is told to. The file grows with every request
until the disk of the machine is full, and then nothing on it can be written.

What proves it. The driver is ``json-file``, its options have no ``max-size``, and the file has 10 MB or more, or grew
by 1 MB within the look-back.

What it is not. The ``local`` driver, which rotates by itself, the journal, and drivers that send the log away. A pod:
the kubelet rotates its log. A file that is small and hardly grows.

What to do. Give the driver a size and a number of files, or take the ``local`` driver; then make the container again.
"""

from __future__ import annotations

from fixes.model import (
    SILENT,
    Evidence,
    Example,
    Fires,
    RemedyId,
    Signature,
    SignatureId,
    Threshold,
    Undecided,
    Verdict,
    View,
)
from fixes.proof import Proof
from fixes.signatures import _cases, _shared
from probes.model import Replica

LARGE = Threshold(
    "log_bytes", 10_000_000, "a log without a bound must be so large", unit="bytes", minimum=100_000, maximum=1e12
)
GROWS = Threshold(
    "grown_bytes", 1_000_000, "or grow so far within the look-back", unit="bytes", minimum=10_000, maximum=1e12
)


def detect(view: View) -> Verdict:
    """Fires for replicas whose unbounded log is large, or on its way."""
    free = [replica for replica in view.deployment.replicas if _is_unbounded(replica)]
    found: list[tuple[Replica, int, float]] = []
    for replica in free:
        size, grown = replica.log_bytes or 0, _grown(view, replica)
        if size >= view.threshold(LARGE) or grown >= view.threshold(GROWS):
            found.append((replica, size, grown))
    if not found:
        unseen = any(replica.log_bytes is None and replica.state == "running" for replica in free)
        return Undecided("the size of its log, which cannot be seen from here") if unseen else SILENT
    evidence = [
        Evidence(
            "inspect",
            "log driver json-file without max-size: its file has "
            + _shared.mebibytes(size)
            + (f", {_shared.mebibytes(grown)} of them of the last {_shared.window_text(view)}" if grown else ""),
            at=replica.sampled_at,
            replica=replica.id,
            value=float(size),
            unit="bytes",
        )
        for replica, size, grown in found[:8]
    ]
    largest = max(size for _, size, _ in found)
    return Fires(
        severity="warning",
        title=f"the engine keeps its log without a bound: {_shared.mebibytes(largest)} so far",
        evidence=tuple(evidence),
        count=len(found),
        facts={"log_bytes": largest},
    )


def _is_unbounded(replica: Replica) -> bool:
    options = replica.log_options
    return replica.log_driver == "json-file" and options is not None and not options.get("max-size", "").strip("-1 ")


def _grown(view: View, replica: Replica) -> float:
    """How far the file grew in the window, as far as it was watched."""
    since = view.start.timestamp()
    points = [point for point in view.series("log-bytes").get(replica.id, ()) if point.at >= since]
    return max(0.0, points[-1].value - points[0].value) if points else 0.0


def _case(name: str, size: int | None, driver: str = "json-file", **options: str) -> Example:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    replica = _cases.replica(log_driver=driver, log_options=named, log_bytes=size)
    return Example(name, deployment=_cases.deployment(replica), undecided=size is None)


SIGNATURE = Signature(
    id=SignatureId("log-unbounded"),
    title="Log without a bound",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("rotate-logs"), RemedyId("advise")),
    proof=Proof(
        basis="settings",
        window_seconds=60.0,  # the container was made anew and has to be measured first
        shown=lambda deployment: all(r.log_options is not None for r in deployment.running),
    ),
    thresholds=(LARGE, GROWS),
    source="docs.docker.com/engine/logging/drivers/json-file (max-size: unlimited unless it is set)",
    explains=(SignatureId("disk-full"),),
    fires=(
        _case("12 MB", 12_000_000),
        _case("without a bound in so many words", 12_000_000, max_size="-1"),
        Example(
            "it grows by 2 MB in ten minutes",
            deployment=_cases.container(log_driver="json-file", log_options={}, log_bytes=3_000_000),
            series={"log-bytes": {_cases.REPLICA: _cases.points((-600, 1e6), (-300, 2e6), (-2, 3e6))}},
        ),
    ),
    silent=(
        _case("rotated", 12_000_000, max_size="20m"),
        _case("the local driver", 12_000_000, "local"),
        _case("the journal", 12_000_000, "journald"),
        _case("small", 40_000),
        _case("its size cannot be seen", None),
        Example("a pod", deployment=_cases.workload()),
        Example("its options are not known", deployment=_cases.container(log_driver="json-file", log_bytes=12_000_000)),
    ),
)
