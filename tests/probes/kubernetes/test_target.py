"""The target on a real cluster: what it tells of pods, and that whatever happens to the API server passes."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from probes.base import PatternKey, ReplicaId
from probes.loghits import Pattern
from probes.model import Deployment, Interest, TargetState
from probes.target import Options, ReadOnly, Unreadable
from probes.targets import UnknownTarget, open_target
from probes.targets.kubernetes import figures
from probes.targets.kubernetes.target import KubernetesTarget
from tests.cluster import accounts
from tests.cluster.api import ApiError
from tests.cluster.case import KubeCase, Restarted
from tests.cluster.manifests import http, limits
from tests.cluster.runner import KubeLab, RunningPods
from tests.lab.case import gunicorn, uvicorn
from tests.probes.kubernetes.apiserver import ApiServer
from tests.probes.kubernetes.watching import relayed, watched

PATTERNS = (
    Pattern(PatternKey("t/boot"), r"Application startup complete"),
    Pattern(PatternKey("t/import"), r"No module named '(?P<module>[\w.]+)'"),
    Pattern(PatternKey("t/backoff"), r"Warning  BackOff  kubelet  "),
    Pattern(PatternKey("t/request"), r"GET /items\?n=(?P<n>\d+) "),
)
SHOP = KubeCase(
    "shop",
    gunicorn("healthy:app", "--access-logfile", "-"),
    replicas=2,
    container={"resources": limits("600Mi", cpu="500m"), "readinessProbe": http(timeoutSeconds=5)},
)
BROKEN = KubeCase("broken", uvicorn("broken_import:app"), up=Restarted(1))
BESIDE = shlex.join(["uvicorn", "strangers.starlette_app:app", "--port", "8001"])
TWO = KubeCase("two", ("sh", "-c", f"{BESIDE} & exec {shlex.join(gunicorn('healthy:app'))}"))
IN_THREE_SECONDS = ',"expirationTimestamp":"$(date --utc --date=+3seconds +%Y-%m-%dT%H:%M:%SZ)"'
"""What a plugin says of its token's end, as the shell fills it in."""
READ = [
    {"apiGroups": [""], "resources": ["pods", "events", "services"], "verbs": ["list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["list", "watch"]},
]


@pytest.fixture(scope="module")
def pods(kube_api: Any, make_namespace: Callable[[], str]) -> Iterator[dict[str, RunningPods]]:
    """Two workloads that the tests of this module share: none of them changes one."""
    with KubeLab(kube_api, make_namespace()) as lab:
        yield lab.bring([SHOP, BROKEN, TWO])


@pytest.fixture
def place(cluster: Path, pods: dict[str, RunningPods], monkeypatch: pytest.MonkeyPatch) -> str:
    """The namespace in which they run; the environment's kubeconfig is the cluster's."""
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    return pods["shop"].namespace


def named(state: TargetState, name: str) -> Deployment | None:
    return next((one for one in state.deployments.values() if one.name == name), None)


def options(namespace: str, **more: Any) -> Options:
    return Options(patterns=PATTERNS, namespace=namespace, **more)


async def test_pods_are_told_with_memory_cpu_workers_listeners_answers_and_logs(place: str) -> None:
    async with watched(options(place, execute=True)) as seen:
        await seen.until(lambda s: named(s, "shop") is not None)
        shop = named(seen.states[-1], "shop")
        assert shop is not None
        seen.target.focus(Interest(focused=shop.id))

        def whole(state: TargetState) -> bool:
            one = named(state, "shop")
            return one is not None and all(
                r.workers and r.loop_probes and r.health_probes and r.cpu.used_cores is not None for r in one.replicas
            ) and one.logs.state == "followed" and bool(one.hits)  # fmt: skip

        state = await seen.until(whole, 60)
    shop = named(state, "shop")
    assert shop is not None
    assert (shop.kind, shop.namespace, shop.framework, shop.server) == ("Deployment", place, "fastapi", "gunicorn")
    assert len(shop.replicas) == 2
    for replica in shop.replicas:
        assert [one.role for one in replica.workers] == ["master", "worker", "worker"]
        assert all(one.pss_bytes and one.rss_bytes and one.open_files and one.started_at for one in replica.workers)
        assert replica.memory.limit.value == 600 << 20
        assert 0 < replica.memory.used_bytes < replica.memory.limit.value
        assert (replica.memory.source or "").startswith("cgroup")
        assert (replica.cpu.limit.value, replica.cpu.throttled_ratio is None) == (0.5, False)
        assert [one.port for one in replica.listeners or ()] == [8000]
        assert replica.loop_probes[-1].status == 404
        assert (replica.health_probes[-1].path, replica.health_probes[-1].status) == ("/health", 200)
        assert replica.unreadable == ()
    assert "t/boot" in {hit.key for hit in shop.hits}


async def test_another_server_in_the_same_container_is_named_and_not_counted_as_the_service_s(place: str) -> None:
    async with watched(options(place, execute=True)) as seen:
        await seen.until(lambda s: named(s, "two") is not None)
        found = named(seen.states[-1], "two")
        assert found is not None
        seen.target.focus(Interest(focused=found.id))
        state = await seen.until(lambda s: (one := named(s, "two")) is not None and bool(one.replicas[0].others), 60)
    two = named(state, "two")
    assert two is not None
    assert (two.server, two.setting("app")) == ("gunicorn", "healthy:app")
    (replica,) = two.replicas
    assert [one.role for one in replica.workers] == ["master", "worker", "worker"]
    name = "uvicorn strangers.starlette_app:app on :8001"
    assert [(one.role, one.beside) for one in replica.others] == [("server", name)]
    assert two.recognised_by.endswith(f"; in the same container: {name}")


async def test_read_only_and_a_mere_scan_run_nothing_inside_and_say_so(place: str) -> None:
    async with watched(options(place, read_only=True, execute=True)) as seen:
        state = await seen.until(
            lambda s: s.complete and (one := named(s, "shop")) is not None and one.replicas[0].sampled_at is not None,
            90,
        )
        shop = named(state, "shop")
        assert shop is not None
        replica = shop.replicas[0]
        assert replica.workers == ()
        assert [failure.code for failure in replica.unreadable] == ["not-allowed"]
        assert replica.memory.source in {"cAdvisor", "metrics.k8s.io"}
        for attempt in (seen.target.access.read(replica.id, "/etc/hostname"), seen.target.access.stacks(replica.id, 1)):
            with pytest.raises(Unreadable, match="read-only"):
                await attempt
        with pytest.raises(ReadOnly):
            seen.target.writer()
        assert await seen.target.preserve(shop.id)


async def test_the_run_that_crashed_speaks_before_the_present_one_and_the_kubelet_beside_it(place: str) -> None:
    async with watched(options(place)) as seen:
        state = await seen.until(
            lambda s: (
                (one := named(s, "broken")) is not None and {"t/import", "t/backoff"} <= {hit.key for hit in one.hits}
            ),
            90,
        )
        broken = named(state, "broken")
        assert broken is not None
        lines = seen.target.lines(broken.id)
    imports = next(hit for hit in broken.hits if hit.key == "t/import")
    assert imports.fields["module"]
    assert imports.source == "kubectl logs"
    stamps = [
        line.at for line in lines if line.at is not None and "BackOff" not in line.text and "Normal" not in line.text
    ]
    assert stamps
    backoff = next(hit for hit in broken.hits if hit.key == "t/backoff")
    assert (backoff.source, backoff.replica) == ("event", broken.replicas[0].id)
    assert broken.logs.state in {"sampled", "followed"}


async def test_evidence_is_kept_redacted_with_what_the_run_before_said(place: str) -> None:
    async with watched(options(place)) as seen:
        state = await seen.until(lambda s: s.complete and named(s, "broken") is not None, 60)
        broken = named(state, "broken")
        assert broken is not None
        pod = broken.replicas[0].name
        async with asyncio.timeout(60):  # while it restarts, the kubelet has lost one log and not yet the next
            while f"{pod}.previous.log" not in (kept := await seen.target.preserve(broken.id)):
                await asyncio.sleep(1)
    assert {"workload.yaml", "events.txt", f"{pod}.yaml"} <= kept.keys()
    described = yaml.safe_load(kept[f"{pod}.yaml"])
    assert described["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert "managedFields" not in described["metadata"]
    assert b"No module named" in kept[f"{pod}.previous.log"]
    assert b"BackOff" in kept["events.txt"]


async def test_an_account_of_one_namespace_sees_it_and_names_what_it_may_not(
    place: str, kube_api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = accounts.make(kube_api, place, "reader", READ, tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(path))
    async with watched(Options(patterns=PATTERNS)) as seen:
        state = await seen.until(lambda s: s.complete and named(s, "shop") is not None, 60)
    assert state.link.state == "live"
    said = "\n".join(f"{failure.what}: {failure.why} {failure.hint}" for failure in state.failures)
    assert "pods/log" in said
    assert "metrics.k8s.io" in said
    shop = named(state, "shop")
    assert shop is not None
    assert shop.logs.state == "unread"
    assert "forbidden" in (shop.logs.why or "")


async def test_where_metrics_server_may_not_be_asked_the_kubelet_s_summary_tells_memory_and_cpu(
    place: str, kube_api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, told = f"kubelet-reader-of-{place}", dict[ReplicaId, figures.Figure]()
    summary = figures.summary

    def noted(body: bytes, wanted: Collection[ReplicaId]) -> dict[ReplicaId, figures.Figure]:
        found = summary(body, wanted)
        told.update(found)
        return found

    def known(state: TargetState) -> bool:
        shop = named(state, "shop")
        return shop is not None and all(
            one.memory.used_bytes and one.cpu.used_cores is not None and one.id in told for one in shop.replicas
        )

    account = accounts.make(kube_api, place, "kubelet-reader", READ, tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(account))
    monkeypatch.setattr(figures, "summary", noted)
    try:
        kube_api.kubectl("create", "clusterrole", name, "--verb=get", "--resource=nodes/proxy")
        subject = f"--serviceaccount={place}:kubelet-reader"
        kube_api.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", subject)
        async with watched(Options(patterns=PATTERNS)) as seen:
            state = await seen.until(known, 90)
    finally:
        for kind in ("clusterrolebinding", "clusterrole"):
            kube_api.kubectl("delete", kind, name, "--ignore-not-found")
    shop = named(state, "shop")
    assert shop is not None
    for replica in shop.replicas:
        assert replica.memory.source in {"cAdvisor", "kubelet summary"}
        assert told[replica.id].working_set_bytes
    assert not any("metrics.k8s.io" in failure.hint for failure in state.failures)


async def test_an_api_server_that_goes_and_comes_back_is_stale_then_live_and_no_line_comes_twice(
    place: str, kube_api: Any, cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with relayed(cluster, tmp_path) as (relay, path):
        monkeypatch.setenv("KUBECONFIG", str(path))
        async with watched(options(place)) as seen:
            await seen.until(lambda s: named(s, "shop") is not None)
            shop = named(seen.states[-1], "shop")
            assert shop is not None
            seen.target.focus(Interest(focused=shop.id))
            await seen.until(lambda s: (one := named(s, "shop")) is not None and one.logs.state == "followed", 30)
            said = await asyncio.to_thread(ask, kube_api, shop, 0)
            await seen.until(lambda s: said <= numbers(s), 30)

            await relay.close()
            state = await seen.until(lambda s: s.link.state == "stale", 30)
            assert named(state, "shop") is not None
            assert state.link.retry_at is not None
            missed = await asyncio.to_thread(ask, kube_api, shop, 10)
            await relay.open()
            await seen.until(lambda s: s.link.state == "live" and missed <= numbers(s), 60)

            await relay.cut()
            later = await asyncio.to_thread(ask, kube_api, shop, 20)
            await seen.until(lambda s: later <= numbers(s), 60)
            counts = [hit.count for hit in named(seen.states[-1], "shop").hits if hit.key == "t/request"]
            assert counts == [1] * len(counts)


async def test_a_token_that_expires_is_told_and_forgiven_when_it_is_valid_again(
    bare: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.tokens["good"] = "system:admin-of-tests"
    bare.kubectl("create", "clusterrolebinding", "tests", "--clusterrole=cluster-admin", "--user=system:admin-of-tests")
    monkeypatch.setenv("KUBECONFIG", str(bare.kubeconfig({"token": "good"}, "token")))
    async with watched() as seen:
        await seen.until(lambda s: s.link.state == "live" and s.complete, 30)
        del bare.tokens["good"]
        bare.stop()
        bare.start()
        state = await seen.until(lambda s: s.link.state == "expired", 60)
        assert "log in" in (state.link.hint or "")
        bare.tokens["good"] = "system:admin-of-tests"
        await seen.until(lambda s: s.link.state == "live", 60)
    bare.kubectl("delete", "clusterrolebinding", "tests")


@pytest.mark.parametrize("ends", ["", IN_THREE_SECONDS], ids=["of-unknown-end", "of-known-end"])
async def test_a_plugin_s_token_that_expires_under_a_watch_is_renewed_and_what_changes_then_arrives(
    ends: str, bare: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, token, plugin = "system:renewed", tmp_path / "token", tmp_path / "plugin"
    bare.kubectl("create", "clusterrolebinding", "renewed", "--clusterrole=cluster-admin", f"--user={user}")
    bare.tokens["first"] = bare.tokens["second"] = user
    token.write_text("first")
    version = "client.authentication.k8s.io/v1"
    told = f'{{"apiVersion":"{version}","kind":"ExecCredential","status":{{"token":"$(cat {token})"{ends}}}}}'
    plugin.write_text(f"#!/bin/sh\ncat <<END\n{told}\nEND\n")
    plugin.chmod(0o755)
    entry = {"exec": {"apiVersion": version, "command": str(plugin), "interactiveMode": "Never"}}
    try:
        async with relayed(bare.kubeconfig(entry, "renewed"), tmp_path) as (relay, path):
            monkeypatch.setenv("KUBECONFIG", str(path))
            async with watched() as seen:
                await seen.until(lambda s: s.link.state == "live" and s.complete, 60)
                assert "second" not in bare.reviews
                token.write_text("second")
                await asyncio.to_thread(bare.end, "first")
                await relay.cut()  # as proxies do now and then: the server itself lets a watch go on
                await asyncio.to_thread(bare.kubectl, "create", "--filename", "-", given=marked("late"))
                await seen.until(lambda s: s.link.state == "live" and not s.failures and bool(named(s, "late")), 60)
                assert "second" in bare.reviews
                assert "expired" not in {state.link.state for state in seen.states}
    finally:
        bare.kubectl("delete", "clusterrolebinding", "renewed")
        bare.kubectl("delete", "pod", "late", "--ignore-not-found", "--force", "--grace-period=0")
        bare.reviews.clear()


def marked(name: str) -> dict[str, Any]:
    """A pod that says of itself that it is one of ours; nobody starts it."""
    marks = {"fastops.io/enable": "true"}
    container = {"name": "app", "image": "none", "command": ["uvicorn", "main:app"]}
    spec = {"containers": [container], "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": marks}, "spec": spec}


async def test_a_server_that_is_not_there_is_down_and_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {
        "current-context": "away",
        "clusters": [{"name": "away", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "me", "user": {"token": "x"}}],
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "me"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    async with watched() as seen:
        state = await seen.until(lambda s: s.link.state == "down", 20)
    assert "127.0.0.1:1" in (state.link.why or "")
    assert state.link.retry_at is not None
    assert state.link.retry_at - datetime.now(UTC) < timedelta(seconds=30)


def test_names_of_contexts_are_taken_whole_before_they_are_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["arn:aws:eks:eu/prod", "plain"]
    config = {
        "current-context": "plain",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "x"}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in names],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    opened = {}
    for name in ("k8s", "k8s:plain/shop", "k8s:arn:aws:eks:eu/prod", "k8s:arn:aws:eks:eu/prod/shop", "plain"):
        target = open_target(name, Options())
        assert isinstance(target, KubernetesTarget)
        opened[name] = (target.id, target.place.namespace)
    eks = "k8s/arn:aws:eks:eu%2Fprod"
    assert opened == {
        "k8s": ("k8s/plain", None),
        "k8s:plain/shop": ("k8s/plain", "shop"),
        "k8s:arn:aws:eks:eu/prod": (eks, None),
        "k8s:arn:aws:eks:eu/prod/shop": (eks, "shop"),
        "plain": ("k8s/plain", None),
    }
    with pytest.raises(UnknownTarget, match=r"plain.*arn:aws|arn:aws.*plain"):
        open_target("nowhere", Options())


def ask(api: Any, shop: Deployment, first: int) -> set[int]:
    """Asks a pod for items that nobody asked for before, by the tests' own way; their numbers."""
    asked = set(range(first, first + 3))
    for number in asked:
        path = f"/api/v1/namespaces/{shop.namespace}/pods/{shop.replicas[0].name}:8000/proxy/items"
        with contextlib.suppress(ApiError):  # there are none
            api.text(path, n=number)
    return asked


def numbers(state: TargetState) -> set[int]:
    shop = named(state, "shop")
    return set() if shop is None else {int(hit.fields["n"]) for hit in shop.hits if hit.key == "t/request"}
