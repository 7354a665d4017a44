"""Remedies whose findings are settings, on a real engine: found, planned, fixed, verified, taken back, found again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from docker.types import LogConfig

from tests.console._mended import Scene, Sick, command, says, watch
from tests.console._watching import Watch
from tests.console.test_remedies_docker import there_and_back
from tests.lab.case import Case, gunicorn, ids, uvicorn
from tests.lab.runner import Lab

__all__ = ["watch"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RELOADS = Case("reloads", uvicorn("healthy:app", "--reload", "--reload-dir", "/srv"), expect=ids("dev-server"))
FIVE = Case("five-workers", (*gunicorn("healthy:app"), "--workers", "5"), expect=ids("worker-count"), cpus=1.0)
TALKS = Case(
    "talks",
    ("sh", "-c", f"head -c 12000000 /dev/zero | tr '\\0' x | fold -w 4000; exec {' '.join(uvicorn('healthy:app'))}"),
    expect=ids("log-unbounded"),
)
SICK = (
    Sick(
        RELOADS,
        "dev-server",
        "drop-dev-flags",
        f"command: {says(RELOADS)}   # for now",
        (f"command: {says(RELOADS)}   # for now",),
        (),
        lambda attrs: command("uvicorn", "healthy:app")(attrs) and "--reload" not in str(attrs["Config"]["Cmd"]),
    ),
    Sick(
        FIVE,
        "worker-count",
        "set-workers",
        f"command: {says(FIVE)}\ncpus: 1",
        (f"command: {says(FIVE)}",),
        (),
        command("gunicorn", "healthy:app", "--workers", "3"),
    ),
    Sick(
        TALKS,
        "log-unbounded",
        "rotate-logs",
        'environment:\n  A: "1"',
        (),
        ("logging:", "driver: json-file", "options:", "max-size: 10m", 'max-file: "3"'),
        lambda attrs: attrs["HostConfig"]["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"},
        run={"log_config": LogConfig(type="json-file", config={})},
    ),
)


def test_a_remedy_of_settings_ends_its_finding_and_taking_it_back_brings_it_back(
    docker_client: Any, lab: Lab, watch: Watch, tmp_path: Path
) -> None:
    """Services of Compose projects, all at the same time: most of it is waiting."""

    def mend(sick: Sick) -> None:
        folder = tmp_path / sick.remedy
        folder.mkdir()
        there_and_back(Scene(docker_client, lab, watch, sick, folder))

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(mend, SICK):
            pass
