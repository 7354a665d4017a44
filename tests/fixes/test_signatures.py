"""Every example of every signature: what must fire fires, what resembles it stays silent."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import get_args

import pytest
from msgspec.structs import replace

from fixes import catalogue
from fixes.examples import view_of
from fixes.model import SILENT, Example, Fires, Signature, SignatureId, Undecided, View
from fixes.signatures._cases import NOW
from fixes.track import Tracker
from probes.history import History, Metric, SeriesKey
from probes.logs import Matcher
from probes.model import Capability, Deployment, Link, Snapshot, TargetState


@cache
def matcher() -> Matcher:
    return Matcher(catalogue.patterns())


def examples(kind: str) -> list[pytest.param]:
    return [
        pytest.param(signature, example, id=f"{signature.id}: {example.name}")
        for signature in catalogue.signatures().values()
        for example in getattr(signature, kind)
    ]


@pytest.mark.parametrize(("signature", "example"), examples("fires"))
def test_fires(signature: Signature, example: Example) -> None:
    verdict = signature.detect(view_of(example, matcher()))
    assert isinstance(verdict, Fires), verdict
    assert verdict.title
    assert verdict.evidence
    assert verdict.count >= 1


@pytest.mark.parametrize(("signature", "example"), examples("silent"))
def test_stays_silent(signature: Signature, example: Example) -> None:
    verdict = signature.detect(view_of(example, matcher()))
    assert not isinstance(verdict, Fires), verdict.title
    assert isinstance(verdict, Undecided) is example.undecided, verdict


@pytest.mark.parametrize(
    ("signature", "failure"),
    [
        ("worker-boot-failed", "Application startup failed. Exiting."),
        ("missing-env", "KeyError: \"Config 'SECRET' is missing\""),
    ],
)
def test_a_start_that_follows_a_failure_must_last_before_it_counts(signature: str, failure: str) -> None:
    log = f"[2026-11-22 09:36:19 +0000] {failure}\n[2026-11-22 09:36:24 +0000] Application startup complete.\n"
    lasting = view_of(Example("a start", log), matcher())
    detect = catalogue.signatures()[SignatureId(signature)].detect
    assert isinstance(detect(replace(lasting, now=NOW - timedelta(seconds=25))), Undecided)
    assert detect(lasting) == SILENT


@pytest.mark.parametrize(("signature", "example"), examples("fires"))
def test_has_an_answer_where_the_target_can_do_everything(signature: Signature, example: Example) -> None:
    able: dict[Capability, str | None] = dict.fromkeys(get_args(Capability))
    view = view_of(example, matcher())
    deployment = replace(view.whole or view.deployment, capabilities=able)
    report = Tracker([signature]).advance(snapshot(deployment), Past(view), view.now)
    (finding,) = report.of(deployment.id)
    assert report.failures == ()
    assert [offer.id for offer in finding.remedies] == list(signature.remedies)
    assert any(offer.applicable for offer in finding.remedies), finding.remedies


def snapshot(deployment: Deployment) -> Snapshot:
    state = TargetState(deployment.target, Link("live", NOW), NOW, deployments={deployment.id: deployment})
    return Snapshot(NOW, {deployment.target: state})


class Past(History):
    """The series of an example as a session has them."""

    def __init__(self, view: View) -> None:
        super().__init__()
        for metric in get_args(Metric):
            for label, points in view.series(metric).items():
                for point in points:
                    self.add(SeriesKey(view.deployment.id, metric, label), point.at, point.value)
