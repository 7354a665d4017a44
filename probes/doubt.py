"""Whether the answers of a loop tell yet that it turns, and when it is asked again if they do not. Pure.

A loop that is held for seconds at a time and turns in between answers at once now and then: one answer, quick or slow,
is luck. Requests at a fixed distance would fall into the same phase of it again and again, so the distance varies.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import timedelta

from probes.base import ReplicaId
from probes.model import HttpSample, Replica

HELD_SECONDS = 0.1
"""An idle loop answers within milliseconds, a hundred times sooner."""
SLOW_SECONDS = 1.0
"""Two such answers of three make a judgement."""
QUICK = 3
"""So many quick answers in a row tell that the loop turns: held nine tenths of the time, it gives one in a thousand."""
ENOUGH = 8
"""So many requests in quick succession, then the usual pace: more would tell nothing new."""
ENOUGH_WITHIN = timedelta(seconds=60)
_CONFIRMED_SECONDS = (0.3, 0.5)
_DOUBTED_SECONDS = (0.4, 1.0)
_ANSWERED = (None, "timeout")


def held(sample: HttpSample, least_seconds: float = HELD_SECONDS) -> bool:
    """Whether an answer took visibly longer than a loop that turns needs, or did not come."""
    return sample.error == "timeout" or (sample.error is None and sample.took_seconds >= least_seconds)


def unsettled(probes: Sequence[HttpSample]) -> bool:
    """Whether another answer soon is worth a request: too few, or some of the latest were late and do not agree."""
    if not probes or probes[-1].error not in _ANSWERED:
        return False
    latest = probes[-QUICK:]
    if sum(held(one, SLOW_SECONDS) for one in latest) >= 2:
        return False
    if len(latest) == QUICK and not any(held(one) for one in latest):
        return False
    return len(probes) < ENOUGH or probes[-1].at - probes[-ENOUGH].at > ENOUGH_WITHIN


def again_seconds(replica: ReplicaId, probes: Sequence[HttpSample]) -> float:
    """Seconds from the beginning of the latest request to the next: what it took, and a distance that varies."""
    last = probes[-1]
    low, high = _DOUBTED_SECONDS if any(held(one) for one in probes[-QUICK:]) else _CONFIRMED_SECONDS
    share = zlib.crc32(f"{replica}{last.at.timestamp()}".encode()) % 1001 / 1000
    return last.took_seconds + low + (high - low) * share


def looked_into(replica: Replica) -> bool:
    """Whether its workers were read since it began to be slow; true where they are not read at all."""
    began = next((one.at for one in replica.loop_probes if held(one, SLOW_SECONDS)), None)
    read = replica.sampled_at
    return began is None or read is None or not replica.workers or read > began
