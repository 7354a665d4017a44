"""The whole program on every case of the lab: each failure found, none invented, and only FastAPI listed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.console._watching import Result, Watch, observe
from tests.lab.case import Case
from tests.lab.cases import CASES, database, healthy, memory, network, starting, strangers, workers
from tests.lab.runner import Lab

TRENDS = tuple(case for case in memory.CASES if case.observe_seconds)
"""They take minutes and little else: they are watched beside all the others."""
WAVES: tuple[tuple[Case, ...], ...] = (
    (*(case for case in memory.CASES if case not in TRENDS), *strangers.CASES),
    (*starting.CASES, *network.CASES, *database.CASES),
    (*workers.KILLED, *workers.TIMED, *healthy.CASES),
    (*workers.BLOCKED, *workers.SINGLE),
)
"""What is up at the same time: blocked loops by themselves."""


def watched(watch: Watch, lab: Lab, selected: frozenset[str]) -> dict[str, Result]:
    """Brings up, watches and removes the cases that are to be tested; the results by the cases' names."""
    with ThreadPoolExecutor(1) as beside:
        trends = beside.submit(observe, watch, lab, [case for case in TRENDS if case.name in selected])
        results: dict[str, Result] = {}
        for wave in WAVES:
            results |= observe(watch, lab, [case for case in wave if case.name in selected])
        return results | trends.result()


@pytest.fixture(scope="module")
def results(
    docker_client: object,
    lab_image: str,
    engine: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> dict[str, Result]:
    """One session watches the whole lab."""
    state = tmp_path_factory.mktemp("state")
    selected = frozenset(
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == Path(__file__) and hasattr(item, "callspec")
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FASTOPS_STATE", str(state))
        patched.setenv("DOCKER_HOST", os.environ.get("DOCKER_HOST", engine))
        with Lab(docker_client) as lab, Watch() as watch:
            return watched(watch, lab, selected)


def test_every_case_stands_in_one_wave() -> None:
    names = [case.name for wave in (TRENDS, *WAVES) for case in wave]
    assert sorted(names) == sorted(CASES)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CASES)
def test_finds_what_is_there_and_nothing_else(results: dict[str, Result], name: str) -> None:
    wrong = results[name].verdict()
    assert wrong is None, wrong
