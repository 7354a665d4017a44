"""Which target an id belongs to, and the name that opens it."""

from __future__ import annotations

import pytest

from probes.base import target_of
from probes.targets import name_of


@pytest.mark.parametrize(
    ("identity", "target"),
    [
        ("docker/checkout", "docker"),
        ("docker/shop/web", "docker"),
        ("docker@prod/shop/web", "docker@prod"),
        ("local/reports", "local"),
        ("k8s/prod/shop/Deployment/checkout", "k8s/prod"),
        ("k8s/arn%3Aaws%3Aeks%2Fprod/shop/Pod/one", "k8s/arn%3Aaws%3Aeks%2Fprod"),
        ("k8s", "k8s"),
    ],
)
def test_an_id_begins_with_its_target(identity: str, target: str) -> None:
    assert target_of(identity) == target


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("docker/checkout", "docker"),
        ("docker@a%2Fb/checkout", "docker@a/b"),
        ("local/reports", "local"),
        ("k8s/prod/shop/Deployment/checkout", "k8s:prod"),
        ("k8s/a%2Fb/shop/Deployment/checkout", "k8s:a/b"),
        ("k8s/prod", None),
        ("shop/web", None),
        ("checkout", None),
        ("docker", None),
    ],
)
def test_a_full_id_names_what_opens_its_target_and_a_tail_does_not(identity: str, name: str | None) -> None:
    assert name_of(identity) == name
