"""The whole program on every case of the lab: each failure found, none invented, and only FastAPI listed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console._watching import Result, Watch, observe
from tests.lab.case import Case
from tests.lab.cases import CASES, database, healthy, memory, network, starting, strangers, workers
from tests.lab.runner import Lab

WAVES: tuple[tuple[Case, ...], ...] = (
    (*memory.CASES, *strangers.CASES),
    (*starting.CASES, *network.CASES, *database.CASES),
    (*workers.KILLED, *workers.TIMED, *healthy.CASES),
    (*workers.BLOCKED, *workers.SINGLE),
)
"""What is up at the same time: trends that take a minute beside services that do nothing, blocked loops alone."""


class Bench:
    """Brings a wave up when one of its cases is asked for; only cases that are to be tested."""

    def __init__(self, watch: Watch, lab: Lab, selected: frozenset[str]) -> None:
        self._watch, self._lab, self._selected = watch, lab, selected
        self._results: dict[str, Result] = {}

    def result(self, name: str) -> Result:
        """What became of a case."""
        if name not in self._results:
            wave = next(w for w in WAVES if name in {case.name for case in w})
            self._results |= observe(self._watch, self._lab, [c for c in wave if c.name in self._selected])
        return self._results[name]


@pytest.fixture(scope="module")
def bench(
    docker_client: object,
    lab_image: str,
    engine: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Bench]:
    """A session and a lab for the whole file."""
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
            yield Bench(watch, lab, selected)


def test_every_case_stands_in_one_wave() -> None:
    names = [case.name for wave in WAVES for case in wave]
    assert sorted(names) == sorted(CASES)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [case.name for wave in WAVES for case in wave])
def test_finds_what_is_there_and_nothing_else(bench: Bench, name: str) -> None:
    wrong = bench.result(name).verdict()
    assert wrong is None, wrong
