"""How long a leak has until its limit: with bounds, by the limit that is met first, and which memory grew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from fixes.model import Fires
from fixes.signatures import _cases, memory_leak
from probes.history import Metric, Point
from probes.model import Limit, Memory, Worker
from tests.fixes.test_each_request import LIMITED, MIB, leaking, view_of

RATE = 100 * 1024.0
LEFT_SECONDS = 212 * MIB / RATE
"""From the 300 MiB that the container uses to its limit of 512 MiB."""


def found(metric: Metric, memory: Mapping[str, Sequence[Point]], used: Memory, *workers: Worker) -> Fires:
    verdict = memory_leak.detect(view_of({metric: memory}, _cases.container(memory=used, workers=workers)))
    assert isinstance(verdict, Fires)
    return verdict


def bounds(said: str) -> tuple[float, float]:
    """The seconds of ``(34 min … 37 min)``."""
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    inside = re.search(r"away \((\S+) (\w+) … (\S+) (\w+)\)", said)
    assert inside is not None, said
    return float(inside[1]) * units[inside[2]], float(inside[3]) * units[inside[4]]


@pytest.mark.parametrize("noise", [0.5 * MIB, 8 * MIB])
def test_the_true_time_lies_within_the_bounds_that_are_said(noise: float) -> None:
    told = found("worker-anonymous", leaking(RATE, noise=noise), LIMITED, _cases.worker())
    soonest, latest = bounds(told.title)
    assert soonest - 60 <= LEFT_SECONDS <= latest + 60  # they are said in whole minutes
    assert told.facts["left_seconds"] == pytest.approx(LEFT_SECONDS, rel=0.1)
    assert told.severity == "error"


def test_more_noise_is_said_as_more_doubt() -> None:
    quiet, noisy = (
        bounds(found("worker-anonymous", leaking(RATE, noise=noise), LIMITED, _cases.worker()).title)
        for noise in (0.5 * MIB, 40 * MIB)
    )
    assert noisy[1] - noisy[0] > quiet[1] - quiet[0]


@pytest.mark.parametrize(
    ("metric", "named"), [("worker-anonymous", "anonymous memory grew"), ("worker-rss", "resident memory (RSS) grew")]
)
def test_which_memory_grew_is_named(metric: Metric, named: str) -> None:
    told = found(metric, leaking(RATE), LIMITED, _cases.worker())
    assert any(one.text.startswith(named) for one in told.evidence)


def test_the_limit_that_is_met_first_counts() -> None:
    own = replace(_cases.worker(), memory_limit=Limit(limited=True, value=400 * MIB))
    told = found("worker-anonymous", leaking(RATE), LIMITED, own)
    assert told.facts["limit_bytes"] == 400 << 20
