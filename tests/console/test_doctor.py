"""What ``fastops doctor`` makes of many deployments that lack the same."""

from __future__ import annotations

from console.commands.doctor import Check, together


def limited(subject: str, what: str = "workers are unknown") -> Check:
    return Check(subject, "limited", what, "scan --exec")


def test_what_several_deployments_of_a_target_lack_is_one_line_and_the_rest_stays_as_it_is() -> None:
    checks = [
        Check("k8s/prod", "ok", "live"),
        limited("k8s/prod/shop/Deployment/a"),
        limited("k8s/prod"),
        limited("k8s/prod/shop/Deployment/b"),
        limited("k8s/test/shop/Deployment/c"),
        limited("docker/d", "its log is not read"),
        limited("k8s/prod/shop/Deployment/e"),
    ]
    assert [(one.subject, one.what) for one in together(checks)] == [
        ("k8s/prod", "live"),
        ("3 deployments of k8s/prod", "workers are unknown"),
        ("k8s/prod", "workers are unknown"),
        ("k8s/test/shop/Deployment/c", "workers are unknown"),
        ("docker/d", "its log is not read"),
    ]
