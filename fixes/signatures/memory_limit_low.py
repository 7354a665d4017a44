"""The memory limit is lower than a FastAPI service should have.

What it means. A worker with FastAPI, pydantic and a database layer takes 60 to 150 MB when it is idle, and a burst of
requests or one large body adds to it. Below 512 MB there is little room between normal work and the kernel's kill.

What proves it. The limit of the container's control group: below 512,000,000 bytes. It is a warning where it is 256
MiB or less, or where more than half of it was in use.

What it is not. No limit at all. Nor is a low limit the proof of why something died: it explains no other finding, for
a leak or a load meets any limit.

What to do. At least 512 MiB; 1 GiB, or 1.5 times the most that was seen in use.
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
from fixes.proof import BY_SETTINGS
from fixes.signatures import _cases, _shared
from probes.model import UNLIMITED, Limit, Memory, Replica

LOW = Threshold("limit_bytes", 512_000_000, "a limit below it is low", unit="bytes", minimum=32 << 20, maximum=1 << 40)
VERY_LOW_BYTES = 256 * 1024 * 1024


def detect(view: View) -> Verdict:
    """Fires for the replica with the lowest limit."""
    limited = [
        (r.memory.limit.value, r) for r in view.deployment.replicas if r.memory.limit.limited and r.memory.limit.value
    ]
    if not limited:
        unknown = any(r.memory.limit.limited is None for r in view.deployment.running)
        return Undecided("the memory limit") if unknown else SILENT
    limit, replica = min(limited, key=lambda one: one[0])
    low = view.threshold(LOW)
    if limit >= low:
        return SILENT
    peak = _peak(view, replica)
    warn = limit <= VERY_LOW_BYTES or (peak is not None and peak > limit / 2)
    enough = "512 MiB" if low == LOW.default else _shared.mebibytes(low)
    used = f", {_shared.mebibytes(peak)} of it were in use" if peak is not None else ""
    evidence = [
        Evidence(
            "inspect",
            f"memory limit {_shared.mebibytes(limit)}",
            at=replica.sampled_at,
            replica=replica.id,
            value=limit,
            unit="bytes",
        )
    ]
    if peak is not None:
        evidence.append(
            Evidence(
                "cgroup",
                f"at most {_shared.mebibytes(peak)} were in use",
                at=replica.sampled_at,
                replica=replica.id,
                value=peak,
                unit="bytes",
            )
        )
    return Fires(
        severity="warning" if warn else "info",
        title=f"the memory limit is {_shared.mebibytes(limit)}{used}; a FastAPI service should have {enough} or more",
        evidence=tuple(evidence),
        facts={"limit_bytes": int(limit), **({"peak_bytes": int(peak)} if peak is not None else {})},
    )


def _peak(view: View, replica: Replica) -> float | None:
    """The largest working set that was seen; else the control group's own peak, which counts page cache."""
    seen = [point.value for point in view.series("memory-used").get(replica.id, ())]
    if replica.memory.used_bytes is not None:
        seen.append(replica.memory.used_bytes)
    if seen:
        return max(seen)
    return None if replica.memory.peak_bytes is None else float(replica.memory.peak_bytes)


def _memory(limit: float, used: int | None = None) -> Memory:
    return Memory(used_bytes=used, limit=Limit(limited=True, value=limit))


SIGNATURE = Signature(
    id=SignatureId("memory-limit-low"),
    title="Low memory limit",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("set-memory-limit"),),
    proof=BY_SETTINGS,
    thresholds=(LOW,),
    source="measured: idle workers of FastAPI 0.88 to 0.165 with SQLAlchemy take 60 to 150 MB",
    fires=(
        Example("400 MiB, hardly used", deployment=_cases.container(memory=_memory(400 << 20, 90 << 20))),
        Example("256 MiB", deployment=_cases.container(memory=_memory(256 << 20))),
        Example("more than half in use", deployment=_cases.container(memory=_memory(400 << 20, 300 << 20))),
        Example("just below the line", deployment=_cases.container(memory=_memory(511_999_999))),
    ),
    silent=(
        Example("512 MB", deployment=_cases.container(memory=_memory(512_000_000, 400_000_000))),
        Example("no limit", deployment=_cases.container(memory=Memory(limit=UNLIMITED))),
        Example("the limit is not known", undecided=True),
    ),
)
