"""What the user decides of signatures: silenced, another severity, other thresholds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from fixes import catalogue, policy
from fixes.examples import view_of
from fixes.model import SILENT, Example, Fires, Report, Signature, SignatureId, Verdict, View
from fixes.policy import BadPolicy, Override, Policy, Silence
from fixes.signatures import _cases
from fixes.track import Tracker
from probes.base import DeploymentId, TargetId
from probes.history import History
from probes.logs import Matcher
from probes.model import Deployment, Limit, Link, Memory, Snapshot, TargetState
from tests.fixes.test_track import API, Said, fires

NOW = _cases.NOW
LOW = SignatureId("memory-limit-low")
TARGET = TargetId("docker")
EARLIER = (NOW - timedelta(days=1)).date()
SHOP = DeploymentId("docker/shop/api")


def silence(name: str = "said", deployment: str | None = None, until: date | None = None) -> Silence:
    return Silence(SignatureId(name), "known", deployment, until)


def report(tracker: Tracker, now: datetime = NOW) -> Report:
    state = TargetState(TARGET, Link("live", NOW), now, deployments={API: _cases.deployment()})
    return tracker.advance(Snapshot(now, {TARGET: state}), History(), now)


def tracker(*said: Said, **decided: object) -> Tracker:
    return Tracker([one.signature for one in said], decided=Policy(**decided))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        (None, True),
        ("docker/shop/api", True),
        ("docker/shop/*", True),
        ("shop/api", True),
        ("api", True),
        ("a?i", True),
        ("shop", False),
        ("docker", False),
        ("docker/other/*", False),
        ("pi", False),
    ],
)
def test_a_deployment_is_meant_by_its_id_its_tail_or_a_glob(pattern: str | None, meant: bool) -> None:
    decided = Policy(silences=(silence(deployment=pattern),))
    assert policy.silenced(decided, SHOP, NOW) == ({"said"} if meant else set())


def test_a_silence_lasts_to_the_end_of_its_last_day() -> None:
    one = silence(until=date(2026, 12, 31))
    assert not policy.is_over(one, datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert policy.is_over(one, datetime(2027, 1, 1, 0, 0, tzinfo=UTC))


def test_what_is_silenced_is_counted_and_neither_found_nor_opened() -> None:
    seen = report(tracker(Said(fires()), Said(fires(), "other"), silences=(silence(),)))
    assert [f.signature for f in seen.of(API)] == ["other"]
    assert [f.signature for f in seen.opened] == ["other"]
    assert [f.signature for f in seen.silenced[API]] == ["said"]


def test_what_is_silenced_is_not_closed_either() -> None:
    said = Said(fires())
    fold = tracker(said, silences=(silence(),))
    report(fold)
    said.verdict = SILENT
    seen = report(fold, NOW + timedelta(minutes=1))
    assert (seen.closed, seen.silenced) == ((), {})


def test_what_is_silenced_explains_nothing() -> None:
    cause = Said(fires(), "cause", explains=(SignatureId("effect"),))
    effect = Said(fires(), "effect")
    assert report(tracker(cause, effect)).of(API)[1].explained_by is not None
    (alone,) = report(tracker(cause, effect, silences=(silence("cause"),))).of(API)
    assert (alone.signature, alone.explained_by) == ("effect", None)


def test_it_opens_when_the_silence_has_ended() -> None:
    fold = tracker(Said(fires()), silences=(silence(until=NOW.date()),))
    assert report(fold).opened == ()
    later = report(fold, NOW + timedelta(days=1))
    assert [f.signature for f in later.opened] == ["said"]
    assert later.silenced == {}


def test_a_silence_that_has_ended_silences_nothing() -> None:
    assert [f.signature for f in report(tracker(Said(fires()), silences=(silence(until=EARLIER),))).of(API)] == ["said"]


def test_a_severity_replaces_what_the_signature_says() -> None:
    (found,) = report(tracker(Said(fires()), severities={SignatureId("said"): "info"})).of(API)
    assert found.severity == "info"


def test_a_short_quiet_time_is_also_how_far_it_looks_back() -> None:
    said = Said(fires("log"), quiet_after=timedelta(minutes=2))
    report(tracker(said))
    assert said.views[0].window == timedelta(minutes=2)


def made(**thresholds: str | float) -> Policy:
    return policy.make((), {LOW: Override(thresholds=thresholds)}, catalogue.signatures())


def judged(limit_bytes: int, decided: Policy) -> Verdict:
    memory = Memory(limit=Limit(limited=True, value=float(limit_bytes)))
    deployment: Deployment = _cases.container(memory=memory)
    return Tracker(decided=decided).judge(catalogue.signatures()[LOW], deployment, History(), NOW)


def test_a_threshold_changes_the_verdict() -> None:
    assert isinstance(judged(400 << 20, Policy()), Fires)
    assert judged(400 << 20, made(limit_bytes="300MiB")) == SILENT
    raised = judged(600 << 20, made(limit_bytes=1 << 30))
    assert isinstance(raised, Fires)
    assert "1.0 GiB or more" in raised.title


ADJUSTABLE = [(s, one) for s in catalogue.signatures().values() for one in s.thresholds]


@pytest.mark.parametrize(("signature", "one"), ADJUSTABLE, ids=lambda v: getattr(v, "name", getattr(v, "id", None)))
def test_each_threshold_decides_its_signature(signature: Signature, one: object) -> None:
    """At one of its bounds it is silent on an example that fires by default."""
    matcher = Matcher(signature.patterns)
    (threshold,) = (t for t in signature.thresholds if t == one)
    bounds = [bound for bound in (threshold.minimum, threshold.maximum) if bound is not None]

    def detect(example: Example, **changes: object) -> Verdict:
        plain = view_of(example, matcher)
        return signature.detect(
            View(plain.deployment, plain.now, plain.window, plain.series, plain.node, **changes)  # type: ignore[arg-type]
        )

    assert all(isinstance(detect(e), Fires) for e in signature.fires)
    assert any(
        not isinstance(detect(e, thresholds={threshold: bound}), Fires) for e in signature.fires for bound in bounds
    )


def test_names_of_thresholds_are_unique_and_their_defaults_within_bounds() -> None:
    assert len({one for _, one in ADJUSTABLE}) == len(ADJUSTABLE)
    for _, one in ADJUSTABLE:
        assert one.minimum is not None
        assert one.maximum is not None
        assert one.minimum <= one.default <= one.maximum


@pytest.mark.parametrize(
    ("silences", "overrides", "says"),
    [
        ([silence("memory-limit-lwo")], {}, "memory-limit-lwo"),
        ([Silence(LOW, " ")], {}, "reason"),
        ([silence(LOW, deployment="")], {}, "deployment"),
        ([], {"no-such": Override()}, "no-such"),
        ([], {LOW: Override(thresholds={"limit": 1})}, "it has limit_bytes"),
        ([], {"oom-killed": Override(thresholds={"x": 1})}, "it has none"),
        ([], {LOW: Override(thresholds={"limit_bytes": "much"})}, "must be a number"),
        ([], {LOW: Override(thresholds={"limit_bytes": 1})}, "at least"),
        ([], {"error-rate": Override(thresholds={"error_ratio": 5})}, "at most"),
    ],
)
def test_what_cannot_be_is_one_sentence(silences: list[Silence], overrides: dict[str, Override], says: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        policy.make(silences, overrides, catalogue.signatures())
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_signature_whose_file_is_broken_may_still_be_named() -> None:
    decided = policy.make([silence("mine")], {"mine": Override("info", {"x": 1})}, catalogue.signatures(), {"mine"})
    assert policy.silenced(decided, SHOP, NOW) == {"mine"}
