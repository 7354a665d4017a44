"""Whether the answers of a loop tell yet that it turns, and when it is asked again."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes.signatures import _loop
from probes import doubt
from probes.base import DeploymentId, ReplicaId, TargetId
from probes.model import Deployment, HttpSample, Interest, Replica, Worker
from probes.schedule import Budget, due, is_small

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
QUICK = 0.005


def answers(*took: float, apart_seconds: float = 1.0, error: str | None = None) -> tuple[HttpSample, ...]:
    return tuple(
        HttpSample(START + timedelta(seconds=n * apart_seconds), "/x", seconds, None if error else 404, error)
        for n, seconds in enumerate(took)
    )


def service(*probes: HttpSample, name: str = "a") -> Deployment:
    replica = Replica(id=ReplicaId(name), name=name, state="running", loop_probes=probes)
    return Deployment(
        id=DeploymentId(f"docker/{name}"),
        target=TargetId("docker"),
        name=name,
        kind="container",
        framework="fastapi",
        recognised_by="",
        replicas=(replica,),
    )


@pytest.mark.parametrize(
    ("took", "unsettled"),
    [
        ((), False),
        ((QUICK,), True),
        ((QUICK, QUICK), True),
        ((QUICK, QUICK, QUICK), False),
        ((0.4, QUICK, QUICK), True),
        ((0.4, QUICK, QUICK, QUICK), False),
        ((QUICK, QUICK, QUICK, 0.12), True),
        ((2.0,), True),
        ((2.0, 2.0), False),
        ((2.0, QUICK, 2.0), False),
        ((2.0, 0.3, 0.3), True),
        ((0.15,) * 7, True),
        ((0.15,) * 8, False),
    ],
)
def test_answers_that_are_few_or_late_and_different_are_worth_another(took: tuple[float, ...], unsettled: bool) -> None:
    assert doubt.unsettled(answers(*took)) is unsettled


def test_what_is_not_there_is_not_asked_again_soon_and_what_does_not_answer_is() -> None:
    assert not doubt.unsettled(answers(0.001, error="refused"))
    assert doubt.unsettled(answers(5.0, error="timeout"))
    assert not doubt.unsettled(answers(5.0, 5.0, error="timeout"))


def test_a_service_that_is_always_a_little_late_is_asked_eight_times_a_minute_at_most() -> None:
    assert not doubt.unsettled(answers(*[0.3] * 12, apart_seconds=5))
    assert doubt.unsettled(answers(*[0.3] * 12, apart_seconds=30))


@given(st.floats(0, 5), st.integers(0, 10**6))
def test_the_next_request_follows_the_answer_within_a_second_and_never_at_once(took: float, moment: int) -> None:
    at = START + timedelta(milliseconds=moment)
    seconds = doubt.again_seconds(ReplicaId("r"), (HttpSample(at, "/x", took, 404),))
    assert 0.29 < seconds - took < 1.01


def test_distances_vary_so_that_no_phase_is_met_again_and_again() -> None:
    probes = answers(*[0.3] * 40, apart_seconds=1.7)
    distances = [doubt.again_seconds(ReplicaId("r"), (one,)) for one in probes]
    assert max(distances) - min(distances) > 0.4


def asked(wait_seconds: float, turn_seconds: float, workers: int, seed: int) -> list[HttpSample]:
    """The answers of a service each of whose workers is held and turns by turns, as the schedule asks for them."""
    chance = random.Random(seed)
    cycle = wait_seconds + turn_seconds
    phases = [chance.uniform(0, cycle) for _ in range(workers)]
    found: list[HttpSample] = []
    now, done = 0.0, {}
    deployment = service()
    while now < 15:
        jobs = due(now, [deployment], Interest(), Budget(), done, kinds=("loop",), small=True)
        if jobs:
            done["loop", ReplicaId("a")] = now
            took = min(max(0.0, wait_seconds - (now + phase) % cycle) for phase in phases) + 0.002
            found.append(HttpSample(START + timedelta(seconds=seed + now), "/x", took, 404))
            deployment = service(*found[-12:])
            now += took
        now += 0.2
    return found


@pytest.mark.parametrize(("workers", "least_found", "least_told"), [(1, 0.99, 0.99), (2, 0.85, 0.97)])
def test_a_loop_that_is_held_nine_tenths_of_the_time_is_found_whenever_it_is_asked_first_or_said_to_be_unknown(
    workers: int, least_found: float, least_told: float
) -> None:
    runs = [asked(3.0, 0.3, workers, seed) for seed in range(300)]
    found = [any(_loop.slow(run[:n], workers) for n in range(len(run) + 1)) for run in runs]
    told = [one or _loop.disagree(run) for one, run in zip(found, runs, strict=True)]
    assert sum(found) >= least_found * len(runs)
    assert sum(told) >= least_told * len(runs)
    assert max(map(len, runs)) <= 12


def test_a_healthy_service_is_asked_three_times_within_little_more_than_a_second() -> None:
    probes = asked(0.0, 1.0, 1, 7)
    assert len(probes) == 3
    assert probes[-1].at - probes[0].at < timedelta(seconds=1.5)


def test_a_large_fleet_is_asked_no_more_than_before() -> None:
    last = {("loop", ReplicaId("a")): 0.0}
    late = service(*answers(0.4))
    assert due(5.0, [late], Interest(observed=True), Budget(), last, kinds=("loop",)) == ()
    assert due(5.0, [late], Interest(), Budget(), last, kinds=("loop",), small=True)
    assert is_small([service(name=str(n)) for n in range(20)])
    assert not is_small([service(name=str(n)) for n in range(21)])
    one = service()
    many = replace(one, replicas=one.replicas * 41)
    assert not is_small([many])


def test_while_somebody_observes_a_small_fleet_is_asked_all_the_time() -> None:
    last = {("loop", ReplicaId("a")): 0.0}
    settled = service(*answers(QUICK, QUICK, QUICK))
    assert due(7.0, [settled], Interest(), Budget(), last, kinds=("loop",), small=True) == ()
    assert due(7.0, [settled], Interest(observed=True), Budget(), last, kinds=("loop",), small=True)


def test_a_slow_replica_is_looked_into_once_its_workers_were_read_since() -> None:
    slow = replace(
        service(*answers(QUICK, 2.0)).replicas[0],
        workers=(Worker(replica=ReplicaId("a"), pid=7, role="server"),),
        sampled_at=START,
    )
    assert not doubt.looked_into(slow)
    assert doubt.looked_into(replace(slow, sampled_at=START + timedelta(seconds=4)))
    assert doubt.looked_into(replace(slow, workers=()))
    assert doubt.looked_into(replace(slow, loop_probes=answers(QUICK)))
