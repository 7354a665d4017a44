"""The configuration: what is understood, and the one sentence for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from console import config


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_a_file_that_is_not_there_is_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTOPS_READ_ONLY", raising=False)
    loaded = config.load(tmp_path / "none.toml")
    assert loaded == config.Config()
    assert loaded.interval_seconds == 2.0
    assert loaded.lookback_time.total_seconds() == 900


@pytest.mark.parametrize("name", ["docker:prod", "docker@prod"])
def test_a_target_is_meant_however_it_is_spelled(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTOPS_READ_ONLY", raising=False)
    loaded = config.load(write(tmp_path, f'[targets."{name}"]\nread_only = true\n'))
    assert loaded.is_read_only("docker@prod")
    assert loaded.is_read_only("docker:prod")
    assert not loaded.is_read_only("docker@staging")


def test_a_target_can_be_read_only_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTOPS_READ_ONLY", raising=False)
    loaded = config.load(write(tmp_path, '[targets."docker@prod"]\nread_only = true\n'))
    assert loaded.is_read_only("docker@prod")
    assert not loaded.is_read_only("docker")


def test_production_is_read_only_until_this_run_or_the_file_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FASTOPS_READ_ONLY", raising=False)
    text = (
        '[targets."k8s:prod-*"]\nproduction = true\n[targets."k8s:prod-test"]\nproduction = true\nread_only = false\n'
    )
    loaded = config.load(write(tmp_path, text))
    assert loaded.of("k8s/prod-eu").production
    assert loaded.is_read_only("k8s/prod-eu")
    assert not loaded.is_read_only("k8s/prod-eu", lifted=True)
    assert not loaded.is_read_only("k8s/prod-test")
    assert not loaded.is_read_only("k8s/staging")
    closed = config.load(write(tmp_path, '[targets."k8s:prod-*"]\nproduction = true\nread_only = true\n'))
    assert closed.is_read_only("k8s/prod-eu", lifted=True), "what is written is not lifted"


def test_the_own_name_goes_before_patterns_and_patterns_before_later_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FASTOPS_READ_ONLY", raising=False)
    text = """
        [targets."k8s:*"]
        prometheus = "http://prometheus:9090"
        namespace = "shop"
        [targets."k8s:arn:aws:eks*"]
        namespace = "second"
        production = true
        [targets."k8s:arn:aws:eks/prod"]
        namespace = "own"
    """
    of = config.load(write(tmp_path, text)).of
    assert of("k8s/arn%3Aaws%3Aeks%2Fprod") == config.TargetConfig(
        production=True, prometheus="http://prometheus:9090", namespace="own"
    )
    assert of("k8s/arn%3Aaws%3Aeks%2Ftest").namespace == "shop"
    assert of("docker") == config.TargetConfig()


@pytest.mark.parametrize(
    ("text", "expected"), [("1", True), ("yes", True), ("surely", True), ("0", False), ("", False), ("no", False)]
)
def test_the_environment_can_only_make_it_safer(
    text: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTOPS_READ_ONLY", text)
    assert config.load(tmp_path / "none.toml").read_only is expected
    assert config.load(write(tmp_path, "read_only = true\n")).read_only is True


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("read_onyl = true\n", "read_onyl"),
        ("read_only = 3\n", "bool"),
        ('interval = "soon"\n', "not a duration"),
        ('interval = "1ms"\n', "out of bounds"),
        ("[targets.dokcer]\nread_only = true\n", "no target"),
        ("[targets.k8s]\nproduction = true\n", "k8s:CONTEXT"),
        ('[targets."k8s:a"]\nprodution = true\n', "prodution"),
        ('[targets."k8s:a"]\nnamespace = "No_Name"\n', "no name of a namespace"),
        ('[targets."k8s:a"]\nprometheus = "prometheus:9090"\n', "URL of a server"),
        ('[targets.docker]\nnamespace = "shop"\n', "Kubernetes alone"),
        ('[keys]\nfxi = "F"\n', "there is no key 'fxi'"),
        ('[keys]\nfix = "s"\n', "fix and sort are both on s"),
        ('[signatures.memory-leak]\nseverity = "bad"\n', "'bad': it is one of info, warning, error, critical"),
        ("= = =\n", "not a valid configuration"),
        ("\udcff\n", "not a valid configuration"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(config.BadConfig) as caught:
        config.load(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_named_file_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTOPS_CONFIG", str(tmp_path / "gone.toml"))
    with pytest.raises(config.BadConfig, match="does not exist"):
        config.load()
