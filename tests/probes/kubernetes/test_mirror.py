"""The mirror of a real API server: pages, watches that are cut, forgotten versions, rights that are missing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import pytest

from probes.base import Failure
from probes.target import Unreadable
from probes.targets.kubernetes import mirror as module
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.contexts import resolve
from probes.targets.kubernetes.failures import Gone
from probes.targets.kubernetes.mirror import Mirror
from probes.targets.kubernetes.views import HappeningView, ObjectView, VerticalView
from tests.probes.kubernetes._cluster import page, pod
from tests.probes.kubernetes.apiserver import ApiServer
from tests.probes.kubernetes.scripted import wire

Json = dict[str, Any]


class Seen:
    """What a mirror told."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, str | None]] = []
        self.changed = asyncio.Event()

    def __call__(self, before: ObjectView | None, now: ObjectView | None) -> None:
        self.told.append((before.name if before else None, now.name if now else None))
        self.changed.set()


@contextlib.asynccontextmanager
async def mirrored(
    bare: ApiServer, namespace: str | None, seen: Seen | None = None, **given: Any
) -> AsyncIterator[Mirror]:
    where, own = given.pop("server", None), given.pop("own_namespace", None)
    config = bare.kubeconfig(
        given.pop("user", None), name=f"m-{uuid4().hex[:8]}", **({"server": where} if where else {})
    )
    place = resolve("k8s", None, {"KUBECONFIG": str(config), "HOME": "/nonexistent"})
    client = ApiClient(place, read_only=True)
    try:
        yield Mirror(client, seen or Seen(), namespace=namespace, own_namespace=own)
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def following(mirror: Mirror) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(mirror.follow())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def names(mirror: Mirror) -> set[str]:
    return {one.name for one in mirror.objects("pods").values()}


def a_pod(name: str, space: str) -> Json:
    spec = {"containers": [{"name": "app", "image": "shop:1", "command": ["uvicorn", "main:app"]}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": space}, "spec": spec}


def create(bare: ApiServer, space: str, *pods: str) -> None:
    bare.kubectl(
        "apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": [a_pod(p, space) for p in pods]}
    )


@pytest.fixture
def space(bare: ApiServer) -> str:
    name = f"mirror-{uuid4().hex[:8]}"
    bare.kubectl("create", "namespace", name)
    return name


async def test_everything_is_listed_in_pages_and_then_followed(
    bare: ApiServer, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    create(bare, space, *(f"p{n}" for n in range(5)))
    seen = Seen()
    async with mirrored(bare, space, seen) as mirror:
        await mirror.list()
        assert names(mirror) == {f"p{n}" for n in range(5)}
        assert (mirror.listed, mirror.failures, mirror.namespace) == (True, (), space)
        async with following(mirror):
            await asyncio.to_thread(create, bare, space, "p9")
            await until(lambda: "p9" in names(mirror))
            await asyncio.to_thread(bare.kubectl, "label", "pod", "p1", "-n", space, "colour=red")
            await until(lambda: ("p1", "p1") in seen.told)
            await asyncio.to_thread(bare.kubectl, "delete", "pod", "p0", "-n", space, "--force", "--grace-period=0")
            await until(lambda: "p0" not in names(mirror))
    assert seen.told.count((None, "p2")) == 1


async def test_an_event_is_passed_on_and_not_kept(bare: ApiServer, space: str) -> None:
    about = {"kind": "Pod", "namespace": space, "name": "p", "uid": "u"}
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "p.1", "namespace": space}}
    bare.kubectl("create", "-f", "-", given={**event, "involvedObject": about, "reason": "Killing", "type": "Normal"})
    heard: list[ObjectView | None] = []
    async with mirrored(bare, space, lambda _, now: heard.append(now)) as mirror:  # type: ignore[arg-type]
        await mirror.list()
        assert mirror.objects("events") == {}
    assert [one.reason for one in heard if isinstance(one, HappeningView)] == ["Killing"]


