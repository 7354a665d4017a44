"""Several contexts at once: one that takes requests and never answers delays no other, and is named in the end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.commands._session import _read_once, unread
from console.config import Config
from console.session import Session
from fixes.model import Report
from probes.base import TargetId
from probes.model import TargetState
from probes.targets.kubernetes import session as kubernetes
from probes.targets.kubernetes import target
from tests.cluster.case import KubeCase
from tests.cluster.runner import KubeLab
from tests.lab.case import gunicorn

SECONDS = 120.0
MUTE = TargetId("k8s/mute")
SHOP = KubeCase("shop", gunicorn("healthy:app"))


@pytest.fixture
def names(cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The silent context first, then the cluster's; both are in the environment's kubeconfigs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are taken by the system, requests by nobody
        config = {
            "clusters": [{"name": "mute", "cluster": {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "mute", "context": {"cluster": "mute", "user": "me"}}],
        }
        (tmp_path / "mute").write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", f"{cluster}:{tmp_path / 'mute'}")
        monkeypatch.setenv("FASTOPS_STATE", str(tmp_path / "state"))
        yield "k8s:mute", f"k8s:{yaml.safe_load(cluster.read_text())['current-context']}"


def living(report: Report) -> TargetState | None:
    return next((state for name, state in report.snapshot.targets.items() if name != MUTE), None)


def whole(report: Report) -> bool:
    """Whether the living context's service is shown, and everything of it was read."""
    state = living(report)
    return state is not None and state.complete and [one.name for one in state.deployments.values()] == ["shop"]


def test_a_context_that_never_answers_delays_no_other_and_is_named(
    names: tuple[str, str], lab_pods: KubeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab_pods.start(SHOP).ready()
    with monkeypatch.context() as patched:
        patched.setattr(kubernetes.Session, "open", for_ever(kubernetes.Session.open))
        with Session(names, Config(), read_only=True, namespace=lab_pods.namespace) as session:
            assert session.targets[0] == MUTE
            assert session.wait(SECONDS, whole)
            assert session.report.snapshot.targets[MUTE].link.state == "connecting"
    monkeypatch.setattr(target, "_MUTE_SECONDS", 1.0)
    with Session(names, Config(), read_only=True, namespace=lab_pods.namespace) as session:
        assert session.wait(SECONDS, lambda report: whole(report) and _read_once(report, session))
        (sentence,) = (one for one in unread(session.report, session) if one.startswith(MUTE))
        assert "http://127.0.0.1:" in sentence
        assert "did not answer in time" in sentence


def for_ever(opened: Any) -> Any:
    """Requests to the silent one are waited for as long as the test takes: what comes before comes without it."""

    async def patient(self: Any, *arguments: Any, timeout_seconds: float, **named: Any) -> Any:
        silent = self._place.target == MUTE
        return await opened(self, *arguments, timeout_seconds=10 * SECONDS if silent else timeout_seconds, **named)

    return patient
