"""Real containers are looked into where programs may be run in them, and left alone where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from probes.target import Options
from tests.cluster.case import KubeCase
from tests.cluster.cases import CASES
from tests.cluster.runner import KubeLab
from tests.lab.case import uvicorn
from tests.probes.kubernetes.watching import watched

SHOP = KubeCase("shop", uvicorn("shop.main:create", "--factory"))
STRANGER, IN_CODE = CASES["stranger"], CASES["loopback-in-code"]


@pytest.fixture(scope="module")
def namespace(cluster: Path, kube_api: Any, make_namespace: Callable[[], str]) -> Iterator[str]:
    """One service of each kind, up before anybody looks."""
    with KubeLab(kube_api, make_namespace()) as lab:
        yield lab.bring([SHOP, STRANGER, IN_CODE])["shop"].namespace


async def listed(namespace: str, **more: Any) -> dict[str, str]:
    """Names of what a target lists once its state is complete, and how each was recognised."""
    async with watched(Options(namespace=namespace, **more)) as seen:
        state = await seen.until(lambda one: one.complete, 60)
        return {one.name: one.recognised_by for one in state.deployments.values()}


async def test_files_tell_other_frameworks_and_servers_that_are_started_in_code(
    namespace: str, cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    found = await listed(namespace, execute=True)
    assert found.keys() == {"shop", "loopback-in-code"}
    assert "/app/shop/routes.py" in found["shop"]
    assert "serve serves fastapi" in found["loopback-in-code"]


@pytest.mark.parametrize("more", [{"execute": False}, {"execute": True, "read_only": True}], ids=["scan", "read-only"])
async def test_without_running_anything_the_command_counts(
    namespace: str, cluster: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, bool]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    found = await listed(namespace, **more)
    assert found.keys() == {"shop", "stranger"}
    assert "uvicorn serves" in found["shop"]
