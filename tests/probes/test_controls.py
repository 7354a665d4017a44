"""When gunicorn's masters are asked by their control sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from probes import control, controls
from probes.base import Failure, ReplicaId
from probes.control import Control
from probes.controls import Controls, Subject
from probes.model import Heartbeat, HttpSample, StackSample, Worker
from probes.procfs import ProcFs
from probes.target import Unreadable

REPLICA = ReplicaId("r")
START = datetime(2026, 11, 22, tzinfo=UTC)


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Stacks:
    """The only thing that is asked of a target here."""

    def __init__(self) -> None:
        self.of: list[int] = []

    async def stacks(self, _replica: ReplicaId, pid: int) -> StackSample:
        self.of.append(pid)
        if pid == 13:
            raise Unreadable(Failure("permission-denied", "stack", "not permitted", ""))
        return StackSample(START, pid, (), True)


def subject(*serving: int, master: int = 10, questioned: bool = False) -> Subject:
    found = (Worker(master, REPLICA, "master", started_at=START), *(Worker(one, REPLICA, "worker") for one in serving))
    return Subject(REPLICA, found, questioned)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, Callable[..., Any], list[Control], Stacks]:
    """A clock, what asks and says how often somebody was asked, what was told, whose stacks were read."""
    clock, told, stacks = Clock(), [], Stacks()
    calls = 0
    answer: Control | None = None
    monkeypatch.setattr(controls.time, "monotonic", clock.monotonic)

    def ask(*_: object) -> Control | None:
        nonlocal calls
        calls += 1
        return answer

    monkeypatch.setattr(control, "ask", ask)
    every = Controls(ProcFs(), stacks, lambda _, one: told.append(one))  # type: ignore[arg-type]

    async def look(found: Control | None, *subjects: Subject, later: float = 0.0) -> int:
        nonlocal answer, calls
        answer, calls = found, 0
        clock.now += later
        every.look(subjects)
        if every._task is not None:
            await asyncio.wait_for(every._task, 60)
        return calls

    return clock, look, told, stacks


def telling(*beats: tuple[int, float]) -> Control:
    return Control(START, {}, tuple(Heartbeat(START, pid, silent, 15.0) for pid, silent in beats))


async def test_a_master_is_asked_once_and_again_while_its_loops_are_in_question(asked: Any) -> None:
    _, look, told, _ = asked
    assert await look(telling(), subject(11, 12)) == 1
    assert await look(telling(), subject(11, 12), later=3600) == 0
    assert await look(telling(), subject(11, 12, questioned=True)) == 1
    assert await look(telling(), subject(11, 12, questioned=True), later=1) == 0
    assert await look(telling(), subject(11, 12, questioned=True), later=4) == 1
    assert len(told) == 3


async def test_another_master_and_a_reload_are_asked_anew(asked: Any) -> None:
    _, look, _, _ = asked
    assert await look(telling(), subject(11, 12)) == 1
    assert await look(telling(), subject(12, 14), later=60) == 0  # one worker was replaced
    assert await look(telling(), subject(14, 15), later=60) == 1
    assert await look(telling(), subject(14, 15, master=20)) == 1


async def test_who_says_nothing_is_asked_ever_more_seldom(asked: Any) -> None:
    _, look, told, _ = asked
    assert await look(None, subject(11, questioned=True)) == 1
    assert await look(None, subject(11, questioned=True), later=1) == 0
    assert await look(None, subject(11, questioned=True), later=1) == 1
    assert await look(None, subject(11, questioned=True), later=2) == 0
    for _ in range(9):
        await look(None, subject(11), later=60)
    assert await look(None, subject(11), later=59) == 0
    assert await look(telling(), subject(11), later=1) == 1
    assert len(told) == 1


async def test_a_worker_that_is_late_is_looked_at_and_what_forbids_it_hides_nothing(asked: Any) -> None:
    _, look, told, stacks = asked
    await look(telling((11, 3.0), (12, 18.0)), subject(11, 12))
    assert stacks.of == [12]
    assert [one.pid for one in told[-1].stacks] == [12]
    await look(telling((13, 18.0)), subject(13, master=20))
    assert [one.pid for one in told[-1].heartbeats] == [13]
    assert told[-1].stacks == ()


async def test_without_workers_nobody_is_asked(asked: Any) -> None:
    _, look, _, _ = asked
    assert await look(telling(), subject()) == 0


async def test_of_many_some_are_asked_at_a_time_and_each_has_its_turn(asked: Any) -> None:
    _, look, told, _ = asked
    fleet = [subject(11)._replace(replica=ReplicaId(f"r{n}")) for n in range(2 * controls.AT_ONCE + 1)]
    calls = [await look(telling(), *fleet, later=1) for _ in range(4)]
    assert calls == [controls.AT_ONCE, controls.AT_ONCE, 1, 0]
    assert len(told) == len(fleet)


@pytest.mark.parametrize(
    ("took", "error", "so"),
    [(0.01, None, False), (0.7, None, True), (5.0, "timeout", True), (5.0, "refused", False)],
)
def test_late_answers_put_a_loop_in_question(took: float, error: str | None, so: bool) -> None:
    quick = HttpSample(START, "/", 0.01, 404)
    late = HttpSample(START, "/", took, None if error else 404, error)
    assert controls.in_question([quick, late, quick]) is so
    assert not controls.in_question([late, quick, quick, quick])
