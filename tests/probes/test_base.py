"""Which target an id belongs to, and the name that opens it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probes.base import target_of
from probes.target import Options
from probes.targets import UnknownTarget, default_names, name_of, open_target


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


def kubeconfig(folder: Path, *names: str) -> Path:
    """A kubeconfig with these contexts, of which the first is current."""
    cluster = {"cluster": {"server": "https://192.0.2.1:6443"}, "name": "c"}
    contexts = [{"name": n, "context": {"cluster": "c", "user": "u"}} for n in names]
    config = {"clusters": [cluster], "users": [{"name": "u", "user": {}}], "contexts": contexts}
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config | ({"current-context": names[0]} if names else {})))
    return path


def test_a_cluster_is_opened_by_default_where_a_kubeconfig_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert "k8s" not in default_names()
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path)))
    assert "k8s" not in default_names()
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "prod/eu", "test")))
    assert default_names()[-2:] == ("k8s", "local")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("k8s", "k8s/prod%2Feu"),
        ("k8s:test", "k8s/test"),
        ("k8s:test/shop", "k8s/test"),
        ("test", "k8s/test"),
        ("prod/eu", "k8s/prod%2Feu"),
    ],
)
def test_a_context_of_kubectl_is_opened_by_each_of_its_names(
    name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "prod/eu", "test")))
    opened = open_target(name, Options(read_only=True))
    assert opened.id == target
    assert name_of(f"{target}/shop/Deployment/web") in {"k8s:prod/eu", "k8s:test"}


@pytest.mark.parametrize(
    ("name", "says"), [("nope", "is not a target"), ("k8s:nope", "there is none of that name"), ("default", "say")]
)
def test_what_is_no_target_is_one_sentence(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "test", "default")))
    with pytest.raises(UnknownTarget, match=says) as caught:
        open_target(name, Options())
    assert "\n" not in str(caught.value)
