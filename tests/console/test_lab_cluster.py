"""The program on the lab on Kubernetes: each failure found from real pods, none invented, only FastAPI listed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Self

import pytest

from console.config import Config
from console.session import Session
from probes.base import DeploymentId
from probes.model import Interest
from probes.targets.kubernetes.contexts import current_context
from tests.cluster.api import Api
from tests.cluster.case import KubeCase
from tests.cluster.cases import CASES, OWN, advised, ending, owned, probes, resources, sound, starting, unusual
from tests.cluster.runner import KubeLab, RunningPods
from tests.console._watching import FOUND_SECONDS, Result, Watch, observe
from tests.lab import cases as docker

TRENDS = tuple(case for case in CASES.values() if case.observe_seconds >= 60)
"""They take minutes and little else: they are watched beside all the others."""
TREND_SECONDS = 360
"""Nine looks into a container that is looked at take more than two minutes, on a crowded node twice as much."""
FEW = 6
"""So many cases are brought up at a time on a node with two cores."""


def translated(*modules: Sequence[object]) -> tuple[KubeCase, ...]:
    """The Docker lab's cases, as far as they have a counterpart."""
    names = [case.name for cases in modules for case in cases]  # type: ignore[attr-defined]
    return tuple(CASES[name] for name in names if name in CASES and CASES[name] not in TRENDS)


WAVES: tuple[tuple[KubeCase, ...], ...] = (
    tuple(case for case in (*starting.CASES, *owned.CASES, *sound.CASES, *unusual.CASES) if case not in TRENDS),
    probes.CASES,
    ending.CASES,
    tuple(case for case in resources.CASES if case not in TRENDS),
    translated(docker.starting.CASES, docker.network.CASES),
    translated(docker.memory.CASES, docker.workers.KILLED, docker.workers.TIMED),
    translated(docker.database.CASES, docker.healthy.CASES, docker.strangers.CASES),
    translated(docker.workers.BLOCKED, docker.workers.SINGLE),
)
"""What is up at the same time: blocked loops by themselves."""


class Pods:
    """A case that was started, by the id under which it is listed."""

    def __init__(self, running: RunningPods, context: str) -> None:
        self._running = running
        self.case = running.case
        self.deployment = running.deployment(context)
        self.log, self.stop = running.log, running.stop

    def ready(self) -> Self:
        """Waits until it shows its facts."""
        self._running.ready()
        return self


class PodLab:
    """A lab on the cluster of a context; trends are looked at, as by somebody who waits for what comes of them."""

    def __init__(self, lab: KubeLab, context: str, session: Session) -> None:
        self._lab, self._context, self._session = lab, context, session
        self._shown: frozenset[DeploymentId] = frozenset()
        self._lock = Lock()

    def start(self, case: KubeCase) -> Pods:
        """Applies the objects of a case."""
        pods = Pods(self._lab.start(case), self._context)
        if case in TRENDS:
            with self._lock:
                self._shown |= {DeploymentId(pods.deployment)}
                self._session.focus(Interest(visible=self._shown))
        return pods


class PodResult(Result):
    """What became of one case on Kubernetes."""

    advised = staticmethod(advised)


def watched(watch: Watch, lab: PodLab, selected: frozenset[str]) -> dict[str, Result]:
    """Brings up, watches and removes the cases that are to be tested; the results by the cases' names."""

    def wave(cases: Sequence[KubeCase], at_once: int, found_seconds: float = FOUND_SECONDS) -> dict[str, Result]:
        chosen = [case for case in cases if case.name in selected]
        return observe(watch, lab, chosen, PodResult, at_once, found_seconds)

    with ThreadPoolExecutor(1) as beside:
        trends = beside.submit(wave, TRENDS, len(TRENDS), TREND_SECONDS)
        results: dict[str, Result] = {}
        for cases in WAVES:
            results |= wave(cases, FEW)
        return results | trends.result()


@pytest.fixture(scope="module")
def results(
    cluster: Path,
    kube_api: Api,
    make_namespace: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> dict[str, Result]:
    """One session watches the whole lab."""
    selected = frozenset(
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == Path(__file__) and hasattr(item, "callspec")
    )
    context = current_context({**os.environ, "KUBECONFIG": str(cluster)})
    assert context is not None
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FASTOPS_STATE", str(tmp_path_factory.mktemp("state")))
        patched.setenv("KUBECONFIG", str(cluster))
        session = Session((f"k8s:{context}",), Config(), execute=True)
        with KubeLab(kube_api, make_namespace()) as lab, Watch(session) as watch:
            return watched(watch, PodLab(lab, context, session), selected)


def test_every_case_stands_in_one_wave() -> None:
    names = [case.name for wave in (TRENDS, *WAVES) for case in wave]
    assert sorted(names) == sorted(CASES)
    assert {*OWN} <= {*names}


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", CASES)
def test_finds_in_pods_what_is_there_and_nothing_else(results: dict[str, Result], name: str) -> None:
    wrong = results[name].verdict()
    assert wrong is None, wrong
