"""What no remedy may do on a real cluster: work against a guard, overwrite somebody, leave what does not get ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from console.app import FastopsApp
from console.commands import fix
from console.commands.fix import Request
from console.config import Config
from console.exits import Stop
from console.session import Session
from console.target_config import TargetConfig
from fixes.diff import unified
from fixes.model import Finding, Outcome
from probes.base import DeploymentId
from probes.target import Outdated, Refused
from probes.targets.kubernetes.rendering import lasting
from probes.targets.kubernetes.rollout import counted
from screens import messages
from screens.fix import FixScreen
from tests.cluster.api import Api
from tests.cluster.case import KubeCase, Pods
from tests.cluster.manifests import PROBED, limits
from tests.cluster.runner import KubeLab, RunningPods
from tests.console._fastops import until
from tests.console._pods import FIXER, Bring, account, bring, container, databases, lab, watch
from tests.console._pressing import waiting
from tests.console._remedies import Remedied, applied, changed_lines
from tests.console._watching import Watch
from tests.lab.case import uvicorn

__all__ = ["account", "bring", "databases", "lab", "watch"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WEB = KubeCase("guarded", uvicorn("healthy:app"), up=Pods(ready=True), container=PROBED)
"""One process without a memory limit: two remedies answer it, one of them changes no template."""


class Web(NamedTuple):
    """The workload that all scenes share; each leaves it as it was."""

    running: RunningPods
    api: Api
    unlimited: Remedied
    lone: Remedied

    def now(self) -> Any:
        """All that a person wrote into it."""
        return lasting(self.running.workload())

    def pods(self) -> set[str]:
        """Those that do not go."""
        return {p["metadata"]["uid"] for p in self.running.pods() if "deletionTimestamp" not in p["metadata"]}

    @contextmanager
    def beside(self, path: str, body: dict[str, Any], seen: Callable[[Any], bool] = bool) -> Iterator[None]:
        """Another object of the namespace, from when its controller has ``seen`` to it until the scene's end."""
        group = "/api/v1" if body["apiVersion"] == "v1" else f"/apis/{body['apiVersion']}"
        place = f"{group}/namespaces/{self.running.namespace}/{path}"
        name = body["metadata"]["name"]
        self.api.post(place, body)
        try:
            until(f"{path} {name}", lambda: seen(self.api.get(f"{place}/{name}")), 60)
            yield
        finally:
            self.api.delete(f"{place}/{name}")

    def edit(self, body: dict[str, Any]) -> None:
        """Somebody else's change."""
        self.api.patch(self.running.path, body)

    def edit_app(self, **fields: Any) -> None:
        """Of the serving container."""
        self.edit({"spec": {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}})


@pytest.fixture(scope="module")
def shared(watch: Watch, lab: KubeLab, kube_api: Api) -> Iterator[Web]:
    running = lab.start(WEB)
    try:
        deployment = running.ready().deployment(FIXER)
        made = Web(
            running,
            kube_api,
            Remedied(watch, deployment, "memory-unlimited"),
            Remedied(watch, deployment, "single-process"),
        )
        yield made
    finally:
        running.stop()


@pytest.fixture
def web(shared: Web) -> Web:
    """It runs, is rolled out, and is found to be as it was."""
    until("the rollout", lambda: counted(shared.running.workload()).complete and len(shared.pods()) == 1, 120)
    shared.unlimited.await_found()
    shared.lone.await_found()
    return shared


def around(watch: Watch, deployment: str) -> Any:
    """What the session knows to stand around it."""
    found = watch.session.report.snapshot.find(deployment)  # type: ignore[arg-type]
    return None if found is None else found.orchestrated


def taken_back(web: Web, one: Remedied, outcome: Outcome, before: Any) -> None:
    """Undone, and as it was."""
    undone = one.undo(outcome)
    assert undone.applied, (undone, one.said)
    assert web.now() == before


# What a namespace allows.


