"""A fix helped, did not, or was not put to the test: from evidence after the change and under comparable load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from fixes import catalogue
from fixes.model import SILENT, Evidence, Finding, Fires, SignatureId, Undecided, Verdict, View
from fixes.proof import Proof
from fixes.signatures._wording import STARTED
from fixes.verify import Answer, Load, Series, begin, judge, load_before
from probes.base import ReplicaId, Value
from probes.history import Metric, Point
from probes.loghits import LogHit, Mark
from probes.model import Cpu, Deployment, HttpSample, Latency, Limit, Listener, Memory, Setting, Worker
from probes.pools import DatabaseServer, Held, Pool
from tests.fixes.fake import NOW, deployment, finding, replica

UNMEASURED = "It was not measured since the change."
FIRES = Fires("error", "worker 17 was killed", ())


def proof(signature: str) -> Proof:
    return catalogue.signatures()[SignatureId(signature)].proof


def after(seconds: float) -> Any:
    return NOW + timedelta(seconds=seconds)


def series(**points: Sequence[tuple[float, float]]) -> Series:
    """Points of one replica, times relative to the change."""

    def of(metric: Metric) -> Mapping[str, Sequence[Point]]:
        found = points.get(metric.replace("-", "_"))
        return {} if found is None else {"c1": [Point(NOW.timestamp() + at, value) for at, value in found]}

    return of


def up(**changes: Any) -> Deployment:
    return deployment(replicas=(replica(sampled_at=after(2), ready=True, **changes),))


def answer(
    signature: str,
    verdict: Verdict,
    seconds: float,
    now_is: Deployment | None,
    load: Series | None = None,
) -> Answer:
    load = load or series(established=[(-60, 8), (-30, 8), (5, 8), (20, 8)])
    return judge(
        begin(finding(signature), proof(signature), NOW, load_before(load, NOW)), verdict, now_is, load, after(seconds)
    )


def test_a_setting_is_judged_by_the_first_measurement_after_the_change() -> None:
    assert answer("memory-limit-low", SILENT, 3, up()).verified == "gone"
    stale = deployment(replicas=(replica(sampled_at=NOW - timedelta(seconds=1)),))
    assert answer("memory-limit-low", SILENT, 3, stale).verified is None


def test_a_pod_that_is_told_to_go_does_not_delay_the_answer() -> None:
    going = replica(id=ReplicaId("c2"), ready=False, terminating=True)
    pods = deployment(replicas=(replica(sampled_at=after(2), ready=True), going), kind="Deployment")
    assert answer("memory-limit-low", SILENT, 3, pods).verified == "gone"


def test_a_setting_that_still_fires_is_present_at_the_end_of_the_window_only() -> None:
    assert answer("bind-loopback", FIRES, 5, up()).verified is None
    assert answer("bind-loopback", FIRES, 31, up()) == Answer("present", "worker 17 was killed")


@pytest.mark.parametrize("signature", ["oom-killed", "worker-timeout", "worker-boot-failed", "pool-exhausted"])
def test_a_failure_that_happens_again_is_present_at_once(signature: str) -> None:
    assert answer(signature, FIRES, 2, up()).verified == "present"


def test_what_was_measured_before_a_change_does_not_tell_that_it_failed() -> None:
    def full(seconds: float) -> Fires:
        return Fires("critical", "it is full", (Evidence("proc", "64 of 64 descriptors are open", at=after(seconds)),))

    assert answer("fd-exhausted", full(-1), 2, up()).verified is None
    assert answer("fd-exhausted", full(6), 7, up()).verified == "present"
    assert answer("fd-exhausted", full(-1), 29, up()).verified is None
    assert answer("fd-exhausted", full(6), 30, up()).verified == "present"


@pytest.mark.parametrize("signature", ["fd-exhausted", "cpu-throttled", "memory-limit-low", "worker-boot-failed"])
@pytest.mark.parametrize("now_is", [up(), deployment(replicas=(replica(),))])
def test_what_was_not_measured_since_the_change_is_untested_at_the_windows_end(
    signature: str, now_is: Deployment
) -> None:
    old = Fires("error", "it is full", (Evidence("cgroup", "full", at=after(-60)), Evidence("proc", "x", at=after(-1))))
    assert answer(signature, old, 10, now_is).verified is None
    end = proof(signature).window_seconds + 1
    said = answer(signature, old, end, now_is)
    assert said == Answer("untested", UNMEASURED)
    newer = Fires("error", "it is full", (*old.evidence, Evidence("cgroup", "full", at=after(9))))
    assert answer(signature, newer, end, now_is).verified == "present"


def test_a_quota_is_well_only_where_it_was_seen_to_be_under_load_or_after_the_burst_of_a_start() -> None:
    busy = series(established=[(-60, 8), (5, 8), (110, 8)])
    seen, unseen = (up(cpu=Cpu(limit=Limit(True, 1.0), throttled_ratio=ratio)) for ratio in (0.0, None))
    assert answer("cpu-throttled", SILENT, 30, seen, busy).verified == "gone"
    assert answer("cpu-throttled", SILENT, 30, unseen, busy).verified is None
    assert answer("cpu-throttled", Undecided("time"), 30, seen, busy).verified is None
    assert answer("cpu-throttled", SILENT, 120, unseen, busy) == Answer("untested", UNMEASURED)


def test_what_does_not_run_any_more_says_so_where_only_the_past_fires() -> None:
    old = Fires("error", "it ended", (Evidence("inspect", "exit 3", at=after(-1)),))
    said = answer("container-cannot-start", old, 31, deployment(replicas=(replica(state="exited"),)))
    assert said == Answer("untested", "The service does not run.")


def test_silence_under_the_same_load_is_gone_at_the_end_of_the_window() -> None:
    assert answer("oom-killed", SILENT, 29, up()).verified is None
    assert answer("oom-killed", SILENT, 30, up()).verified == "gone"
    assert answer("worker-timeout", SILENT, 45, up()).verified is None
    assert answer("worker-timeout", SILENT, 60, up()).verified == "gone"


@pytest.mark.parametrize(
    ("points", "verified"),
    [
        ({"established": [(-60, 8), (5, 4)]}, "gone"),
        ({"established": [(-60, 8), (5, 3)]}, "untested"),
        ({"established": [(-60, 8)]}, "untested"),
        ({"established": [(-60, 0), (5, 0)]}, "untested"),
        ({"established": [(-60, 0), (5, 9)]}, "gone"),
        ({"cpu_cores": [(-60, 0.5), (5, 0.4)]}, "gone"),
        ({"cpu_cores": [(-60, 0.5), (5, 0.01)]}, "untested"),
        ({"established": [(-60, 8), (5, 1)], "cpu_cores": [(-60, 0.5), (5, 0.5)]}, "gone"),
        ({"established": [(-400, 8), (5, 8)]}, "gone"),
        ({}, "untested"),
    ],
)
def test_silence_counts_only_under_comparable_load(points: dict[str, list[tuple[float, float]]], verified: str) -> None:
    said = answer("oom-killed", SILENT, 30, up(), series(**points))
    assert said.verified == verified
    assert bool(said.why) == (verified == "untested")


def test_where_no_load_was_measured_an_answered_request_is_enough() -> None:
    answered = up(loop_probes=(HttpSample(after(10), "/x", 0.01, 404),))
    assert answer("event-loop-blocked", SILENT, 30, answered, series()).verified == "gone"
    before = up(loop_probes=(HttpSample(NOW - timedelta(seconds=5), "/x", 0.01, 404),))
    assert answer("event-loop-blocked", SILENT, 30, before, series()).verified == "untested"
    failed = up(loop_probes=(HttpSample(after(10), "/x", 5.0, None, "timeout"),))
    assert answer("event-loop-blocked", SILENT, 30, failed, series()).verified == "untested"


def test_what_stays_undecided_is_untested_and_says_what_it_needs() -> None:
    needs = Undecided("30 min of memory, 40 s seen")
    assert answer("memory-leak", needs, 179, up()).verified is None
    said = answer("memory-leak", needs, 180, up())
    assert said.verified == "untested"
    assert "30 min of memory" in (said.why or "")


@pytest.mark.parametrize(
    ("now_is", "why"),
    [
        (None, "not seen"),
        (deployment(replicas=()), "does not run"),
        (deployment(replicas=(replica(state="exited"),)), "does not run"),
        (deployment(replicas=(replica(sampled_at=after(2)),), desired=2), "1 of 2"),
        (deployment(replicas=(replica(sampled_at=after(2), ready=False),)), "health check"),
        (deployment(replicas=(replica(),)), "not measured"),
    ],
)
@pytest.mark.parametrize("signature", ["memory-limit-low", "worker-boot-failed", "oom-killed"])
def test_a_service_that_does_not_run_proves_nothing(signature: str, now_is: Deployment | None, why: str) -> None:
    assert answer(signature, SILENT, 10, now_is).verified is None
    said = answer(signature, SILENT, 31, now_is)
    assert said.verified == "untested"
    assert why in (said.why or "")


def started(seconds: float) -> LogHit:
    """The application's own word that it came up, so long after the change."""
    return LogHit(STARTED.key, ReplicaId("c1"), 1, (Mark(7, after(seconds)),))