async def test_a_watch_that_is_cut_goes_on_where_it_was(bare: ApiServer, space: str) -> None:
    create(bare, space, "p1")
    seen = Seen()
    async with (
        wire(bare.port) as between,
        mirrored(bare, space, seen, server=f"https://127.0.0.1:{between.port}") as mirror,
    ):
        await mirror.list()
        async with following(mirror) as task:
            await asyncio.to_thread(create, bare, space, "p2")
            await until(lambda: "p2" in names(mirror))
            between.cut()
            await asyncio.to_thread(create, bare, space, "p3")
            await until(lambda: "p3" in names(mirror))
            assert not task.done(), "one cut is no lost connection"
    assert seen.told.count((None, "p1")) == 1, "nothing was listed again"


async def test_a_server_that_goes_and_comes_back_is_gone_on_with(bare: ApiServer, space: str) -> None:
    create(bare, space, "p1", "p2")
    seen = Seen()
    async with mirrored(bare, space, seen) as mirror:
        await mirror.list()
        async with following(mirror) as task:
            await asyncio.to_thread(bare.stop)
            try:
                with pytest.raises(Unreadable) as raised:
                    await asyncio.wait_for(asyncio.shield(task), 60)
                assert raised.value.failure.code == "unreachable"
                assert names(mirror) == {"p1", "p2"}, "what was seen stays"
            finally:
                await asyncio.to_thread(bare.start)
        await asyncio.to_thread(create, bare, space, "p3")
        await mirror.list()
        async with following(mirror):
            await until(lambda: names(mirror) == {"p1", "p2", "p3"})
    assert seen.told.count((None, "p1")) == 1, "nothing was listed again"


async def test_a_forgotten_version_is_listed_anew_and_nothing_vanishes_meanwhile(bare: ApiServer, space: str) -> None:
    create(bare, space, "p1", "p2")
    seen = Seen()
    async with mirrored(bare, space, seen) as mirror:
        await mirror.list()
        create(bare, space, "p3")
        bare.kubectl("delete", "pod", "p1", "-n", space, "--force", "--grace-period=0")
        # The server's own window of versions is in memory: only a new server has forgotten what etcd has.
        bare.stop()
        bare.compact()
        bare.start()
        await mirror.list()
        async with following(mirror):
            await until(lambda: names(mirror) == {"p2", "p3"})
    assert seen.told.count((None, "p2")) == 1, "the same version again is no news"
    assert ("p1", None) in seen.told
    assert ("p2", None) not in seen.told


def _tenant(bare: ApiServer, space: str, *rules: Json) -> Json:
    """Somebody who may do this in a namespace, as a user of a kubeconfig."""
    token, user = uuid4().hex, f"tenant-{space}"
    bare.tokens[token] = user
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "r", "namespace": space}}
    bare.kubectl("apply", "-f", "-", given={**role, "rules": list(rules)})
    bare.kubectl("create", "rolebinding", "r", "--role=r", f"--user={user}", "-n", space)
    return {"token": token}


ALL = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}


async def test_a_namespace_is_read_where_the_whole_cluster_is_forbidden(bare: ApiServer, space: str) -> None:
    create(bare, space, "p1")
    async with mirrored(bare, None, user=_tenant(bare, space, ALL), own_namespace=space) as mirror:
        await mirror.list()
        assert names(mirror) == {"p1"}
        assert mirror.namespace == space
        (narrowed,) = mirror.failures
        assert (narrowed.code, "pods" in narrowed.what) == ("forbidden", True)
        assert f"only the namespace {space}" in narrowed.why
        async with following(mirror):
            await asyncio.to_thread(create, bare, space, "p2")
            await until(lambda: names(mirror) == {"p1", "p2"})


async def test_what_is_forbidden_is_named_with_its_rule_and_the_rest_goes_on(bare: ApiServer, space: str) -> None:
    create(bare, space, "p1")
    user = _tenant(bare, space, {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]})
    async with mirrored(bare, space, user=user) as mirror:
        await mirror.list()
        assert mirror.listed
        assert names(mirror) == {"p1"}
        hints = [one.hint for one in mirror.failures]
        assert any("{apiGroups: [apps], resources: [deployments], verbs: [list]}" in one for one in hints), hints
        assert all(f"in the namespace {space}" in one for one in hints), "nodes are no namespace's: no Role grants them"
        async with following(mirror):
            await asyncio.to_thread(create, bare, space, "p2")
            await until(lambda: names(mirror) == {"p1", "p2"})