def quota(**hard: str) -> dict[str, Any]:
    named = {key.replace("_", "."): value for key, value in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": {"hard": named}}


def is_counted(quota: Any) -> bool:
    """Whether its controller has counted what is used."""
    return bool(quota.get("status", {}).get("used"))


def test_a_quota_without_room_is_named_with_its_figures_before_anything_is_changed(web: Web) -> None:
    before, pods = web.now(), web.pods()
    with web.beside("resourcequotas", quota(limits_memory="300Mi"), is_counted), pytest.raises(Refused) as refused:
        web.unlimited.plan("set-memory-limit")
    assert "The ResourceQuota tight allows 300Mi of limits.memory, of which 0 are used" in str(refused.value)
    assert "1 pod of the new template would take 1Gi" in str(refused.value)
    assert (web.now(), web.pods()) == (before, pods)


def test_a_quota_with_no_room_for_the_surge_is_named(web: Web) -> None:
    said = r"leaves 0 of pods \(\d of 1 used\); 1 more pod of it takes 1"
    with web.beside("resourcequotas", quota(pods="1"), is_counted), pytest.raises(Refused, match=said):
        web.unlimited.plan("set-memory-limit")


def test_a_limit_range_refuses_in_one_sentence_and_its_defaults_are_told(web: Web) -> None:
    item = {
        "type": "Container",
        "max": {"memory": "400Mi"},
        "default": {"cpu": "700m", "memory": "400Mi"},
        "defaultRequest": {"cpu": "20m"},
    }
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": [item]}}
    with web.beside("limitranges", body):
        with pytest.raises(Refused, match="LimitRange small allows a container 400Mi at most"):
            web.unlimited.plan("set-memory-limit", {"limit": 1 << 30})
        plan = web.lone.plan("apply-gunicorn-config", {"workers": 2})
    (said,) = [one for one in plan.warnings if "LimitRange" in one]
    assert "small gives new pods what their description leaves out" in said
    assert "a memory limit of 400Mi for app" in said
    assert "a CPU limit of 700m for app" in said
    assert "request" not in said, "it has one of its own"


# Who else decides.


def test_a_budget_that_allows_nothing_does_not_stand_in_the_way_of_a_rollout(web: Web, watch: Watch) -> None:
    before, pods = web.now(), web.pods()
    selector = {"matchLabels": {"app": WEB.name}}
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "none-away"},
        "spec": {"maxUnavailable": 0, "selector": selector},
    }
    with web.beside("poddisruptionbudgets", budget, lambda one: "disruptionsAllowed" in one.get("status", {})):
        until("the budget", lambda: (found := around(watch, web.lone.deployment)) and found.disruption, 60)
        plan = web.unlimited.plan("set-memory-limit")
        assert not any("none-away" in one for one in plan.warnings), "one pod more, none away"
        outcome = web.unlimited.apply(plan)
        assert outcome.applied, (outcome, web.unlimited.said)
        assert pods.isdisjoint(web.pods()), "it is rolled out"
        taken_back(web, web.unlimited, outcome, before)
    web.unlimited.await_found()


def test_an_autoscaler_keeps_its_replicas(web: Web, watch: Watch) -> None:
    before = web.now()
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "scales"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": WEB.name},
            "minReplicas": 1,
            "maxReplicas": 3,
        },
    }
    with web.beside("horizontalpodautoscalers", scaler):
        sentence = "The HorizontalPodAutoscaler scales decides the number of replicas (1 to 3): change its bounds."
        until("the autoscaler", lambda: web.lone.why_not("scale") == sentence, 60)
        with pytest.raises(Refused, match="HorizontalPodAutoscaler scales decides"):
            web.lone.plan("scale")
    assert web.now() == before
    until("its end", lambda: web.lone.why_not("scale") is None, 60)


# Somebody else's changes.


def test_what_somebody_changes_between_plan_and_yes_is_planned_again_and_kept(web: Web) -> None:
    before = web.now()
    plan = web.unlimited.plan("set-memory-limit")
    web.edit_app(env=[{"name": "THEIRS", "value": "1"}])
    try:
        theirs = web.now()
        with pytest.raises(Outdated, match="plan again"):
            web.unlimited.apply(plan)
        assert web.now() == theirs, "nothing is written"
        fresh = web.unlimited.plan("set-memory-limit")
        assert "THEIRS" in fresh.steps[-1].before.text
        added = changed_lines(unified(fresh.steps[-1].before, fresh.steps[-1].after))[1]
        assert not any("THEIRS" in line for line in added), "the diff is ours alone"
        outcome = web.unlimited.apply(fresh)
        assert outcome.applied, (outcome, web.unlimited.said)
        assert container(web.running)["env"] == [{"name": "THEIRS", "value": "1"}]
        taken_back(web, web.unlimited, outcome, theirs)
    finally:
        web.edit_app(env=[{"name": "THEIRS", "$patch": "delete"}])
    assert without_empty(web.now()) == without_empty(before)


