"""What decides whether slow answers speak of a blocked loop: which count, and whether CPU or a start explains them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from fixes.model import Threshold, View
from fixes.signatures import _shared, _wording
from probes import doubt
from probes.model import Heartbeat, HttpSample, Replica, StackSample

SLOW_SECONDS = 1.0
"""A 404 takes about a millisecond; a loop that needs a second for it was held."""
TOOK = Threshold(
    "took_seconds", SLOW_SECONDS, "a path without a route must take so long", "seconds", minimum=0.05, maximum=5.0
)
"""fastops waits 5 s for an answer; whatever takes longer is slow."""
LATE_SECONDS = 0.25
"""Longer than a 404 takes even through proxies."""
BUSY_PERCENT = 50.0
THROTTLED_RATIO = 0.25
START_UP = timedelta(seconds=15)
SILENT_START = timedelta(minutes=5)
"""An import of a large model takes minutes."""


def while_replaced(replica: Replica, probe: HttpSample) -> bool:
    """Whether a worker began about then: the request may have waited for its start, or met the one that ended.

    So it is where every worker of that time has been replaced since: nobody knows when those before them began.
    """
    end = probe.at + timedelta(seconds=probe.took_seconds)
    born = [w.started_at for w in _shared.serving(replica) if w.started_at is not None]
    if born and min(born) > probe.at:
        return True
    return any(probe.at - START_UP <= moment <= end + START_UP for moment in born)


def young(replica: Replica, sample: StackSample) -> bool:
    """Whether the worker was still starting when the sample was taken."""
    born = next((w.started_at for w in replica.workers if w.pid == sample.pid), None)
    return born is not None and sample.at < born + START_UP


def never_started(view: View, replica: Replica) -> bool:
    """Whether the application may still be imported: masters listen before their workers can answer.

    It has started once it answered anything, or said so since the replica began. A server that tells nothing of its
    start is given :data:`SILENT_START`.
    """
    begun = replica.started_at
    answered = any(
        p.status is not None and (begun is None or p.at >= begun)
        for p in (*replica.loop_probes, *replica.health_probes)
    )
    said = _shared.latest_line(view, replica.id, None, _wording.STARTED)
    if answered or (said is not None and (begun is None or said.at is None or said.at >= begun)):
        return False
    boots = _shared.latest_line(view, replica.id, None, _wording.BOOTING)
    return boots is not None or (begun is not None and view.now - begun < SILENT_START)


def slow(
    probes: Sequence[HttpSample], workers: int, least_seconds: float = SLOW_SECONDS, enough: int = 2
) -> list[HttpSample]:
    """The slow ones among the latest probes, where they are enough."""
    for reach in (3, 6) if workers > 1 else (3,):
        answered = [p for p in probes[-reach:] if p.error in (None, "timeout")]
        found = [p for p in answered if p.took_seconds >= least_seconds or p.error == "timeout"]
        if len(found) >= enough:
            return found
    return []


def silent(replica: Replica, since: datetime) -> list[Heartbeat]:
    """The workers that gunicorn hears nothing of, though they have started and live.

    One that ends gives no sign of life either while its last requests are served: its stack shows that it waits.
    """
    born = {w.pid: w.started_at for w in _shared.serving(replica)}
    told = {beat.pid: beat.at for beat in replica.heartbeats}
    waits = {s.pid for s in replica.stacks if s.idle and s.pid in told and s.at >= told[s.pid]}
    return [
        beat
        for beat in replica.heartbeats
        if beat.late
        and beat.at >= since
        and beat.pid in born
        and beat.pid not in waits
        and ((began := born[beat.pid]) is None or beat.at >= began + START_UP)
    ]


def disagree(probes: Sequence[HttpSample], least_seconds: float = SLOW_SECONDS) -> bool:
    """Whether some of the latest answers were late, and they are too few, or too different, to tell whether it turns.

    A loop that is held and turns in between answers at once now and then. Answers that are all equally late, of a
    middleware that awaits, settle it once there are :data:`probes.doubt.ENOUGH`.
    """
    late_seconds = min(LATE_SECONDS, least_seconds)
    if not any(doubt.held(p, late_seconds) for p in probes[-doubt.QUICK :]):
        return False
    latest = probes[-doubt.ENOUGH :]
    return len(latest) < doubt.ENOUGH or any(doubt.held(p, least_seconds) for p in latest)


def judged_since(replica: Replica, probes: Sequence[HttpSample], least_seconds: float) -> bool:
    """Whether the CPU of its workers was read after the first slow answer: before it, they had nothing to wait for."""
    began = min((p.at for p in probes if p.took_seconds >= least_seconds or p.error == "timeout"), default=None)
    read = replica.sampled_at
    return began is None or read is None or not replica.workers or read > began


def busy(replica: Replica) -> bool | None:
    """Whether CPU explains it: throttled, at its limit, workers that compute, or that get no CPU of a busy machine.

    ``None`` when that is not known.
    """
    cpu = replica.cpu
    if (cpu.throttled_ratio or 0) >= THROTTLED_RATIO or (cpu.throttled_time_ratio or 0) >= THROTTLED_RATIO:
        return True
    if cpu.limit.limited and cpu.limit.value and cpu.used_cores is not None and cpu.used_cores >= 0.9 * cpu.limit.value:
        return True
    percents = [
        w.cpu_percent + (w.queued_percent or 0.0) for w in _shared.serving(replica) if w.cpu_percent is not None
    ]
    if cpu.limit.limited and cpu.limit.value and sum(percents) >= 80.0 * cpu.limit.value:
        return True  # what is read of the whole may be a minute old
    if percents:
        return sum(percents) / len(percents) >= BUSY_PERCENT
    if cpu.used_cores is not None:
        return cpu.used_cores * 100 / max(1, len(_shared.serving(replica))) >= BUSY_PERCENT
    return None
