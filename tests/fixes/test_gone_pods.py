"""What kept a pod from being made is over with the pod: the status of those in its place tells how they fare."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fixes import catalogue
from fixes.examples import view_of
from fixes.model import SILENT, Example, Fires, SignatureId
from fixes.signatures import _cases
from probes.logs import Matcher

PULL = 'Warning  Failed  kubelet  Failed to pull image "shop/api:1.2.4": not found\n'
MOUNT = 'Warning  FailedMount  kubelet  MountVolume.SetUp failed for volume "code" : configmap "code" not found\n'


@pytest.mark.parametrize(("signature", "line"), [("image-pull-failed", PULL), ("container-cannot-start", MOUNT)])
def test_an_event_of_a_pod_that_is_gone_is_of_the_past(signature: str, line: str) -> None:
    detect = catalogue.signatures()[SignatureId(signature)].detect
    waiting = _cases.waiting("ContainerCreating")
    view = view_of(Example("event", line, deployment=_cases.workload(waiting)), Matcher(catalogue.patterns()))
    assert isinstance(detect(view), Fires)
    replaced = replace(view.deployment, replicas=(_cases.pod(id="shop/api-5f6d7e-x/api"),))
    assert detect(replace(view, deployment=replaced)) == SILENT
    alone = replace(view, deployment=replace(view.deployment, replicas=()))
    assert isinstance(detect(alone), Fires), "no pod is known, so none tells better"