def test_the_command_shows_a_fresh_diff_and_asks_again(
    web: Web, account: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(account))
    for name in ("FASTOPS_STATE", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    before = web.now()
    answers = iter(("y", "n"))

    def answer(_question: str) -> str:
        said = next(answers)
        if said == "y":
            web.edit_app(env=[{"name": "THEIRS", "value": "1"}])
        return said

    monkeypatch.setattr("builtins.input", answer)
    request = Request(web.lone.deployment, "memory-unlimited", None, (), False, False, None)
    try:
        with pytest.raises(Stop, match="nothing was changed"):
            fix.run(request, observe="0s", as_json=False, read_only=None)
        said = capsys.readouterr()
        assert said.out.count("memory: 1Gi") == 2, "the diff, and the fresh one"
        assert "planned again" in said.err
        assert "memory" not in container(web.running)["resources"].get("limits", {})
    finally:
        web.edit_app(env=[{"name": "THEIRS", "$patch": "delete"}])
    assert without_empty(web.now()) == without_empty(before)


def without_empty(thing: Any) -> Any:
    """Without the empty list that is left where an only variable was taken away."""
    app = thing["spec"]["template"]["spec"]["containers"][0]
    if app.get("env") == []:
        del app["env"]
    return thing


def test_an_undo_names_the_field_that_somebody_changed_and_leaves_it(web: Web) -> None:
    outcome = web.unlimited.apply(web.unlimited.plan("set-memory-limit"))
    assert outcome.applied, (outcome, web.unlimited.said)
    try:
        web.edit_app(resources={"limits": {"memory": "900Mi"}})
        theirs = web.now()
        with pytest.raises(Refused) as refused:
            applied(web.unlimited.undo(outcome))
        assert "spec.template.spec.containers[name=app].resources.limits" in str(refused.value)
        assert "changed since" in str(refused.value)
        assert web.now() == theirs
    finally:
        web.edit_app(resources={"limits": None})
    web.unlimited.await_found()


# What does not become ready.


def test_pods_that_never_get_ready_are_told_in_their_own_words_and_taken_back(web: Web) -> None:
    before, pods = web.now(), web.pods()
    plan = web.lone.plan("apply-gunicorn-config", {"workers": 2, "worker_class": "no.such.Worker"})
    outcome = web.lone.apply(plan, plan.confirm and WEB.name)
    assert not outcome.applied
    assert "taken back" in str(outcome.why)
    assert "exit code" in str(outcome.why)
    assert "No module named 'no'" in str(outcome.why), "the new pod's own last words"
    assert any("1 of 1 replicas updated" in line for line in web.lone.said), "the rollout is told"
    assert not outcome.half_done
    assert web.now() == before
    assert web.pods() == pods, "the old pod served all the time"


# In place.


EACH = KubeCase(
    "each",
    uvicorn("healthy:app"),
    kind="DaemonSet",
    up=Pods(ready=True),
    container={**PROBED, "resources": limits("256Mi")},
    spec={"updateStrategy": {"type": "OnDelete"}},
)


def states(running: RunningPods) -> list[tuple[str, int, str]]:
    """Of each pod: who it is, how often it was restarted, and its limit in force."""
    return [
        (
            pod["metadata"]["uid"],
            pod["status"]["containerStatuses"][0]["restartCount"],
            pod["status"]["containerStatuses"][0]["resources"].get("limits", {}).get("memory", ""),
        )
        for pod in running.pods()
    ]


def test_pods_are_resized_in_place_together_with_their_template(bring: Bring) -> None:
    running, one = bring(EACH, "memory-limit-low")
    before = lasting(running.workload())
    ((uid, restarts, limit),) = states(running)
    assert limit == "256Mi"
    plan = one.plan("set-memory-limit")
    assert not plan.restart
    outcome = one.apply(plan)
    assert outcome.applied, (outcome, one.said)
    assert outcome.verified == "gone", (outcome, one.said)
    assert container(running)["resources"]["limits"]["memory"] == "1Gi"
    assert states(running) == [(uid, restarts, "1Gi")]
    undone = one.undo(outcome)
    assert undone.applied, (undone, one.said)
    assert lasting(running.workload()) == before
    until("the former limit", lambda: states(running) == [(uid, restarts, "256Mi")], 60)


# Production.


async def test_production_has_its_frame_and_wants_the_name_typed(
    web: Web, account: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FASTOPS_STATE", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(account))
    before, identity = web.now(), web.unlimited.deployment
    config = Config(targets={f"k8s:{FIXER}": TargetConfig(production=True)})
    session = Session((f"k8s:{FIXER}/{web.running.namespace}",), config, read_only=False)
    app = FastopsApp(session)
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await waiting(pilot, "the finding", 60, lambda: unlimited(session, identity))
            assert app.screen.has_class("-production")
            app.post_message(messages.FixOpened(*unlimited(session, identity)))
            await waiting(pilot, "the screen", 30, lambda: isinstance(app.screen, FixScreen))
            screen = app.screen
            assert isinstance(screen, FixScreen)
            assert screen.has_class("-production")
            await waiting(pilot, "the plan", 60, lambda: screen.stage == "planned")
            assert screen.plan is not None
            assert screen.plan.confirm == f"k8s/{FIXER} is production."
            await pilot.press("enter", "y", "enter")
            await pilot.pause()
            assert not any(screen.stage == stage for stage in ("applying", "done")), "a yes is not enough"
            with pytest.raises(Refused, match=f"The name {WEB.name} has to be typed"):
                await asyncio.wrap_future(session.apply(screen.plan, "yes"))
            assert web.now() == before
            await pilot.press("backspace", *WEB.name, "enter")
            await waiting(pilot, "the change", 180, lambda: screen.stage == "done")
            assert screen.outcome is not None
            assert screen.outcome.applied, screen.outcome
        undone = await asyncio.wrap_future(session.undo(screen.outcome.change, lambda _: None))
        assert undone.applied, undone
        assert web.now() == before
    finally:
        session.close()


def unlimited(session: Session, deployment: DeploymentId) -> list[Finding]:
    """The finding that is answered, once it is there."""
    return [one for one in session.report.of(deployment) if one.signature == "memory-unlimited"]