@pytest.mark.parametrize(
    ("now_is", "verified"),
    [
        (deployment(replicas=up().replicas, hits=(started(8),)), "gone"),
        (deployment(replicas=up().replicas, hits=(started(-8),)), "untested"),
        (up(loop_probes=(HttpSample(after(10), "/x", 0.01, 404),)), "gone"),
        (up(listeners=(Listener("0.0.0.0", 8000),)), "untested"),  # gunicorn's master listens before any worker
        (deployment(server="hypercorn", replicas=up(listeners=(Listener("0.0.0.0", 8000),)).replicas), "gone"),
    ],
)
def test_a_start_is_judged_at_the_end_of_the_window_and_must_have_happened(now_is: Deployment, verified: str) -> None:
    assert answer("missing-env", SILENT, 10, now_is, series()).verified is None
    said = answer("missing-env", SILENT, 30, now_is, series())
    assert said.verified == verified
    assert (said.why is None) == (verified == "gone")


@pytest.mark.parametrize(("former", "window"), [(3, 60), (30, 60), (60, 120), (300, 180)])
def test_workers_killed_only_while_they_start_need_a_start_and_no_load(former: float, window: float) -> None:
    told = {"only_boots": True, "timeout_seconds": former}
    verification = begin(finding("worker-timeout", facts=told, count=9), proof("worker-timeout"), NOW, Load(cores=0.9))
    assert verification.proof.basis == "start"
    assert verification.window_seconds == window
    came_up = deployment(replicas=up().replicas, hits=(started(8),))
    idle = series(cpu_cores=[(5, 0.0)])
    assert judge(verification, SILENT, came_up, idle, after(window - 1)).verified is None
    assert judge(verification, SILENT, came_up, idle, after(window)).verified == "gone"
    assert judge(verification, FIRES, came_up, idle, after(5)).verified == "present"
    assert judge(verification, SILENT, up(), idle, after(window)).verified == "untested"


