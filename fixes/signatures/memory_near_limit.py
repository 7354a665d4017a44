"""Memory in use is close to the limit.

What it means. The next burst of requests, or one large body, meets the kernel's kill.

What proves it. The working set (what the kernel cannot take back: usage without inactive page cache) of 90 % of the
limit or more, in three samples running.

What it is not. Page cache that fills the rest of the limit. A single peak. No limit at all.

What to do. More memory, or fewer workers; where it rises steadily, ``memory-leak`` stands beside this and explains it.
"""

from __future__ import annotations

from fixes.model import SILENT, Evidence, Example, Fires, RemedyId, Signature, SignatureId, Threshold, Verdict, View
from fixes.signatures import _cases, _shared
from probes.model import Limit, Memory

NEAR = Threshold("used_ratio", 0.9, "so much of the limit is near it", minimum=0.1, maximum=1.0)
SAMPLES = 3
FRESH_SECONDS = 120.0


def detect(view: View) -> Verdict:
    """Fires for replicas whose last three samples are near their limit."""
    evidence: list[Evidence] = []
    near, worst = view.threshold(NEAR), 0.0
    for replica in view.deployment.running:
        limit = replica.memory.limit.value if replica.memory.limit.limited else None
        since = view.start.timestamp()
        points = [p for p in view.series("memory-used").get(replica.id, ()) if p.at >= since][-SAMPLES:]
        if not limit or len(points) < SAMPLES or view.now.timestamp() - points[-1].at > FRESH_SECONDS:
            continue
        if all(point.value >= near * limit for point in points):
            used = points[-1].value
            worst = max(worst, used / limit)
            text = f"{_shared.mebibytes(used)} of {_shared.mebibytes(limit)} are in use"
            evidence.append(
                Evidence("cgroup", text, at=replica.sampled_at, replica=replica.id, value=used, unit="bytes")
            )
    if not evidence:
        return SILENT
    return Fires(
        severity="warning",
        title=f"{worst:.0%} of the memory limit is in use",
        evidence=tuple(evidence[:8]),
        count=len(evidence),
        facts={"peak_bytes": int(max(e.value or 0 for e in evidence))},
    )


_MEMORY = Memory(used_bytes=95 << 20, limit=Limit(limited=True, value=float(100 << 20)))


def _used(name: str, *mebibytes: float) -> Example:
    points = _cases.points(*((-2.0 * (len(mebibytes) - i), used * _shared.MIB) for i, used in enumerate(mebibytes)))
    return Example(name, deployment=_cases.container(memory=_MEMORY), series={"memory-used": {_cases.REPLICA: points}})


SIGNATURE = Signature(
    id=SignatureId("memory-near-limit"),
    title="Memory close to its limit",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("set-memory-limit"), RemedyId("set-workers")),
    thresholds=(NEAR,),
    source="Documentation/admin-guide/cgroup-v2.rst (memory.current, inactive_file); kubelet's working set",
    explains=(SignatureId("oom-killed"),),
    fires=(
        _used("three samples of 95 %", 50, 95, 96, 95),
        _used("at the limit", 100, 100, 100),
    ),
    silent=(
        _used("two samples", 95, 95),
        _used("one peak", 50, 99, 50),
        _used("80 %", 80, 80, 80),
        Example("no limit", series={"memory-used": {_cases.REPLICA: _cases.points((-6, 9e9), (-4, 9e9), (-2, 9e9))}}),
    ),
)
