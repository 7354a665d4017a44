"""What is measured next."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probes.base import DeploymentId, ReplicaId, TargetId
from probes.model import Deployment, HttpSample, Interest, Replica
from probes.schedule import Budget, Job, budget, due, in_doubt


def fleet(count: int, state: str = "running") -> list[Deployment]:
    return [
        Deployment(
            id=DeploymentId(f"docker/{n}"),
            target=TargetId("docker"),
            name=str(n),
            kind="container",
            framework="fastapi",
            recognised_by="",
            replicas=(Replica(id=ReplicaId(f"r{n}"), name=str(n), state=state),),
        )
        for n in range(count)
    ]


def played(
    deployments: list[Deployment], interest: Interest, seconds: int, allowance: Budget
) -> list[tuple[float, Job]]:
    done: dict = {}
    found = []
    for tick in range(seconds * 2):
        now = tick / 2
        for job in due(now, deployments, interest, allowance, done):
            done[job.kind, job.replica] = now
            found.append((now, job))
    return found


def test_what_was_never_measured_is_measured_at_once_and_before_it_is_asked():
    jobs = due(100.0, fleet(3), Interest(), Budget(), {})
    assert [job.kind for job in jobs][:3] == ["sample"] * 3
    assert {job.kind for job in jobs} == {"sample", "loop", "health"}


def test_only_what_runs_is_measured():
    assert due(100.0, fleet(3, "exited"), Interest(), Budget(), {}) == ()


def test_the_focused_is_measured_every_interval_the_visible_less_and_the_rest_seldom():
    interest = Interest(focused=DeploymentId("docker/0"), visible=frozenset({DeploymentId("docker/1")}))
    jobs = played(fleet(3), interest, 120, budget(2.0))
    counts = [sum(job.kind == "sample" and job.replica == f"r{n}" for _, job in jobs) for n in range(3)]
    assert counts[0] > 45
    assert 18 <= counts[1] <= 30
    assert 7 <= counts[2] <= 10


def test_services_in_trouble_are_asked_more_often_than_those_that_are_merely_visible():
    everything = frozenset(DeploymentId(f"docker/{n}") for n in range(2))
    interest = Interest(visible=everything, troubled=frozenset({DeploymentId("docker/1")}))
    jobs = played(fleet(2), interest, 120, budget(2.0))
    asked = [sum(job.kind == "loop" and job.replica == f"r{n}" for _, job in jobs) for n in range(2)]
    assert asked[1] > 3 * asked[0]


def test_what_is_young_is_measured_as_if_it_were_focused():
    done = {(kind, ReplicaId("r0")): 0.0 for kind in ("sample", "loop", "health")}
    assert due(3.0, fleet(1), Interest(), Budget(), done) == ()
    young = due(3.0, fleet(1), Interest(), Budget(), done, frozenset({ReplicaId("r0")}))
    assert [job.kind for job in young] == ["sample"]


@given(st.integers(1, 60), st.integers(1, 40))
def test_no_more_jobs_than_the_budget_allows_and_none_is_forgotten(count, jobs):
    allowance = Budget(jobs=jobs)
    assert len(due(0.0, fleet(count), Interest(), allowance, {})) <= jobs
    seen = {job.replica for _, job in played(fleet(count), Interest(), 2 * 3 * count // jobs + 3, allowance)}
    assert len(seen) == count


def test_requests_spread_out_over_time():
    jobs = played(fleet(50), Interest(), 600, Budget())
    late = [now for now, job in jobs if job.kind == "loop" and now > 300]
    busiest = max(late.count(now) for now in set(late))
    assert busiest < 25


def test_one_slow_answer_of_the_loop_is_asked_again_soon_and_three_are_enough() -> None:
    def answered(*took: float) -> Replica:
        probes = tuple(HttpSample(datetime(2026, 11, 22, tzinfo=UTC), "/x", seconds, 404) for seconds in took)
        return Replica(id=ReplicaId("r"), name="r", state="running", loop_probes=probes)

    assert in_doubt(answered(0.01, 0.01, 2.0))
    assert in_doubt(answered(2.0))
    assert not in_doubt(answered(2.0, 2.0, 2.0))
    assert not in_doubt(answered(2.0, 2.0, 0.01))
    assert not in_doubt(answered())


def test_what_answers_slowly_is_looked_into_as_if_it_were_seen():
    (quiet,) = fleet(1)
    slow = HttpSample(at=datetime(2026, 11, 22, 12, 0, tzinfo=UTC), path="/", took_seconds=2.0, status=404)
    ill = replace(quiet, replicas=(replace(quiet.replicas[0], loop_probes=(slow,)),))
    done = {("sample", ReplicaId("r0")): 100.0}

    def looked_into(deployment: Deployment, now: float) -> bool:
        return bool(due(now, [deployment], Interest(), Budget(), done, kinds=("sample",)))

    assert looked_into(ill, 106.0)
    assert not looked_into(quiet, 106.0)
