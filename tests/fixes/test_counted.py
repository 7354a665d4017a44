"""Replicas that go or are being replaced fail nothing, and a failure beside ready replicas is no outage."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fixes.counted import counted, severity
from fixes.model import Finding, Fires, Severity, Signature, SignatureId, Verdict, View
from fixes.signatures import _cases
from fixes.track import Tracker
from probes.base import PatternKey
from probes.history import History
from probes.loghits import LogHit, Mark
from probes.model import Deployment, Link, Snapshot, TargetState

GOING = _cases.pod(id="shop/api-7d4b9c-old/api", terminating=True)
FORMER = _cases.pod(id="shop/api-5f6d7e-old/api", revision="5f6d7e", ready=False)
SERVING = _cases.pod(id="shop/api-5f6d7e-ok/api", revision="5f6d7e", ready=True)


def ids(deployment: Deployment) -> list[str]:
    return [replica.id for replica in deployment.replicas]


def test_a_replica_that_was_told_to_go_does_not_count_and_neither_does_its_log() -> None:
    hits = tuple(LogHit(PatternKey("k"), r.id, 1, (Mark(1),)) for r in (GOING, _cases.pod()))
    left = counted(_cases.workload(_cases.pod(), GOING, hits=hits))
    assert ids(left) == [_cases.POD]
    assert [hit.replica for hit in left.hits] == [_cases.POD]


def test_of_a_former_revision_only_what_still_serves_counts() -> None:
    assert ids(counted(_cases.workload(_cases.pod(), FORMER, SERVING))) == [_cases.POD, SERVING.id]


def test_the_revision_of_a_stateful_set_is_known_by_its_whole_name() -> None:
    replica = _cases.pod(revision="api-7d4b9c", ready=False)
    whole = _cases.workload(replica, kind="StatefulSet")
    assert counted(whole) is whole


def test_what_has_done_its_work_is_no_service_any_more() -> None:
    done = _cases.pod(state="exited", ready=False, exit_code=0, restart_policy="Never")
    for kind in ("Job", "Pod"):
        assert not counted(_cases.workload(done, kind=kind)).replicas
        failed = replace(done, exit_code=3)
        assert counted(_cases.workload(failed, kind=kind)).replicas == (failed,)
    assert counted(_cases.workload(done)).replicas == (done,)


def test_nothing_is_made_anew_where_all_replicas_count() -> None:
    whole = _cases.workload(_cases.pod(ready=False))
    assert counted(whole) is whole
    container = _cases.container(terminating=True)
    assert counted(container) is container


@pytest.mark.parametrize(
    ("deployment", "worst", "is_then"),
    [
        (_cases.workload(_cases.pod(ready=False)), "critical", "critical"),
        (_cases.workload(_cases.pod(ready=False), _cases.pod(id="b")), "critical", "error"),
        (_cases.workload(_cases.pod(ready=False), GOING), "critical", "critical"),
        (_cases.workload(_cases.pod()), "warning", "warning"),
        (_cases.container(ready=True), "critical", "critical"),
    ],
)
def test_an_object_of_kubernetes_is_critical_only_while_nothing_of_it_is_ready(
    deployment: Deployment, worst: Severity, is_then: Severity
) -> None:
    assert severity(deployment, worst) == is_then
    assert found(deployment, worst).severity == is_then


def test_a_signature_that_asks_sees_those_that_go() -> None:
    seen: list[View] = []

    def detect(view: View) -> Verdict:
        seen.append(view)
        return Fires("error", "x", ())

    deployment = _cases.workload(_cases.pod(), GOING)
    advance(deployment, detect)
    assert len(seen[0].deployment.replicas) == 1
    assert seen[0].whole is deployment


def found(deployment: Deployment, worst: Severity) -> Finding:
    return advance(deployment, lambda _view: Fires(worst, "x", ()))


def advance(deployment: Deployment, detect: object) -> Finding:
    signature = Signature(SignatureId("x"), "x", "critical", detect, (), "a test")  # type: ignore[arg-type]
    state = TargetState(
        deployment.target, Link("live", _cases.NOW), _cases.NOW, deployments={deployment.id: deployment}
    )
    report = Tracker([signature]).advance(Snapshot(_cases.NOW, {state.target: state}), History(), _cases.NOW)
    (finding,) = report.of(deployment.id)
    return finding
