"""How people name a deployment, and which one they mean by it."""

from __future__ import annotations

import pytest

from console.naming import meant
from probes.base import DeploymentId, target_of
from probes.model import Deployment

IDS = (
    "docker/checkout",
    "docker/shop/web",
    "k8s/prod/shop/Deployment/checkout",
    "k8s/prod/pay/Deployment/checkout",
    "k8s/test/shop/Deployment/checkout",
    "k8s/prod/shop/StatefulSet/orders",
    "k8s/prod/shop/Deployment/orders",
    "k8s/prod/deploy/Deployment/web",
)


def deployment(identity: str) -> Deployment:
    return Deployment(
        id=DeploymentId(identity),
        target=target_of(identity),
        name=identity.rsplit("/", 1)[-1],
        kind="container",
        framework="fastapi",
        recognised_by="uvicorn",
        replicas=(),
    )


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("docker/checkout", [0]),
        ("checkout", [0, 2, 3, 4]),
        ("shop/web", [1]),
        ("k8s/prod/shop/Deployment/checkout", [2]),
        ("pay/Deployment/checkout", [3]),
        ("pay/checkout", [3]),
        ("test/checkout", [4]),
        ("prod/shop/checkout", [2]),
        ("sts/orders", [5]),
        ("statefulset/orders", [5]),
        ("deploy/orders", [6]),
        ("shop/deploy/checkout", [2, 4]),
        ("deploy/shop/checkout", []),
        ("prod/orders", [5, 6]),
        ("Checkout", []),
        ("shop/", []),
        ("/checkout", []),
        ("heckout", []),
    ],
)
def test_a_name_means(named: str, found: list[int]) -> None:
    assert [d.id for d in meant(named, map(deployment, IDS))] == [IDS[n] for n in found]