def test_what_kept_it_from_starting_is_over_when_it_starts() -> None:
    came_up = deployment(replicas=up().replicas, hits=(started(8),))
    idle, found = series(cpu_cores=[(-60, 0.0), (5, 0.0)]), finding("db-ssl-required")
    for effects, verified in (((finding("worker-boot-failed"),), "gone"), ((finding("error-rate"),), "untested")):
        verification = begin(found, proof("db-ssl-required"), NOW, load_before(idle, NOW), effects)
        assert judge(verification, SILENT, came_up, idle, after(30)).verified == verified
        assert judge(verification, SILENT, up(), idle, after(30)).verified == "untested"


@pytest.mark.parametrize(
    ("signature", "known"),
    [
        ("no-worker-recycling", deployment(replicas=up().replicas, settings={"max_requests": Setting(1000, "file")})),
        ("timeout-too-short", deployment(replicas=up().replicas, settings={"timeout": Setting(60, "file")})),
        ("deprecated-worker-class", deployment(replicas=up().replicas, settings={"worker_class": Setting("x", "x")})),
        ("memory-unlimited", up(memory=Memory(limit=Limit(True, 1e9)))),
        ("fd-limit-low", up(workers=(Worker(7, ReplicaId("c1"), "worker", open_files_limit=65536),))),
    ],
)
def test_a_setting_must_be_seen_before_its_silence_counts(signature: str, known: Deployment) -> None:
    assert answer(signature, SILENT, 3, known).verified == "gone"
    assert answer(signature, SILENT, 3, up()).verified is None
    assert "not seen" in (answer(signature, SILENT, 30, up()).why or "")


def test_a_leak_is_gone_as_soon_as_its_signature_has_seen_enough() -> None:
    busy = series(established=[(-60, 8), (-30, 8), (10, 8), (50, 8)])
    assert answer("memory-leak", SILENT, 59, up(), busy).verified is None
    assert answer("memory-leak", SILENT, 60, up(), busy).verified == "gone"
    assert answer("memory-leak", Undecided("a worker's life"), 60, up(), busy).verified is None
    assert answer("memory-leak", SILENT, 60, up(), series(established=[(-60, 8), (10, 1)])).verified is None


def test_a_service_whose_short_requests_nobody_sees_is_in_use_where_it_counts_them() -> None:
    quiet = series(established=[(-60, 0), (10, 0)], cpu_cores=[(-60, 0.001), (10, 0.001)])

    def counted(seconds: float, rate: float) -> Answer:
        told = Latency(after(seconds), requests_per_second=rate, source="access log")
        return answer("pool-exhausted", SILENT, seconds, msgspec.structs.replace(up(), latency=told), quiet)

    assert counted(59, 0.6).verified is None, "the rate may still be of the time before the change"
    assert counted(63, 0.6).verified == "gone"
    assert counted(63, 0.01).verified == "untested"
    assert answer("pool-exhausted", SILENT, 63, up(), quiet).verified == "untested"


BUSY = series(established=[(-60, 8), (-30, 8), *((second, 8) for second in range(0, 700, 10))])


