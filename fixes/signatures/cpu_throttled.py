"""The CPU quota stops the service again and again.

What it means. The control group has used up its share of a period (100 ms by default) and all its threads stand still
until the next one begins. Latencies grow in steps of that length, and health checks time out, while the machine's CPU
seems to be free.

What proves it. The control group's counters: at least 25 % of the periods throttled in each of the last three samples,
and at least 5 % of the time.

What it is not. The burst of a start: what is throttled then is judged after it. A busy CPU without a quota.

What to do. A higher quota, or fewer workers on the same one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
from fixes.proof import WINDOW_SECONDS, Proof
from fixes.signatures import _cases, _shared
from probes.model import Cpu, Deployment, Limit, Replica

PERIODS = Threshold(
    "throttled_ratio",
    0.25,
    "so many of the periods must be throttled, in each of three samples",
    minimum=0.01,
    maximum=1.0,
)
TIME = 0.05
SAMPLES = 3
START_UP = timedelta(seconds=60)


def detect(view: View) -> Verdict:
    """Fires for replicas that were throttled in three samples running, after their start."""
    evidence: list[Evidence] = []
    starting = False
    for replica in view.deployment.running:
        known = [p for p in view.series("throttled-ratio").get(replica.id, ()) if p.at >= view.start.timestamp()]
        points = [p for p in known if p.at >= _since(view, replica)]
        time = replica.cpu.throttled_time_ratio
        if time is None or time < TIME:
            continue
        if len(points) < SAMPLES or _young(view, replica):
            starting = starting or (bool(known) and known[-1].value >= view.threshold(PERIODS))
            continue
        if all(point.value >= view.threshold(PERIODS) for point in points[-SAMPLES:]):
            limit = replica.cpu.limit.value if replica.cpu.limit.limited else None
            of = f" of its {limit:g} cores" if limit else ""
            text = f"{points[-1].value:.0%} of the periods{of} were throttled, {time:.0%} of the time"
            at = datetime.fromtimestamp(points[-1].at, UTC)
            evidence.append(Evidence("cgroup", text, at=at, replica=replica.id, value=points[-1].value))
    if not evidence:
        return Undecided(f"{SAMPLES} samples after the first minute of a start") if starting else SILENT
    share = max(e.value or 0 for e in evidence)
    return Fires(
        severity="warning",
        title=f"the CPU quota stops it in {share:.0%} of the periods",
        evidence=tuple(evidence[:8]),
        count=len(evidence),
    )


def _since(view: View, replica: Replica) -> float:
    begun = view.start if replica.started_at is None else max(view.start, replica.started_at + START_UP)
    return begun.timestamp()


def _young(view: View, replica: Replica) -> bool:
    """Whether a worker is just starting."""
    born = [w.started_at for w in _shared.serving(replica) if w.started_at is not None]
    return any(view.now - moment < START_UP / 2 for moment in born)


def _measured(deployment: Deployment) -> bool:
    """Whether all replicas that have a quota say how often it stopped them."""
    return all(r.cpu.limit.limited is not True or r.cpu.throttled_ratio is not None for r in deployment.running)


def _case(name: str, time: float, *ratios: float, undecided: bool = False, **changes: object) -> Example:
    points = _cases.points(*((-2.0 * (len(ratios) - i), ratio) for i, ratio in enumerate(ratios)))
    cpu = Cpu(limit=Limit(limited=True, value=0.5), throttled_ratio=ratios[-1], throttled_time_ratio=time)
    one = _cases.container(cpu=cpu, **changes)  # type: ignore[arg-type]
    return Example(name, deployment=one, series={"throttled-ratio": {_cases.REPLICA: points}}, undecided=undecided)


SIGNATURE = Signature(
    id=SignatureId("cpu-throttled"),
    title="CPU throttled by its quota",
    severity="warning",
    detect=detect,
    remedies=(RemedyId("set-cpu-limit"), RemedyId("set-workers"), RemedyId("advise")),
    thresholds=(PERIODS,),
    # Where it had to be made anew it is judged after its start: a quota that is still too low shows only then.
    proof=Proof(window_seconds=START_UP.total_seconds() + 60.0, earliest_seconds=WINDOW_SECONDS, shown=_measured),
    source="Documentation/scheduler/sched-bwc.rst (nr_throttled, throttled_time)",
    explains=(SignatureId("slow-requests"), SignatureId("worker-timeout")),
    fires=(
        _case("half of the periods", 0.3, 0.5, 0.5, 0.6),
        _case("a quarter", 0.06, 0.1, 0.25, 0.3, 0.26),
    ),
    silent=(
        _case("one burst", 0.3, 0.0, 0.0, 0.9),
        _case("many periods, hardly any time", 0.01, 0.5, 0.5, 0.5),
        _case("a start", 0.5, 0.9, 0.9, 0.9, undecided=True, started_at=_cases.ago(20)),
        _case("a worker's start", 0.5, 0.9, 0.9, undecided=True, workers=(_cases.worker(started_at=_cases.ago(10)),)),
        _case("a start that is at ease", 0.0, 0.9, 0.0, started_at=_cases.ago(20)),
        _case("seen for a moment", 0.5, 0.9, undecided=True),
        Example("no quota"),
    ),
)
