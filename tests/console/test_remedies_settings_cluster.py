"""Remedies of the server's command on a real cluster, from the finding to the way back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.cluster.case import KubeCase
from tests.cluster.cases.sound import SOUND
from tests.cluster.manifests import http, limits
from tests.cluster.translate import translated
from tests.console._mended import BOOTS_SLOWLY
from tests.console._pods import Sick, account, databases, lab, mend, watch
from tests.lab.case import gunicorn, uvicorn

__all__ = ["account", "databases", "lab", "mend", "watch"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SICK = (
    Sick(
        replace(
            translated(BOOTS_SLOWLY),
            container={"readinessProbe": http(timeoutSeconds=5), "resources": limits("1Gi")},
        ),
        "worker-timeout",
        "set-worker-timeout",
        lambda app: "60" in app["command"] and "3" not in app["command"],
    ),
    Sick(
        KubeCase(
            "five-workers",
            (*gunicorn("healthy:app"), "--workers", "5"),
            container={**SOUND, "resources": limits("1Gi", cpu="1")},
        ),
        "worker-count",
        "set-workers",
        lambda app: app["command"][-3:] == ["healthy:app", "--workers", "3"],
        back=False,  # workers are counted half a minute after their start
    ),
    Sick(
        KubeCase("reloads", uvicorn("healthy:app", "--reload", "--reload-dir", "/srv"), container=SOUND),
        "dev-server",
        "drop-dev-flags",
        lambda app: app["command"] == list(uvicorn("healthy:app")),
    ),
    Sick(
        KubeCase("never-recycled", gunicorn("healthy:app"), container=SOUND),
        "no-worker-recycling",
        "enable-worker-recycling",
        lambda app: "max_requests" in str(app).replace("-", "_"),
    ),
)


@pytest.mark.parametrize("sick", SICK, ids=[one.remedy for one in SICK])
def test_a_remedy_of_the_servers_command_is_rolled_out_and_can_be_taken_back(
    mend: Callable[[Sick], None], sick: Sick
) -> None:
    mend(sick)