def rare(count: int, first: float, last: float, signature: str = "oom-killed", source: Any = "event") -> Finding:
    """Failures before the change: how many, since and until how many seconds before."""
    seen = tuple(Evidence(source, "it failed", at=after(-ago)) for ago in (first, last))
    return finding(signature, since=after(-first), count=count, evidence=seen)


@pytest.mark.parametrize(
    ("found", "window", "needed"),
    [
        (rare(2, 720, 10), 60, 360),
        (rare(20, 800, 10), 40, 40),
        (rare(1, 20, 20), 30, 30),
        (rare(30, 300, 290), 60, 290),  # it had stopped by itself
        (rare(1, 86400, 10), 60, 600),  # open for a day: the count is of the look-back, the quiet is bounded
        (rare(4, 800, 10, "worker-timeout", "log"), 60, 200),
    ],
)
def test_a_rare_failure_is_gone_only_after_the_time_in_which_it_used_to_come(
    found: Finding, window: float, needed: float
) -> None:
    verification = begin(found, proof(found.signature), NOW, load_before(BUSY, NOW))
    assert verification.window_seconds == window
    assert judge(verification, SILENT, up(), BUSY, after(window - 1)).verified is None
    said = judge(verification, SILENT, up(), BUSY, after(window))
    assert said.verified == ("gone" if needed == window else "untested")
    assert ("more are needed" in (said.why or "")) == (needed > window)
    assert judge(verification, SILENT, up(), BUSY, after(needed)).verified == "gone"


def test_untested_says_how_often_it_came_and_how_long_is_missing() -> None:
    said = judge(
        begin(rare(2, 720, 10), proof("oom-killed"), NOW, load_before(BUSY, NOW)), SILENT, up(), BUSY, after(60)
    )
    assert said.why == "Quiet so far, but it came every 6 min; 5 min more are needed."


@pytest.mark.parametrize("signature", ["memory-leak", "cpu-throttled", "fd-exhausted"])
def test_what_is_measured_at_every_look_needs_no_longer_quiet(signature: str) -> None:
    assert begin(rare(2, 720, 1, signature, "cgroup"), proof(signature), NOW, load_before(BUSY, NOW)).every_seconds == 0


def pools(
    asked_at: float | None, *, usable: int | None = 100, size: int = 10, workers: int = 4, age: float = 40
) -> Deployment:
    """A worker's pool of so many, seen a minute after the change; the server was asked at that moment."""
    server = DatabaseServer("db:5432", "postgresql", after(asked_at or 0), usable=usable, in_use=9)
    held = None if asked_at is None else Held(server, 9)
    born = after(60 - age)
    them = tuple(Worker(17 + i, ReplicaId("c1"), "worker", started_at=born) for i in range(workers))
    pool = Pool("asked", None, None, size, 5, workers, 1, held=held)
    return deployment(replicas=(replica(sampled_at=after(60), started_at=born, workers=them),), pool=pool)


def pool_answer(one: Deployment, **facts: Value) -> Answer:
    signature = catalogue.signatures()[SignatureId("pool-oversubscribed")]
    view = View(one, after(60), timedelta(minutes=15), lambda _metric: {}, after=NOW)
    found = finding("pool-oversubscribed", facts=facts)
    begun = begin(found, signature.proof, NOW, Load())
    return judge(begun, signature.detect(view), one, lambda _metric: {}, after(begun.window_seconds))


ASKED: dict[str, Value] = {"asked": True, "limit": 100}
LOGGED: dict[str, Value] = {"workers": 4, "limit": 100}


@pytest.mark.parametrize(
    ("one", "facts", "verdict", "why"),
    [
        (pools(50), ASKED, "gone", None),
        (pools(50, size=50), ASKED, "present", "220"),
        (pools(None), ASKED, "untested", "not asked since"),
        (pools(-5), ASKED, "untested", "not asked since"),
        (pools(50, usable=None), ASKED, "untested", "not asked since"),
        (pools(50, workers=1, age=3), ASKED, "untested", "still starting"),
        (pools(None, size=10), LOGGED, "gone", None),
        (pools(None, size=50), LOGGED, "untested", "may open 220 connections, and 100"),
        (pools(None), {}, "untested", "not asked since"),
    ],
)
def test_pools_fit_where_the_server_was_asked_since_and_all_workers_were_seen(
    one: Deployment, facts: dict[str, Value], verdict: str, why: str | None
) -> None:
    said = pool_answer(one, **facts)
    assert said.verified == verdict
    assert (why or "") in (said.why or "")


def test_what_the_server_itself_said_is_marked_for_the_proof() -> None:
    one = pools(50, size=50)
    view = View(one, after(60), timedelta(minutes=15), lambda _metric: {})
    found = catalogue.signatures()[SignatureId("pool-oversubscribed")].detect(view)
    assert isinstance(found, Fires)
    assert found.facts["asked"] is True
