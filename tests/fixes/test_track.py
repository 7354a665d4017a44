"""The fold: what opens, what closes, and what unknown does to both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes import catalogue
from fixes.model import SILENT, Evidence, Fires, Report, Signature, SignatureId, Undecided, Verdict, View
from fixes.signatures import _cases
from fixes.track import Tracker
from probes.base import DeploymentId, PatternKey, ReplicaId, TargetId
from probes.history import History
from probes.loghits import LogCoverage, LogHit, Mark, Pattern
from probes.model import Deployment, Link, Snapshot, TargetState

NOW = _cases.NOW
TARGET = TargetId("docker")
API = DeploymentId("docker/api")
WINDOW = timedelta(minutes=15)


class Said:
    """A signature that says what it is told to."""

    def __init__(self, verdict: Verdict = SILENT, name: str = "said", **changes: Any) -> None:
        self.verdict: Verdict | Exception = verdict
        self.asked = 0
        self.views: list[View] = []
        plain = Signature(SignatureId(name), name, "error", self._detect, (), "a test")
        self.signature = replace(plain, **changes)

    def _detect(self, view: View) -> Verdict:
        self.asked += 1
        self.views.append(view)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


def fires(source: str = "proc", ago: float | None = 5, count: int = 1, **changes: Any) -> Fires:
    at = None if ago is None else _cases.ago(ago)
    evidence = (Evidence(source, "seen", at=at, replica=_cases.REPLICA),)  # type: ignore[arg-type]
    return replace(Fires("error", "it is there", evidence, count, at, at), **changes)


class Bench:
    """A tracker with a clock, one target and its deployments."""

    def __init__(self, *said: Said) -> None:
        self.tracker = Tracker([one.signature for one in said], window=WINDOW)
        self.now = NOW
        self.link = Link("live", NOW)
        self.complete = True
        self.listed = True
        self.deployments: dict[DeploymentId, Deployment] = {API: followed(_cases.deployment())}

    def step(self, seconds: float = 10, changed: bool = True) -> Report:
        self.now += timedelta(seconds=seconds)
        if changed:
            self.deployments = {
                d: replace(v, logs=replace(v.logs, until=self.now if v.logs.until else None))
                for d, v in self.deployments.items()
            }
        state = TargetState(
            TARGET, self.link, self.now, deployments=self.deployments, complete=self.complete, listed=self.listed
        )
        return self.tracker.advance(Snapshot(self.now, {TARGET: state}), History(), self.now)


def followed(deployment: Deployment) -> Deployment:
    return replace(deployment, logs=LogCoverage("followed", since=NOW - WINDOW, until=NOW))


def ids(report: Report) -> list[str]:
    return [finding.signature for finding in report.of(API)]


def test_a_finding_opens_once_and_keeps_its_since() -> None:
    said = Said(fires(ago=60))
    bench = Bench(said)
    first = bench.step()
    assert [f.signature for f in first.opened] == ["said"]
    assert first.of(API)[0].since == _cases.ago(60)
    assert first.of(API)[0].id == "docker/api#said"
    said.verdict = fires(ago=1, count=5)
    second = bench.step()
    assert second.opened == ()
    assert (second.of(API)[0].since, second.of(API)[0].count) == (_cases.ago(60), 5)


def test_what_is_not_from_logs_closes_when_it_is_silent() -> None:
    said = Said(fires())
    bench = Bench(said)
    bench.step()
    said.verdict = SILENT
    report = bench.step()
    assert [f.signature for f in report.closed] == ["said"]
    assert report.of(API) == ()


def test_the_first_lines_of_new_replicas_neither_end_nor_begin_a_log_that_is_unstructured() -> None:
    tracker = Tracker([catalogue.signatures()[SignatureId("unstructured-logs")]], window=WINDOW)

    def told(ratio: float | None, desired: int = 1) -> Report:
        logs = LogCoverage("followed", since=NOW - WINDOW, until=NOW, structured_ratio=ratio)
        deployments = {API: replace(_cases.deployment(), logs=logs, desired=desired)}
        state = TargetState(TARGET, Link("live", NOW), NOW, deployments=deployments, complete=True, listed=True)
        return tracker.advance(Snapshot(NOW, {TARGET: state}), History(), NOW)

    assert [len(told(ratio).opened) for ratio in (None, 0.0, None, 0.1)] == [0, 1, 0, 0]
    assert told(None).closed == ()
    assert len(told(1.0).closed) == 1
    told(0.0)
    assert len(told(None, desired=0).closed) == 1, "there is no replica of which a log could tell"


def test_undecided_opens_and_closes_nothing_and_is_told() -> None:
    said = Said(Undecided("more"))
    bench = Bench(said)
    report = bench.step()
    assert (report.opened, report.undecided[API][0].needs) == ((), "more")
    said.verdict = fires()
    bench.step()
    said.verdict = Undecided("more")
    report = bench.step()
    assert (report.closed, ids(report)) == ((), ["said"])


@pytest.mark.parametrize("state", ["stale", "expired", "forbidden", "down", "connecting"])
def test_a_target_that_is_not_live_opens_and_closes_nothing(state: Any) -> None:
    said = Said(fires())
    bench = Bench(said)
    bench.step()
    said.verdict = SILENT
    bench.link, bench.deployments = Link(state, NOW), {}
    report = bench.step()
    assert (report.closed, ids(report)) == ((), ["said"])


def test_a_deployment_that_is_gone_closes_its_findings() -> None:
    bench = Bench(Said(fires()))
    bench.step()
    bench.deployments = {}
    report = bench.step()
    assert [f.signature for f in report.closed] == ["said"]
    assert dict(report.findings) == {}


def test_a_finding_from_logs_closes_after_its_quiet_time_only() -> None:
    said = Said(fires("log", ago=0), quiet_after=timedelta(minutes=2))
    bench = Bench(said)
    bench.step()
    said.verdict = SILENT
    assert ids(bench.step(60)) == ["said"]
    assert bench.step(90).closed != ()


def test_the_quiet_time_counts_only_while_logs_are_read() -> None:
    said = Said(fires("log", ago=0), quiet_after=timedelta(minutes=2))
    bench = Bench(said)
    bench.step()
    said.verdict = SILENT
    bench.deployments = {API: replace(_cases.deployment(), logs=LogCoverage("unread"))}
    for _ in range(10):
        assert ids(bench.step(60)) == ["said"]
    bench.deployments = {
        API: replace(_cases.deployment(), logs=LogCoverage("followed", since=bench.now, until=bench.now))
    }
    assert ids(bench.step(60)) == ["said"]
    assert ids(bench.step(70)) == []


def test_a_new_line_starts_the_quiet_time_again() -> None:
    said = Said(fires("log", ago=0), quiet_after=timedelta(minutes=2))
    bench = Bench(said)
    bench.step()
    said.verdict = SILENT
    bench.step(100)
    said.verdict = fires("log", ago=-105)
    bench.step(10)
    said.verdict = SILENT
    assert ids(bench.step(60)) == ["said"]
    assert ids(bench.step(100)) == []


def test_a_finding_from_logs_closes_while_undecided_once_it_was_quiet_long_enough() -> None:
    said = Said(fires("log", ago=0), quiet_after=timedelta(minutes=2))
    bench = Bench(said)
    bench.step()
    said.verdict = Undecided("a probe")
    assert ids(bench.step(60)) == ["said"]
    assert ids(bench.step(90)) == []


def test_lines_that_mean_something_else_now_close_at_once() -> None:
    pattern = Pattern(PatternKey("said/line"), "x")
    said = Said(fires("log", ago=0), patterns=(pattern,))
    bench = Bench(said)
    hit = LogHit(pattern.key, _cases.REPLICA, 1, (Mark(1, NOW),))
    bench.deployments = {API: replace(bench.deployments[API], hits=(hit,))}
    bench.step()
    said.verdict = SILENT
    assert [f.signature for f in bench.step().closed] == ["said"]


def test_what_was_found_on_a_replaced_replica_is_over() -> None:
    said = Said(fires("log", ago=0))
    bench = Bench(said)
    bench.step()
    said.verdict = SILENT
    bench.deployments = {API: followed(_cases.container(id=ReplicaId("another")))}
    assert [f.signature for f in bench.step().closed] == ["said"]


def test_a_verified_fix_leaves_old_evidence_out() -> None:
    said = Said(fires("log", ago=0))
    bench = Bench(said)
    bench.step()
    moment = bench.now
    said.verdict = SILENT
    assert ids(bench.step()) == ["said"]
    bench.tracker.settle(API, SignatureId("said"), moment)
    assert [f.signature for f in bench.step(changed=False).closed] == ["said"]
    assert said.views[-1].after == moment
    assert said.views[-1].start == moment


def test_a_signature_that_crashes_is_a_failure_and_hurts_no_other() -> None:
    broken, fine = Said(name="broken"), Said(fires(), name="fine")
    bench = Bench(broken, fine)
    broken.verdict = fires()
    bench.step()
    broken.verdict = ValueError("no\x1b[31m")
    report = bench.step()
    assert ids(report) == ["broken", "fine"]
    assert [(f.code, "broken" in f.what, f.why) for f in report.failures] == [
        ("signature-crashed", True, "ValueError: no")
    ]
    broken.verdict = SILENT
    assert bench.step().failures == ()


def test_judging_for_a_verification_changes_nothing() -> None:
    said = Said(fires())
    bench = Bench(said)
    assert isinstance(bench.tracker.judge(said.signature, bench.deployments[API], History(), NOW, after=NOW), Fires)
    assert said.views[-1].after == NOW
    said.verdict = ValueError("x")
    assert isinstance(bench.tracker.judge(said.signature, bench.deployments[API], History(), NOW), Undecided)
    said.verdict = SILENT
    report = bench.step()
    assert (report.opened, report.failures) == ((), ())


def test_what_did_not_change_is_not_judged_again() -> None:
    said = Said()
    bench = Bench(said)
    bench.step()
    for _ in range(5):
        bench.step(changed=False)
    assert said.asked == 1


def test_while_a_target_is_read_not_each_part_of_it_is_judged_and_the_whole_is() -> None:
    said = Said()
    bench = Bench(said)
    bench.complete = False
    for _ in range(5):
        bench.step(0.2)
    assert said.asked == 1
    bench.complete = True
    bench.step(0.2)
    assert said.asked == 2


def test_what_may_lack_replicas_is_not_judged_until_it_is_listed() -> None:
    said = Said()
    bench = Bench(said)
    bench.complete = bench.listed = False
    for _ in range(5):
        bench.step(0.2)
    assert said.asked == 0
    bench.listed = True
    bench.step(0.2)
    assert said.asked == 1


def test_a_list_that_takes_long_is_judged_as_far_as_it_came_and_at_once_when_it_is_whole() -> None:
    said = Said()
    bench = Bench(said)
    bench.complete = bench.listed = False
    bench.step()
    bench.step(6)
    assert said.asked == 1
    bench.step(0.2)
    assert said.asked == 1
    bench.listed = True
    bench.step(0.2)
    assert said.asked == 2
    bench.step(0.2)
    assert said.asked == 2, "measurements come in parts, too"


def test_an_open_finding_is_judged_again_as_time_passes() -> None:
    said = Said(fires())
    bench = Bench(said)
    bench.step()
    said.verdict = SILENT
    assert bench.step(60, changed=False).closed != ()


def test_a_large_fleet_at_rest_is_judged_again_a_few_at_a_time_and_none_is_forgotten() -> None:
    said = Said(Undecided("more"))
    bench = Bench(said)
    many = [DeploymentId(f"docker/api-{number}") for number in range(300)]
    bench.deployments = {one: replace(bench.deployments[API], id=one) for one in many}
    bench.step()
    said.asked, said.views = 0, []
    for _ in range(10):
        before = said.asked
        bench.step(10, changed=False)
        assert said.asked - before <= 100
    assert {view.deployment.id for view in said.views} == set(many)


def test_of_a_large_fleet_at_rest_what_is_in_trouble_is_judged_again_first() -> None:
    said = Said(Undecided("more"))
    bench = Bench(said)
    calm = [DeploymentId(f"docker/calm-{number}") for number in range(300)]
    bench.deployments = {one: replace(bench.deployments[API], id=one) for one in calm}
    bench.step()
    said.verdict = fires()
    bench.deployments[API] = followed(_cases.deployment())
    bench.step(0, changed=False)
    said.views = []
    bench.step(6, changed=False)
    assert API in {view.deployment.id for view in said.views}


def test_remedies_are_offered_with_the_reason_why_not() -> None:
    bench = Bench(Said(fires(), "missing-env", remedies=("set-memory-limit", "advise")))
    offers = {offer.id: offer for offer in bench.step().of(API)[0].remedies}
    assert not offers["set-memory-limit"].applicable
    assert offers["set-memory-limit"].why_not
    assert offers["advise"].applicable


VERDICTS = st.sampled_from(["fires", "log", "silent", "undecided", "crash"])
LINKS = st.sampled_from(["live", "live", "live", "stale"])


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(st.tuples(VERDICTS, LINKS, st.booleans(), st.integers(1, 400)), max_size=25))
def test_opened_and_closed_agree_with_what_is_open(steps: list[tuple[str, str, bool, int]]) -> None:
    said = Said()
    bench = Bench(said)
    before: dict[str, Any] = {}
    known = bench.deployments
    for verdict, link, there, seconds in steps:
        age = (NOW - bench.now).total_seconds()
        said.verdict = {
            "fires": fires(ago=age),
            "log": fires("log", ago=age),
            "silent": SILENT,
            "undecided": Undecided("more"),
            "crash": ValueError("x"),
        }[verdict]
        bench.link, bench.deployments = Link(link, NOW), known if there else {}  # type: ignore[arg-type]
        report = bench.step(seconds)
        after = {f.id: f for found in report.findings.values() for f in found}
        assert {f.id for f in report.opened} == set(after) - set(before)
        assert {f.id for f in report.closed} == set(before) - set(after)
        for identity in set(before) & set(after):
            assert after[identity].since == before[identity].since
        if link != "live" or verdict == "crash":
            assert not report.opened
        if link != "live":
            assert not report.closed
        before = after
