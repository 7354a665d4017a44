"""A leak under recycling: what counts as replaced in time, before and after the setting was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from fixes.model import SILENT, Fires, Undecided, View
from fixes.signatures import _cases
from fixes.signatures._shared import MIB
from fixes.signatures.memory_leak import SIGNATURE
from probes.base import Value
from probes.history import Metric, Point
from probes.model import Deployment, Limit, Memory

BASE = 40
LIMIT = Memory(used_bytes=100 << 20, limit=Limit(limited=True, value=float(512 << 20)))
Life = tuple[float, float, float]
"""Of one worker: seconds of its birth and of its end, relative to the change, and its last size in MiB."""


def service(*living: Life, now: float, settings: Mapping[str, Value]) -> Deployment:
    change = _cases.NOW - timedelta(seconds=now)
    workers = tuple(
        _cases.worker(100 + number, started_at=change + timedelta(seconds=born))
        for number, (born, _, _) in enumerate(living)
    )
    return _cases.container(settings=settings, memory=LIMIT, workers=workers)


def view(
    living: Sequence[Life],
    ended: Sequence[Life],
    now: float,
    *,
    verifying: bool = True,
    settings: Mapping[str, Value] | None = None,
    kills: Sequence[tuple[float, float]] = (),
) -> View:
    """What is seen so many seconds after the change, of these workers that grow and of those that did."""
    zero = _cases.NOW.timestamp() - now
    lives = {100 + number: life for number, life in enumerate(living)} | {
        10 + number: life for number, life in enumerate(ended)
    }
    memory = {f"{_cases.REPLICA}/{pid}": grown(zero, life) for pid, life in lives.items()}
    found = {"worker-anonymous": memory, "oom-kills": {_cases.REPLICA: [Point(zero + at, n) for at, n in kills]}}

    def series(metric: Metric) -> Mapping[str, Sequence[Point]]:
        return found.get(metric, {})

    return View(
        deployment=service(*living, now=now, settings={"max_requests": 1000} if settings is None else settings),
        now=_cases.NOW,
        window=timedelta(minutes=15),
        series=series,
        after=_cases.NOW - timedelta(seconds=now) if verifying else None,
    )


def grown(zero: float, life: Life) -> list[Point]:
    born, end, size = life
    return [
        Point(zero + at, (BASE + (size - BASE) * (at - born) / (end - born)) * MIB)
        for at in (born + 2.0 * step for step in range(int((end - born) / 2) + 1))
    ]


OLD: tuple[Life, ...] = ((-300, 1, 300), (-300, 2, 290))
"""Workers that a reload ended."""
TEETH: tuple[Life, ...] = ((6, 50, 62), (7, 55, 64))
NEW: tuple[Life, ...] = ((51, 80, 55), (56, 80, 53))


def test_workers_replaced_young_since_the_change_are_bounded() -> None:
    assert SIGNATURE.detect(view(NEW, (*OLD, *TEETH), 80)) == SILENT


@pytest.mark.parametrize(
    "ended",
    [OLD, (*OLD, TEETH[0]), (*OLD, (-20, 30, 62), (-15, 31, 64))],
    ids=["only the reload ended any", "one of two was replaced", "they began before the change"],
)
def test_what_the_reload_itself_ended_is_no_recycling(ended: Sequence[Life]) -> None:
    assert isinstance(SIGNATURE.detect(view(NEW, ended, 80)), Undecided)
    assert isinstance(SIGNATURE.detect(view(NEW, OLD, 80, verifying=False)), Undecided)


def test_without_the_setting_young_workers_prove_nothing() -> None:
    assert isinstance(SIGNATURE.detect(view(NEW, (*OLD, *TEETH), 80, settings={})), Undecided)


def test_workers_that_outgrow_those_before_them_are_not_bounded_yet() -> None:
    larger = tuple((born, end, 90.0) for born, end, _ in NEW)
    assert isinstance(SIGNATURE.detect(view(larger, (*OLD, *TEETH), 80)), Undecided)


def test_workers_that_the_kernel_killed_were_not_replaced_in_time() -> None:
    killed = [(0.0, 0), (48.0, 0), (52.0, 1), (80.0, 1)]
    assert isinstance(SIGNATURE.detect(view(NEW, (*OLD, *TEETH), 80, kills=killed)), Undecided)


def test_a_limit_that_is_near_is_told_but_not_while_the_first_workers_still_live() -> None:
    living = ((1.0, 170.0, 150.0), (2.0, 170.0, 149.0))
    assert isinstance(SIGNATURE.detect(view(living, OLD, 170)), Undecided)
    assert isinstance(SIGNATURE.detect(view(living, OLD, 170, settings={})), Fires)
    small = [(born, end, 60.0) for born, end, _ in TEETH]
    assert isinstance(SIGNATURE.detect(view(((60.0, 260.0, 150.0), (61.0, 260.0, 149.0)), small, 260)), Fires)