def autoscalers(bare: ApiServer) -> None:
    """The API of VerticalPodAutoscalers, as their project adds it to a cluster."""
    spec = {"x-kubernetes-preserve-unknown-fields": True, "type": "object"}
    versions = [{
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }]  # fmt: skip
    named = {"plural": "verticalpodautoscalers", "kind": "VerticalPodAutoscaler", "listKind": "Verticals"}
    bare.kubectl("apply", "-f", "-", given={
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "verticalpodautoscalers.autoscaling.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {"group": "autoscaling.k8s.io", "scope": "Namespaced", "names": named, "versions": versions},
    })  # fmt: skip
    bare.kubectl("wait", "--for=condition=Established", "crd/verticalpodautoscalers.autoscaling.k8s.io")


async def test_vertical_autoscalers_are_read_where_there_are_any_and_missed_nowhere_else(
    bare: ApiServer, space: str
) -> None:
    bare.tokens["mv"] = "mv-watcher"
    everything = ["--verb=list,watch", "--resource=pods,deployments,services,events,nodes,jobs,poddisruptionbudgets"]
    everything[1] += ",replicasets.apps,statefulsets.apps,daemonsets.apps,horizontalpodautoscalers.autoscaling"
    bare.kubectl("create", "role", "most", "-n", space, *everything, "--resource=controllerrevisions.apps")
    bare.kubectl("create", "rolebinding", "most", "-n", space, "--role=most", "--user=mv-watcher")
    async with mirrored(bare, space, user={"token": "mv"}) as mirror:
        await mirror.list()
        assert mirror.failures == ()
    await asyncio.to_thread(autoscalers, bare)
    try:
        about = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        given = {"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler", "spec": {"targetRef": about}}
        bare.kubectl("apply", "-f", "-", given={**given, "metadata": {"name": "web-vpa", "namespace": space}})
        async with mirrored(bare, space) as mirror:
            await mirror.list()
            (found,) = mirror.objects("verticalpodautoscalers").values()
            assert isinstance(found, VerticalView)
            assert (found.name, found.kind, found.target) == ("web-vpa", "Deployment", "web")
            assert found.owns == ("cpu", "memory")
        async with mirrored(bare, space, user={"token": "mv"}) as mirror:
            await mirror.list()
            (failure,) = mirror.failures
            assert failure.code == "forbidden"
            assert "verticalpodautoscalers" in failure.what + failure.why + failure.hint
    finally:
        bare.kubectl("delete", "crd", "verticalpodautoscalers.autoscaling.k8s.io")


async def test_pods_that_may_be_listed_and_not_watched_are_listed_again(
    bare: ApiServer, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_UNWATCHED_SECONDS", 0.2)
    create(bare, space, "p1")
    user = _tenant(bare, space, {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]})
    async with mirrored(bare, space, user=user) as mirror:
        await mirror.list()
        async with following(mirror):
            await asyncio.to_thread(create, bare, space, "p2")
            await until(lambda: names(mirror) == {"p1", "p2"})
            assert any("verbs: [watch]" in one.hint for one in mirror.failures)


async def test_pods_that_must_not_be_listed_are_the_targets_failure(bare: ApiServer, space: str) -> None:
    token = uuid4().hex
    bare.tokens[token] = f"nobody-{space}"
    async with mirrored(bare, None, user={"token": token}, own_namespace=space) as mirror:
        with pytest.raises(Unreadable) as raised:
            await mirror.list()
        assert raised.value.failure.code == "forbidden"
        assert "resources: [pods], verbs: [list]" in raised.value.failure.hint


# What a real server does too seldom


