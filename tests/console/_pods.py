"""Sick pods on a real cluster, who may mend them, and the way of a remedy there and back.

The fixtures are of one test file each, which imports them by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from console.commands.rbac import document
from console.config import Config
from console.session import Session
from console.wanted_databases import NONE, Databases
from fixes.model import Outcome, Plan, Verified
from probes.base import Value
from probes.targets.kubernetes.rendering import lasting
from tests.cluster import accounts
from tests.cluster.api import Api
from tests.cluster.case import KubeCase
from tests.cluster.runner import KubeLab, RunningPods
from tests.console._fastops import until
from tests.console._remedies import FIX_SECONDS, Remedied
from tests.console._watching import Watch
from tests.lab.case import Hold, Load

FIXER = "fixer"
AT_ONCE = 3
Bring = Callable[[KubeCase, str], tuple[RunningPods, Remedied]]
"""Starts a case and waits for what is to be found of it."""


class Sick(NamedTuple):
    """A case to be mended, and what the remedy makes of its container."""

    case: KubeCase
    signature: str
    remedy: str
    now: Callable[[Any], bool]
    """Whether the container of the template is as wanted."""
    values: tuple[tuple[str, Value], ...] = ()
    verified: Verified = "gone"
    back: bool = True
    """Whether the finding is to be there again at once after the change was taken back."""


@pytest.fixture(scope="module")
def lab(kube_api: Api, make_namespace: Callable[[], str]) -> Iterator[KubeLab]:
    """One namespace for all cases, which come and go."""
    with KubeLab(kube_api, make_namespace()) as made:
        yield made


@pytest.fixture(scope="module")
def account(kube_api: Api, lab: KubeLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Who mends them may do what ``fastops rbac`` prints for this namespace, and nothing else."""
    rules = yaml.safe_load(document(read_only=False, namespace=lab.namespace))["rules"]
    return accounts.make(kube_api, lab.namespace, FIXER, rules, tmp_path_factory.mktemp("account"))


@pytest.fixture(scope="module")
def databases() -> Databases:
    """The database servers that the session asks: none."""
    return NONE


@pytest.fixture(scope="module")
def watch(
    account: Path, lab: KubeLab, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watch]:
    """A session that looks at this namespace alone: others use the cluster, too."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FASTOPS_STATE", str(tmp_path_factory.mktemp("state")))
        patched.setenv("KUBECONFIG", str(account))
        target = f"k8s:{FIXER}/{lab.namespace}"
        with Watch(Session((target,), Config(), execute=True, databases=databases)) as made:
            yield made


@contextlib.contextmanager
def brought(lab: KubeLab, watch: Watch, case: KubeCase, signature: str) -> Iterator[tuple[RunningPods, Remedied]]:
    """A case that runs, of which this was found; its pods are gone in the end."""
    running = lab.start(case)
    try:
        one = Remedied(watch, running.ready().deployment(FIXER), signature)
        one.await_found()
        yield running, one
    finally:
        running.stop()
        until(f"the end of {case.name}", lambda: not running.pods(), 60)


@pytest.fixture
def bring(watch: Watch, lab: KubeLab) -> Iterator[Bring]:
    """Starts cases that end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda case, signature: stack.enter_context(brought(lab, watch, case, signature))


@pytest.fixture(scope="module")
def mend(request: pytest.FixtureRequest, lab: KubeLab, watch: Watch) -> Iterator[Callable[[Sick], None]]:
    """Waits for a case to be mended and back. Those that this file's tests ask for are begun before: much is waiting.

    A test that is run again has its case begun again.
    """
    mine = [item for item in request.session.items if item.path == request.path and isinstance(item, pytest.Function)]
    asked: list[Sick] = [item.callspec.params["sick"] for item in mine if "mend" in item.fixturenames]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = {one.case.name: pool.submit(there_and_back, lab, watch, one) for one in asked}

        def mended(sick: Sick) -> None:
            future = begun.pop(sick.case.name, None) or pool.submit(there_and_back, lab, watch, sick)
            future.result()

        yield mended


def container(running: RunningPods) -> Any:
    """The serving container of the template."""
    return running.workload()["spec"]["template"]["spec"]["containers"][0]


def applied(running: RunningPods, one: Remedied, plan: Plan) -> Outcome:
    """The outcome; what drives the case goes on with the new pods, so that they are put to the test."""
    former = {pod["metadata"]["uid"] for pod in running.pods()}

    def moved() -> bool:
        stays = [pod["metadata"] for pod in running.pods() if "deletionTimestamp" not in pod["metadata"]]
        return bool(stays) and former.isdisjoint(each["uid"] for each in stays)

    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(one.apply, plan, plan.confirm and running.case.name)
        for step in running.case.drive:
            if isinstance(step, Load | Hold):
                until("the new pods", lambda: outcome.done() or moved(), FIX_SECONDS)
                running.do(step)
        return outcome.result()


def there_and_back(lab: KubeLab, watch: Watch, sick: Sick) -> None:
    """Found, planned, rolled out, verified, taken back, and found again."""
    with brought(lab, watch, sick.case, sick.signature) as (running, one):
        before = lasting(running.workload())
        plan = one.plan(sick.remedy, dict(sick.values))
        assert plan.steps
        assert plan.restart
        assert all(change.diff for change in plan.changes)
        assert lasting(running.workload()) == before, "a plan changes nothing"
        outcome = applied(running, one, plan)
        assert outcome.applied, (outcome, one.said)
        assert outcome.verified == sick.verified, (outcome, one.said)
        assert sick.now(container(running)), container(running)
        undone = one.undo(outcome)
        assert undone.applied, (undone, one.said)
        assert lasting(running.workload()) == before
        if sick.back:
            one.await_found()
