"""The client on a real API server: credentials that end, rights that are missing, streams that are cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from probes.target import ReadOnly, Unreadable
from probes.targets.kubernetes import contexts, credentials
from probes.targets.kubernetes.client import ApiClient, ApiError, Forbidden, Gone
from probes.targets.kubernetes.contexts import resolve
from probes.targets.kubernetes.place import Place
from probes.targets.kubernetes.rules import Rule
from tests.probes.kubernetes.apiserver import ApiServer
from tests.probes.kubernetes.scripted import wire

MAPS = "/api/v1/namespaces/default/configmaps"


def place(config: Path) -> Place:
    return resolve("k8s", None, {"KUBECONFIG": str(config), "HOME": "/nonexistent"})


@contextlib.asynccontextmanager
async def client(config: Path, *, read_only: bool = False, reread: bool = False) -> AsyncIterator[ApiClient]:
    again = (lambda: place(config)) if reread else None
    made = ApiClient(place(config), read_only=read_only, reread=again)
    try:
        yield made
    finally:
        await made.close()


def config_map(name: str, **data: str) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}).encode()


async def who(made: ApiClient) -> str:
    """Whom the server takes us for."""
    body = b'{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}'
    answer = await made.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    return str(json.loads(answer)["status"]["userInfo"]["username"])


def version_of(event: bytes) -> str:
    return str(json.loads(event)["object"]["metadata"]["resourceVersion"])


async def newest(made: ApiClient) -> str:
    return str(json.loads(await made.get(MAPS, {"limit": 1}))["metadata"]["resourceVersion"])


def login(bare: ApiServer, tmp_path: Path) -> Path:
    """A kubeconfig whose plugin prints the token in the file ``token``."""
    program = tmp_path / "login"
    wrapped = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}'
    program.write_text(f'#!/bin/sh\nprintf \'{wrapped}\' "$(cat "{tmp_path}/token")"\n')
    program.chmod(0o755)
    entry = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    return bare.kubeconfig({"exec": entry}, name=f"login-{uuid4().hex[:8]}")


async def test_client_certificates_from_files_beside_the_kubeconfig(bare):
    async with client(bare.kubeconfig()) as made:
        assert (await made.version()).startswith("v1.")
        assert await who(made) == "admin"


async def test_a_certificate_that_is_replaced_is_used_for_the_next_request(bare, tmp_path):
    for name in ("ann", "bob"):
        certificate, key = bare.certificate(name, f"/O=system:masters/CN={name}")
        certificate.rename(tmp_path / f"{name}.crt")
        key.rename(tmp_path / f"{name}.key")
    entry = {"client-certificate": str(tmp_path / "my.crt"), "client-key": str(tmp_path / "my.key")}
    for suffix in ("crt", "key"):
        (tmp_path / f"my.{suffix}").write_bytes((tmp_path / f"ann.{suffix}").read_bytes())
    async with client(bare.kubeconfig(entry, name="rotating")) as made:
        assert await who(made) == "ann"
        watch = made.watch(MAPS, {"resourceVersion": await newest(made), "timeoutSeconds": 60})
        pending = asyncio.ensure_future(anext(watch))
        for suffix in ("crt", "key"):
            (tmp_path / f"bob.{suffix}").rename(tmp_path / f"my.{suffix}")
        assert await who(made) == "bob"
        name = f"x-{uuid4().hex[:8]}"
        await made.send("POST", MAPS, config_map(name))
        event = await asyncio.wait_for(pending, 10)  # the stream of the former certificate goes on
        assert json.loads(event)["object"]["metadata"]["name"] == name
        await watch.aclose()


async def test_a_token_that_expired_is_renewed_by_the_plugin_without_a_restart(bare, tmp_path):
    first, second = uuid4().hex, uuid4().hex
    bare.tokens[first] = "ann"
    (tmp_path / "token").write_text(first)
    async with client(login(bare, tmp_path)) as made:
        assert await who(made) == "ann"
        await _end(bare, first)
        bare.tokens[second] = "ann-again"
        (tmp_path / "token").write_text(second)
        assert await asyncio.gather(*(who(made) for _ in range(8))) == ["ann-again"] * 8
        await _end(bare, second)
        with pytest.raises(Unreadable) as raised:
            await made.get("/api/v1/pods")
        assert raised.value.failure.code == "expired"
        with pytest.raises(Unreadable) as raised:
            await made.send("POST", MAPS, config_map("x"))
        assert raised.value.failure.code == "expired"
        bare.tokens[second] = "ann"
        assert await who(made) == "ann"


async def test_a_token_file_that_is_rotated_is_used(bare, tmp_path):
    one, two = uuid4().hex, uuid4().hex
    bare.tokens.update({one: "one", two: "two"})
    (tmp_path / "token").write_text(one)
    async with client(bare.kubeconfig({"tokenFile": str(tmp_path / "token")}, name="file")) as made:
        assert await who(made) == "one"
        (tmp_path / "new").write_text(two)
        (tmp_path / "new").rename(tmp_path / "token")
        assert await who(made) == "two"


async def test_a_login_by_hand_that_changes_the_kubeconfig_is_noticed(bare, monkeypatch):
    monkeypatch.setattr(credentials, "PAUSE_SECONDS", 0.0)
    one, two = uuid4().hex, uuid4().hex
    bare.tokens[two] = "two"
    async with client(bare.kubeconfig({"token": one}, name="by-hand"), reread=True) as made:
        with pytest.raises(Unreadable) as raised:
            await made.get("/api/v1/pods")
        assert raised.value.failure.code == "expired"
        bare.kubeconfig({"token": two}, name="by-hand")
        assert await who(made) == "two"


async def test_inside_a_pod_the_service_account_asks_and_its_token_is_rotated(bare, tmp_path, monkeypatch):
    one, two = uuid4().hex, uuid4().hex
    bare.tokens.update({one: "system:serviceaccount:shop:one", two: "system:serviceaccount:shop:two"})
    (tmp_path / "token").write_text(one)
    (tmp_path / "ca.crt").write_bytes((bare.root / "ca.crt").read_bytes())
    monkeypatch.setattr(contexts, "ACCOUNT", tmp_path)
    given = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(bare.port), "HOME": "/nonexistent"}
    made = ApiClient(resolve("k8s", None, given), read_only=False)
    assert await who(made) == "system:serviceaccount:shop:one"
    (tmp_path / "new").write_text(two)
    (tmp_path / "new").rename(tmp_path / "token")
    assert await who(made) == "system:serviceaccount:shop:two"
    await made.close()


async def test_whom_one_impersonates_is_who_asks(bare):
    entry = {"client-certificate": "admin.crt", "client-key": "admin.key", "as": "bob", "as-groups": ["a", "b"]}
    async with client(bare.kubeconfig(entry, name="as-bob")) as made:
        assert await who(made) == "bob"


async def test_a_namespace_only_role_reads_its_namespace_and_names_the_rule_for_the_rest(bare):
    token, space = uuid4().hex, f"web-{uuid4().hex[:6]}"
    bare.tokens[token] = f"tenant-{space}"
    bare.kubectl("create", "namespace", space)
    bare.kubectl("create", "role", "reader", "--verb=get,list,watch", "--resource=pods", "-n", space)
    bare.kubectl("create", "rolebinding", "reader", "--role=reader", f"--user=tenant-{space}", "-n", space)
    async with client(bare.kubeconfig({"token": token}, name=space), read_only=True) as made:

        async def own() -> bytes:
            return await made.get(f"/api/v1/namespaces/{space}/pods")

        assert json.loads(await _until(own))["items"] == []
        for path, params, expected in (
            ("/api/v1/pods", {}, Rule("list", "", "pods", None)),
            (f"/apis/apps/v1/namespaces/{space}/deployments", {}, Rule("list", "apps", "deployments", space)),
            ("/api/v1/nodes/n/proxy/stats/summary", {}, Rule("get", "", "nodes/proxy", None, "n")),
        ):
            with pytest.raises(Forbidden) as raised:
                await made.get(path, params)
            assert raised.value.rule == expected
            assert f"resources: [{expected.resource}]" in raised.value.failure.hint
        with pytest.raises(Forbidden) as raised:
            await anext(made.watch("/api/v1/pods"))
        assert raised.value.rule.verb == "watch"


async def test_a_list_comes_in_pages_and_a_page_of_a_forgotten_version_is_gone(bare):
    label = f"run-{uuid4().hex[:8]}"
    items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{label}-{n}", "labels": {"run": label}}}
             for n in range(7)]  # fmt: skip
    bare.kubectl("create", "--filename", "-", given={"apiVersion": "v1", "kind": "List", "items": items})
    asked = {"labelSelector": f"run={label}"}
    async with client(bare.kubeconfig(), read_only=True) as made:
        pages = [json.loads(page) async for page in made.pages(MAPS, asked, size=3)]
        assert [len(page["items"]) for page in pages] == [3, 3, 1]
        assert len({item["metadata"]["name"] for page in pages for item in page["items"]}) == 7
        stale = pages[0]["metadata"]["continue"]
        await asyncio.to_thread(bare.kubectl, "create", "configmap", f"{label}-last")
        await _forget(bare)
        with pytest.raises(Gone):
            async for _ in made.pages(MAPS, {**asked, "continue": stale}, size=3):
                pass


async def test_a_watch_tells_what_happens_and_ends_when_its_time_is_over(bare):
    name = f"x-{uuid4().hex[:8]}"
    async with client(bare.kubeconfig()) as made:
        watch = made.watch(MAPS, {"resourceVersion": await newest(made), "timeoutSeconds": 3})
        await made.send("POST", MAPS, config_map(name))
        await made.send("DELETE", f"{MAPS}/{name}")
        events = [json.loads(event) async for event in watch]
        own = [event["type"] for event in events if event["object"]["metadata"].get("name") == name]
        assert own == ["ADDED", "DELETED"]


async def test_a_watch_from_a_forgotten_version_is_gone(bare):
    async with client(bare.kubeconfig()) as made:
        old = await newest(made)
        await made.send("POST", MAPS, config_map(f"x-{uuid4().hex[:8]}"))
        await _forget(bare)
        with pytest.raises(Gone):
            async for _ in made.watch(MAPS, {"resourceVersion": old, "timeoutSeconds": 5}):
                pass


async def test_a_cancelled_watch_ends_at_once_and_leaves_no_connection(bare):
    async with wire(bare.port) as between, client(bare.kubeconfig(server=f"https://127.0.0.1:{between.port}")) as made:
        version = await newest(made)
        task = asyncio.ensure_future(anext(made.watch(MAPS, {"resourceVersion": version})))
        await _until_true(lambda: between.connections == 1)
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert time.monotonic() - begun < 5
        await _until_true(lambda: between.connections == 0)


async def test_a_watch_that_is_cut_says_so_and_goes_on_where_it_was(bare):
    names = [f"x-{uuid4().hex[:8]}" for _ in range(2)]
    async with (
        client(bare.kubeconfig()) as direct,
        wire(bare.port) as between,
        client(
            bare.kubeconfig(name="admin-cut", server=f"https://127.0.0.1:{between.port}", user=_admin(bare))
        ) as made,
    ):
        watch = made.watch(MAPS, {"resourceVersion": await newest(direct)})
        await direct.send("POST", MAPS, config_map(names[0]))
        event = await anext(watch)
        assert json.loads(event)["object"]["metadata"]["name"] == names[0]
        between.cut()
        with pytest.raises(Unreadable) as raised:
            await anext(watch)
        assert raised.value.failure.code == "unreachable"
        await direct.send("POST", MAPS, config_map(names[1]))
        again = made.watch(MAPS, {"resourceVersion": version_of(event)})
        assert json.loads(await anext(again))["object"]["metadata"]["name"] == names[1]
        await again.aclose()


async def test_a_server_that_is_stopped_and_started_is_reached_again_by_the_same_client(bare):
    async with client(bare.kubeconfig()) as made:
        watch = made.watch(MAPS, {"resourceVersion": await newest(made)})
        pending = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0.1)
        try:
            await asyncio.to_thread(bare.stop)
            with pytest.raises((Unreadable, StopAsyncIteration)):
                await asyncio.wait_for(pending, 30)
            with pytest.raises(Unreadable) as raised:
                await made.get("/api/v1/pods")
            assert raised.value.failure.code == "unreachable"
        finally:
            await asyncio.to_thread(bare.start)
        assert (await made.version()).startswith("v1.")
        assert await who(made) == "admin"


async def test_a_dead_context_delays_no_other(bare):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        client(bare.kubeconfig(name="dead", server=f"https://127.0.0.1:{port}", user=_admin(bare))) as dead,
        client(bare.kubeconfig()) as alive,
    ):
        waiting = asyncio.create_task(dead.get("/api/v1/pods", timeout_seconds=3.0))
        await asyncio.sleep(0)
        assert (await alive.version()).startswith("v1.")
        assert not waiting.done()
        with pytest.raises(Unreadable) as raised:
            await waiting
        assert raised.value.failure.code == "timeout"
    server.close()


async def test_tls_is_checked_by_the_authority_and_the_name_that_are_configured(bare, tmp_path):
    from tests.probes.kubernetes import apiserver

    apiserver._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other",
                       "-keyout", str(tmp_path / "k"), "-out", str(tmp_path / "ca.crt"))  # fmt: skip
    wrong = {"certificate-authority-data": None, "certificate-authority": str(tmp_path / "ca.crt")}
    cases: list[tuple[dict[str, Any], str | None]] = [
        ({}, None),
        ({"tls-server-name": "bare.test"}, None),
        ({"tls-server-name": "other.test"}, "tls"),
        (wrong, "tls"),
        ({**wrong, "insecure-skip-tls-verify": True}, None),
    ]
    for number, (change, code) in enumerate(cases):
        async with client(bare.kubeconfig(_admin(bare), name=f"tls-{number}", **change)) as made:
            if code is None:
                assert await who(made) == "admin"
                continue
            with pytest.raises(Unreadable) as raised:
                await made.version()
            assert raised.value.failure.code == code
            assert "not trusted" in raised.value.failure.why


async def test_keys_that_are_none_are_named_and_no_password_is_asked_for(bare, tmp_path):
    (tmp_path / "bad").write_text("no key")
    bad = {"client-certificate": str(tmp_path / "bad"), "client-key": str(tmp_path / "bad")}
    locked = tmp_path / "locked.key"
    from tests.probes.kubernetes import apiserver

    apiserver._openssl("rsa", "-aes256", "-passout", "pass:x", "-in", str(bare.root / "admin.key"), "-out", str(locked))
    encrypted = {"client-certificate": str(bare.root / "admin.crt"), "client-key": str(locked)}
    for number, entry in enumerate((bad, encrypted)):
        async with client(bare.kubeconfig(entry, name=f"key-{number}")) as made:
            with pytest.raises(Unreadable) as raised:
                await made.version()
            assert raised.value.failure.code == "tls"


@pytest.mark.parametrize(("how", "scheme"), [("serve_connect", "http"), ("serve_socks", "socks5")])
async def test_a_proxy_of_the_kubeconfig_is_gone_through(bare, how, scheme):
    async with wire(bare.port, how) as between:
        cluster = {"proxy-url": f"{scheme}://127.0.0.1:{between.port}", "tls-server-name": "bare.test"}
        async with client(bare.kubeconfig(_admin(bare), name=f"through-{scheme}", **cluster)) as made:
            assert await who(made) == "admin"
        assert len(between.asked) == 1


async def test_writes_meet_what_the_server_says(bare):
    name = f"x-{uuid4().hex[:8]}"
    async with client(bare.kubeconfig()) as made:
        await made.send("POST", MAPS, config_map(name, a="1"), params={"dryRun": "All"})
        with pytest.raises(ApiError) as raised:
            await made.send("DELETE", f"{MAPS}/{name}")  # a dry run leaves nothing
        assert (raised.value.status, raised.value.reason) == (404, "NotFound")
        await made.send("POST", MAPS, config_map(name, a="1"))
        with pytest.raises(ApiError) as raised:
            await made.send("POST", MAPS, config_map(name))
        assert (raised.value.status, raised.value.reason) == (409, "AlreadyExists")
        old = {"metadata": {"resourceVersion": "1"}, "data": {"a": "2"}}
        merge = "application/merge-patch+json"
        with pytest.raises(ApiError) as raised:
            await made.send("PATCH", f"{MAPS}/{name}", json.dumps(old).encode(), content_type=merge)
        assert (raised.value.status, raised.value.reason) == (409, "Conflict")
        with pytest.raises(ApiError) as raised:
            await made.send("POST", MAPS, config_map("Not_A_Name"))
        assert raised.value.status == 422
        assert raised.value.causes[0].field == "metadata.name"


async def test_a_write_without_the_right_names_the_rule(bare):
    token = uuid4().hex
    bare.tokens[token] = "nobody"
    async with client(bare.kubeconfig({"token": token}, name="nobody")) as made:
        with pytest.raises(ApiError) as raised:
            await made.send("PATCH", "/apis/apps/v1/namespaces/default/deployments/x", b"{}")
        assert raised.value.rule == Rule("patch", "apps", "deployments", "default", "x")


async def test_read_only_changes_nothing_on_a_real_server(bare):
    name = f"x-{uuid4().hex[:8]}"
    async with client(bare.kubeconfig(), read_only=True) as made:
        before = await newest(made)
        for method, path in (("POST", MAPS), ("DELETE", f"{MAPS}/{name}"), ("PATCH", f"{MAPS}/{name}"), ("PUT", MAPS)):
            with pytest.raises(ReadOnly):
                await made.send(method, path, config_map(name))
        assert await newest(made) == before


async def _end(bare: ApiServer, token: str) -> None:
    await asyncio.to_thread(bare.end, token)


async def _forget(bare: ApiServer) -> None:
    """Old versions are forgotten by etcd, and by the server, whose cache begins anew with what is there."""
    await asyncio.to_thread(bare.compact)
    await asyncio.to_thread(bare.stop)
    await asyncio.to_thread(bare.start)


def _admin(bare: ApiServer) -> dict[str, Any]:
    return {"client-certificate": str(bare.root / "admin.crt"), "client-key": str(bare.root / "admin.key")}


async def _until(asked: Any) -> Any:
    """The first answer that is none of ours to refuse, within 20 s."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return await asked()
        except (Unreadable, ApiError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def _until_true(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


def test_no_key_is_left_in_a_temporary_file(bare):
    import base64
    import tempfile

    key = (bare.root / "admin.key").read_bytes()
    entry = {
        "client-certificate-data": base64.b64encode((bare.root / "admin.crt").read_bytes()).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }

    async def asked() -> set[str]:
        async with client(bare.kubeconfig(entry, name="inline")) as made:
            assert await who(made) == "admin"
            return set(os.listdir(tempfile.gettempdir()))

    before = set(os.listdir(tempfile.gettempdir()))
    for name in asyncio.run(asked()) - before:
        path = Path(tempfile.gettempdir()) / name
        assert not path.is_file() or key not in path.read_bytes()
