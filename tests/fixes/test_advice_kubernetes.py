"""Advice on objects of Kubernetes is in kubectl's words and names the object."""

from __future__ import annotations

import pytest

from fixes import catalogue
from fixes.model import Evidence, Finding, SignatureId
from fixes.remedies._advice import ADVICE
from fixes.remedies._advice_kubernetes import KUBERNETES
from fixes.remedies.advise import REMEDY
from fixes.signatures import _cases
from probes.base import Value
from probes.model import Deployment


def advice(signature: str, deployment: Deployment, **facts: Value) -> str:
    finding = Finding(
        f"{deployment.id}#{signature}",
        deployment.id,
        SignatureId(signature),
        "error",
        "x",
        _cases.NOW,
        1,
        (Evidence("log", "x"),),
        facts=facts,
    )
    assert REMEDY.advise is not None
    return REMEDY.advise(deployment, finding).code


@pytest.mark.parametrize("signature", sorted(KUBERNETES))
def test_nothing_is_left_to_fill_in_but_what_is_not_known(signature: str) -> None:
    code = advice(signature, _cases.workload())
    assert "docker " not in code
    assert not any(gap in code for gap in ("{of}", "{in}", "{name}", "{fact:"))
    assert SignatureId(signature) in catalogue.signatures()
    assert signature in ADVICE


def test_an_init_container_and_a_gate_get_advice_of_their_own() -> None:
    pod = _cases.workload()
    assert "logs -n shop deployment/api -c migrate" in advice("startup-stalled", pod, init_container="migrate")
    assert "lifespan" in advice("startup-stalled", pod)
    assert "schedulingGates" in advice("pod-unschedulable", pod, gates="example.com/queue")
    assert "set resources" in advice("pod-unschedulable", pod)


def test_the_object_is_named() -> None:
    assert "kubectl logs -n shop deployment/api --previous" in advice("crash-loop", _cases.workload())


def test_facts_stand_in_the_code() -> None:
    assert "targetPort: 9200" in advice("port-mismatch", _cases.workload(), listening=9200)
    assert "DATABASE_URL=…" in advice("missing-env", _cases.workload(), missing="DATABASE_URL,API_KEY")


def test_a_container_gets_the_advice_of_its_engine() -> None:
    assert "docker logs" in advice("crash-loop", _cases.container())
