from __future__ import annotations

import re

import pytest

from fixes import catalogue
from tests.cluster.case import KubeCase
from tests.cluster.cases import CASES, OWN, advised
from tests.cluster.manifests import manifests
from tests.cluster.translate import LEFT_OUT, all_translated
from tests.lab.case import Case, Load, Stop
from tests.lab.cases import CASES as DOCKER

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?")


def test_each_case_of_the_docker_lab_is_here_or_says_why_not() -> None:
    assert set(all_translated()) | set(LEFT_OUT) == set(DOCKER)
    assert not set(all_translated()) & set(LEFT_OUT)
    assert not set(all_translated()) & set(OWN)


def test_each_case_that_stands_for_another_exists() -> None:
    named = {name for reason in LEFT_OUT.values() for name in re.findall(r"`([^`]+)`", reason)}
    assert named <= set(CASES)


def test_what_docker_judges_on_kubernetes_too_is_expected_as_there() -> None:
    for name, case in all_translated().items():
        assert case.expect == DOCKER[name].expect


OF_PODS = frozenset(
    {
        "bind-loopback",
        "container-cannot-start",
        "cpu-throttled",
        "crash-loop",
        "disk-full",
        "image-pull-failed",
        "memory-leak",
        "memory-limit-low",
        "memory-near-limit",
        "memory-unlimited",
        "oom-killed",
        "plaintext-secret",
        "pod-unschedulable",
        "port-mismatch",
        "probe-failing",
        "probe-misconfigured",
        "probe-missing",
        "single-process",
    }
)
"""What has other evidence on Kubernetes than on an engine, or is there alone."""


def test_each_signature_with_evidence_of_its_own_has_a_case() -> None:
    assert frozenset().union(*(case.expect for case in CASES.values())) >= OF_PODS


def test_what_is_expected_or_allowed_is_in_the_catalogue() -> None:
    said = frozenset().union(*(case.expect | case.allow | advised(case) for case in CASES.values()))
    assert said <= frozenset(map(str, catalogue.signatures()))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_case_makes_objects_of_one_namespace_that_select_their_pods(case: KubeCase) -> None:
    made = manifests(case, "shop")
    assert LABEL.fullmatch(case.name)
    assert {item["metadata"]["namespace"] for item in made} == {"shop"}
    workload = made[-1]
    template = workload["spec"]["template"]
    assert workload["kind"] == case.kind
    assert template["metadata"]["labels"] == workload["spec"]["selector"]["matchLabels"]
    assert template["spec"]["containers"][0]["command"] == list(case.command)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_case_expects_is_not_also_merely_allowed(case: KubeCase) -> None:
    assert not case.expect & case.allow


def test_no_case_sends_load_to_a_workload_without_a_port() -> None:
    assert all(case.port for case in CASES.values() if any(isinstance(step, Load) for step in case.drive))


def test_limits_and_probes_of_the_docker_lab_become_those_of_a_container() -> None:
    container = all_translated()["healthy-gunicorn"].container
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert "readinessProbe" in container
    servers = {"unstructured-logs", "no-worker-recycling"}
    assert advised(all_translated()["healthy-gunicorn"]) == servers
    assert advised(all_translated()["lone-busy"]) == {"memory-unlimited", "probe-missing", "unstructured-logs"}


def test_a_limit_of_open_files_is_set_by_a_shell() -> None:
    command = all_translated()["descriptors-silent"].command
    assert command[:2] == ("sh", "-c")
    assert command[2].startswith("ulimit -n 64; exec uvicorn ")
    assert "fd-limit-low" in advised(all_translated()["descriptors-silent"])


def test_a_case_that_stops_its_container_cannot_be_translated() -> None:
    from tests.cluster.translate import translated

    with pytest.raises(TypeError, match="LEFT_OUT"):
        translated(Case("stops", ("sleep", "1"), drive=(Stop(),)))