class Told:
    """A source that says what it is told to."""

    def __init__(self, lists: list[Any], watches: list[Any]) -> None:
        self.lists, self.watches = lists, watches
        self.versions: list[str] = []

    async def pages(
        self, path: str, params: Mapping[str, object] | None = None, *, size: int = 500
    ) -> AsyncIterator[bytes]:
        for one in self.lists.pop(0) if self.lists else [body("8")]:
            if isinstance(one, Exception):
                raise one
            if not isinstance(one, bytes):
                await one
                continue
            yield one

    async def watch(self, path: str, params: Mapping[str, object] | None = None) -> AsyncIterator[bytes]:
        self.versions.append(str((params or {})["resourceVersion"]))
        for one in self.watches.pop(0) if self.watches else [asyncio.Event().wait()]:
            if isinstance(one, Exception):
                raise one
            if not isinstance(one, bytes):
                await one
                continue
            yield one


def body(version: str, *things: Any) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": version}, "items": things}).encode()


def event(kind: str, thing: Any) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode()


def lone(source: Told, seen: Seen | None = None) -> Mirror:
    return Mirror(source, seen or Seen(), kinds=[module.PODS])


async def test_a_list_that_is_forgotten_between_two_pages_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BACKOFF_SECONDS", (0.01, 0.01))
    seen = Seen()
    mirror = lone(Told([[body("1", pod("a")), Gone("410")], [body("2", pod("a"), pod("b"))]], []), seen)
    await mirror.list()
    assert names(mirror) == {"a", "b"}
    assert seen.told == [(None, "a"), (None, "b")]


async def test_a_bookmark_moves_where_the_next_watch_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BACKOFF_SECONDS", (0.01, 0.01))
    mark = event("BOOKMARK", {"metadata": {"resourceVersion": "41"}})
    source = Told([[body("7", pod("a"))]], [[mark], [event("DELETED", pod("a", metadata={"resourceVersion": "43"}))]])
    mirror = lone(source)
    await mirror.list()
    async with following(mirror):
        await until(lambda: len(source.versions) == 3)
    assert source.versions == ["7", "41", "43"]
    assert names(mirror) == set()


async def test_an_odd_object_of_a_watch_is_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BACKOFF_SECONDS", (0.01, 0.01))
    odd = event("ADDED", {"metadata": {"name": 7, "resourceVersion": "9"}})
    source = Told([[body("7", 3)]], [[odd, event("ADDED", pod("b"))]])
    mirror = lone(source)
    await mirror.list()
    async with following(mirror):
        await until(lambda: names(mirror) == {"b"})
    assert mirror.failures == (
        Failure("invalid", "2 objects of the API", "their shape is not understood, so they are left out", ""),
    )


async def test_a_watch_that_fails_again_and_again_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BACKOFF_SECONDS", (0.01, 0.01))
    lost = Unreadable(Failure("unreachable", "the watch", "the connection failed", ""))
    source = Told([[body("7", pod("a"))]], [[lost]] * 3)
    mirror = lone(source)
    await mirror.list()
    with pytest.raises(Unreadable):
        await asyncio.wait_for(mirror.follow(), 10)
    assert (len(source.versions), names(mirror)) == (3, {"a"})
    await mirror.list()
    assert source.lists == []


async def test_what_answers_no_list_is_named() -> None:
    with pytest.raises(Unreadable) as raised:
        await lone(Told([[b"<html>log in</html>"]], [])).list()
    assert raised.value.failure.code == "unexpected-answer"


async def test_the_first_page_is_told_before_the_second_is_there() -> None:
    more = asyncio.Event()
    seen = Seen()
    pages: list[bytes | Awaitable[Any]] = [body("1", pod("a")), more.wait(), body("1", pod("b"))]
    mirror = lone(Told([pages], []), seen)
    task = asyncio.create_task(mirror.list())
    await asyncio.wait_for(seen.changed.wait(), 10)
    assert names(mirror) == {"a"}
    more.set()
    await task
    assert names(mirror) == {"a", "b"}


def test_views_of_a_page_are_those_of_its_objects() -> None:
    assert [one.key for one in page("pods", pod("a")).views] == ["shop/a"]
