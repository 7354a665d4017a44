"""A check that no pod has is said once: it stands in the template, not in the pods."""

from __future__ import annotations

import pytest

from fixes.examples import view_of
from fixes.model import Example, Fires
from fixes.signatures import _cases
from fixes.signatures.probe_missing import detect
from probes.logs import Matcher
from probes.orchestrator import ProbeSpec


@pytest.mark.parametrize(
    ("probes", "said"),
    [
        (((), (), ()), "readinessProbe and livenessProbe are not configured"),
        (((_cases.READINESS,), (_cases.READINESS,)), "livenessProbe is not configured"),
        (
            ((_cases.READINESS,), (_cases.READINESS, _cases.LIVENESS), (_cases.READINESS,)),
            "livenessProbe is not configured in 2 of 3 pods",
        ),
    ],
    ids=["none", "one of two", "two templates"],
)
def test_what_every_pod_lacks_is_one_line(probes: tuple[tuple[ProbeSpec, ...], ...], said: str) -> None:
    pods = (_cases.pod(id=f"shop/web-{number}/app", probes=each) for number, each in enumerate(probes))
    found = detect(view_of(Example("x", deployment=_cases.workload(*pods)), Matcher(())))
    assert isinstance(found, Fires)
    assert [one.text for one in found.evidence] == [said]
