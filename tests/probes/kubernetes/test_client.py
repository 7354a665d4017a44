"""What the client makes of answers, good and bad, and what it never sends."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import socket
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.target import Answer, ReadOnly, Unreadable
from probes.targets.kubernetes import failures
from probes.targets.kubernetes import reads as module
from probes.targets.kubernetes.client import ApiClient, ApiError, Forbidden, Gone
from probes.targets.kubernetes.place import Cluster
from probes.targets.kubernetes.rules import Rule, rule
from tests.probes.kubernetes.scripted import Request, Scripted, answer, refusal, scripted


async def failed(script: Scripted, **rest: Any) -> Any:
    client = ApiClient(script.place, read_only=True)
    try:
        with pytest.raises(Unreadable) as raised:
            await client.get("/api/v1/namespaces/web/pods", **rest)
    finally:
        await client.close()
    return raised.value.failure


async def test_an_answer_is_handed_over_whole_with_the_query_as_asked():
    async with scripted(answer(200, b"body")) as script:
        client = ApiClient(script.place, read_only=True)
        params = {"labelSelector": "a in (b,c)", "command": ["x", "y"], "limit": 5, "none": None}
        assert await client.get("/api/v1/pods", params) == b"body"
        assert script.requests[0].path == "/api/v1/pods?labelSelector=a+in+%28b%2Cc%29&command=x&command=y&limit=5"
        assert await client.get("/api/v1/pods?limit=1") == b"body"
        assert script.requests[1].path == "/api/v1/pods?limit=1"
        assert script.connections == 1
        await client.close()


async def test_a_prefix_of_the_server_stays_before_every_path():
    async with scripted(answer(200, b"x")) as script:
        place = script.place
        cluster = Cluster(place.cluster.server + "/k8s/clusters/c-1", proxy="")
        client = ApiClient(type(place)(place.target, "x", None, "default", cluster, place.user), read_only=True)
        await client.get("/version")
        assert script.requests[0].path == "/k8s/clusters/c-1/version"
        await client.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (400, "invalid"),
        (401, "expired"),
        (403, "forbidden"),
        (404, "not-found"),
        (410, "gone"),
        (422, "invalid"),
        (429, "too-busy"),
        (500, "server-error"),
        (502, "server-error"),
        (503, "too-busy"),
        (504, "timeout"),
        (302, "unexpected-answer"),
    ],
)
async def test_each_refusal_has_its_code_and_the_servers_words(code, expected):
    async with scripted(answer(code, refusal(code, "because \x1b[31mof\x07 this"))) as script:
        if code == 410:
            client = ApiClient(script.place, read_only=True)
            with pytest.raises(Gone, match="because of this"):
                await client.get("/x")
            await client.close()
            return
        found = await failed(script)
        assert found.code == expected
        assert "because of this" in found.why


async def test_what_is_forbidden_is_named_with_the_rule_that_allows_it():
    message = 'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "web"'
    async with scripted(answer(403, refusal(403, message, "Forbidden", kind="pods"))) as script:
        client = ApiClient(script.place, read_only=True)
        with pytest.raises(Forbidden) as raised:
            await client.get("/api/v1/namespaces/web/pods")
        await client.close()
    assert raised.value.rule == Rule("list", "", "pods", "web")
    assert message in raised.value.failure.why
    expected = '{apiGroups: [""], resources: [pods], verbs: [list]} in the namespace web'
    assert expected in raised.value.failure.hint


@pytest.mark.parametrize(
    ("method", "path", "params", "expected"),
    [
        ("GET", "/api/v1/pods", {}, Rule("list", "", "pods", None)),
        ("GET", "/api/v1/pods", {"watch": "1"}, Rule("watch", "", "pods", None)),
        ("GET", "/api/v1/namespaces/n", {}, Rule("get", "", "namespaces", None, "n")),
        ("GET", "/api/v1/namespaces/n/pods/p/log", {}, Rule("get", "", "pods/log", "n", "p")),
        ("GET", "/api/v1/namespaces/n/pods/p:80/proxy/health", {}, Rule("get", "", "pods/proxy", "n", "p:80")),
        ("GET", "/api/v1/nodes/n/proxy/stats/summary", {}, Rule("get", "", "nodes/proxy", None, "n")),
        ("PATCH", "/apis/apps/v1/namespaces/n/deployments/d", {}, Rule("patch", "apps", "deployments", "n", "d")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/n/deployments/d/scale",
            {},
            Rule("patch", "apps", "deployments/scale", "n", "d"),
        ),
        ("POST", "/api/v1/namespaces/n/secrets", {}, Rule("create", "", "secrets", "n")),
        ("DELETE", "/api/v1/namespaces/n/pods", {}, Rule("deletecollection", "", "pods", "n")),
        ("GET", "/version", {}, Rule("get", "", "", None, url="/version")),
        ("GET", "/apis", {}, Rule("get", "", "", None, url="/apis")),
    ],
)
def test_the_right_that_a_request_needs(method, path, params, expected):
    assert rule(method, path, params) == expected


@given(st.text(max_size=60), st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]))
def test_any_path_has_a_rule(path, method):
    assert str(rule(method, "/" + path))
    assert rule(method, path).where


@given(st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["kind", "reason", "message", "details", "causes", "field", "retryAfterSeconds"]), inner),
    max_leaves=10).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_error_body_is_words(body):
    said = failures.status(body)
    assert said.message.isprintable() or not said.message
    assert "\x1b" not in f"{said}"


async def test_a_busy_server_is_asked_again_when_it_says():
    busy = answer(429, refusal(429, "too many requests"), retry_after="0")
    async with scripted(busy, busy, answer(200, b"now")) as script:
        client = ApiClient(script.place, read_only=True)
        assert await client.get("/api/v1/pods") == b"now"
        assert len(script.requests) == 3
        await client.close()


async def test_a_server_that_stays_busy_or_asks_for_too_long_is_reported_at_once():
    async with scripted(answer(429, refusal(429, "slow down", retryAfterSeconds=3000))) as script:
        found = await failed(script)
        assert (found.code, len(script.requests)) == ("too-busy", 1)
        assert "3000 s" in found.hint
    async with scripted(answer(429, b"", retry_after="0")) as script:
        assert (await failed(script)).code == "too-busy"
        assert len(script.requests) == module.PATIENCE + 1


async def test_something_else_than_an_api_server_is_told():
    async with scripted(answer(200, b"<html>Sign in</html>")) as script:
        client = ApiClient(script.place, read_only=True)
        script.answers[:] = [answer(200, b"<html>Sign in</html>\n")]
        for call in (client.version(), anext(client.pages("/api/v1/pods")), anext(client.watch("/api/v1/pods"))):
            with pytest.raises(Unreadable) as raised:
                await call
            assert raised.value.failure.code == "unexpected-answer"
        await client.close()
    async with scripted(b"220 smtp.test ESMTP\r\n\r\n") as script:
        assert (await failed(script)).code == "unreachable"


async def test_a_body_above_its_bound_is_no_answer():
    async with scripted(answer(200, b"x" * 5000)) as script:
        assert (await failed(script, limit=4999)).code == "too-large"
    bomb = gzip.compress(b"x" * 3_000_000)
    async with scripted(answer(200, bomb, content_encoding="gzip")) as script:
        assert (await failed(script, limit=1 << 20)).code == "too-large"


async def test_a_server_that_says_nothing_ends_with_the_deadline():
    async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async def half(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        await asyncio.sleep(3600)

    for behaviour in (silent, half):
        async with scripted(behaviour) as script:
            assert (await failed(script, timeout_seconds=0.3)).code == "timeout"


async def test_nothing_answers_or_the_name_is_unknown():
    async with scripted(answer(200)) as script:
        place = script.place
    client = ApiClient(place, read_only=True)
    with pytest.raises(Unreadable) as raised:
        await client.version()
    assert (raised.value.failure.code, "nothing answers" in raised.value.failure.why) == ("unreachable", True)
    unknown = type(place)(place.target, "x", None, "d", Cluster("https://no.such.host.invalid", proxy=""), place.user)
    with pytest.raises(Unreadable) as raised:
        await ApiClient(unknown, read_only=True).version()
    assert raised.value.failure.code == "unreachable"
    await client.close()


async def test_a_resolver_that_does_not_answer_delays_neither_others_nor_the_end(monkeypatch):
    answered = threading.Event()
    real = socket.getaddrinfo
    asked: list[str] = []

    def lookup(host: Any, *rest: Any, **more: Any) -> Any:
        if host in ("dead.test", b"dead.test"):
            asked.append(host)
            answered.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    async with scripted(answer(200, b"x")) as script:
        place = script.place
        dead = ApiClient(
            type(place)(place.target, "x", None, "d", Cluster("https://dead.test", proxy=""), place.user),
            read_only=True,
        )
        waiting = [asyncio.create_task(dead.get("/x", timeout_seconds=0.5)) for _ in range(40)]
        try:
            alive = ApiClient(place, read_only=True)
            assert await alive.get("/x") == b"x"
            assert await asyncio.wait_for(asyncio.to_thread(lambda: 5), 20) == 5  # the shared threads are free
            found = await asyncio.gather(*waiting, return_exceptions=True)
            assert {one.failure.code for one in found if isinstance(one, Unreadable)} == {"timeout"}
            assert len(found) == 40
            assert len(asked) == 1
            answered.set()
            with pytest.raises(Unreadable) as raised:
                await dead.get("/x", timeout_seconds=20)
            assert raised.value.failure.code == "unreachable"
            await alive.close()
        finally:
            answered.set()
            await dead.close()


async def test_pages_follow_the_token_and_drop_the_version_of_the_first():
    pages = [
        answer(200, {"metadata": {"resourceVersion": "9", "continue": "t1"}, "items": [1]}),
        answer(200, {"metadata": {"resourceVersion": "9", "continue": ""}, "items": [2]}),
    ]
    async with scripted(*pages) as script:
        client = ApiClient(script.place, read_only=True)
        asked = {"labelSelector": "a", "resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"}
        found = [json.loads(page)["items"] async for page in client.pages("/api/v1/pods", asked, size=1)]
        assert found == [[1], [2]]
        assert script.requests[1].path == "/api/v1/pods?limit=1&labelSelector=a&continue=t1"
        await client.close()


async def test_the_next_page_is_asked_for_while_the_rest_of_this_one_is_on_its_way():
    last = json.dumps({"metadata": {"continue": ""}, "items": [2]}, separators=(",", ":")).encode()
    asked = asyncio.Event()

    async def slow(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in (b'{"kind":"PodList","metadata":{"continue":"t1"},"items":[', b"1]}"):
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.wait_for(asked.wait(), 30)  # nothing more comes before the next page was asked for
        writer.write(b"0\r\n\r\n")

    async def then(_: Request, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.write(answer(200, last))

    async with scripted(slow, then) as script:
        client = ApiClient(script.place, read_only=True)
        assert [json.loads(page)["items"] async for page in client.pages("/api/v1/pods")] == [[1], [2]]
        assert script.requests[1].path.endswith("continue=t1")
        await client.close()


async def test_a_page_that_breaks_off_ends_the_one_after_it_too():
    broken = b'{"kind":"PodList","metadata":{"continue":"t1"},"items":['
    heads = b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"
    hanging = asyncio.Event()
    cut: list[asyncio.StreamWriter] = []

    async def breaks(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(heads + broken)
        await writer.drain()
        await asyncio.wait_for(hanging.wait(), 30)
        writer.transport.abort()

    async def hangs(_: Request, writer: asyncio.StreamWriter) -> None:
        cut.append(writer)
        hanging.set()
        await writer.wait_closed()

    async with scripted(breaks, hangs) as script:
        client = ApiClient(script.place, read_only=True)
        with pytest.raises(Unreadable) as raised:
            await anext(client.pages("/api/v1/pods"))
        assert raised.value.failure.code == "unreachable"
        assert len(cut) == 1
        await client.close()


async def test_a_list_that_is_left_early_asks_for_no_more_pages():
    page = answer(200, {"metadata": {"continue": "more"}, "items": []})
    async with scripted(page) as script:
        client = ApiClient(script.place, read_only=True)
        pages = client.pages("/api/v1/pods")
        await anext(pages)
        await pages.aclose()
        assert len(script.requests) <= 2  # the next page was on its way
        await client.close()


async def test_the_events_of_a_watch_come_whole_however_they_are_cut():
    lines = [json.dumps({"type": "ADDED", "object": {"n": n, "text": "ü" * n}}).encode() for n in range(40)]
    stream = b"\n".join(lines) + b"\n"

    async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for at in range(0, len(stream), 37):
            piece = stream[at : at + 37]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with scripted(drip) as script:
        client = ApiClient(script.place, read_only=True)
        assert [line async for line in client.watch("/api/v1/pods", {"resourceVersion": "5"})] == lines
        path = script.requests[0].path
        for part in ("watch=1", "allowWatchBookmarks=true", "resourceVersion=5", "timeoutSeconds="):
            assert part in path
        await client.close()


async def test_an_error_event_is_raised():
    def event(code: int) -> bytes:
        return answer(200, json.dumps({"type": "ERROR", "object": refusal(code, "too old")}).encode() + b"\n")

    async with scripted(event(410), event(500)) as script:
        client = ApiClient(script.place, read_only=True)
        with pytest.raises(Gone):
            await anext(client.watch("/api/v1/pods"))
        with pytest.raises(Unreadable) as raised:
            await anext(client.watch("/api/v1/pods"))
        assert raised.value.failure.code == "server-error"
        await client.close()


async def test_a_watch_that_falls_silent_ends_and_one_without_end_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "EVENT_LIMIT", 1000)

    async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\n\r\n{"type":"ADDED"}\n')
        await writer.drain()
        await asyncio.sleep(3600)

    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\n\r\n{"type":"ADDED", "x": "')
        while True:
            writer.write(b"x" * 500)
            await writer.drain()

    async with scripted(silent) as script:
        client = ApiClient(script.place, read_only=True)
        assert len([line async for line in client.watch("/api/v1/pods", silence_seconds=0.2)]) == 1
        await client.close()
    async with scripted(endless) as script:
        client = ApiClient(script.place, read_only=True)
        with pytest.raises(Unreadable) as raised:
            await anext(client.watch("/api/v1/pods"))
        assert raised.value.failure.code == "too-large"
        await client.close()


async def test_what_a_service_answers_through_the_proxy_is_data():
    path = "/api/v1/namespaces/n/pods/p:8000/proxy/health"
    trying = "error trying to reach service: dial tcp 10.0.0.9:8000: "
    cases = [
        (answer(200, b"ok"), (200, b"ok", None)),
        (answer(403, b'{"detail": "no"}'), (403, b'{"detail": "no"}', None)),
        (answer(503, b"starting"), (503, b"starting", None)),
        (answer(307, b"", location="/login"), (307, b"", None)),
        (answer(200, b"x" * ((1 << 20) + 5)), (200, b"x" * (1 << 20), None)),
        (answer(503, refusal(503, trying + "connect: connection refused")), (None, b"", "refused")),
        (answer(502, refusal(502, trying + "i/o timeout")), (None, b"", "timeout")),
        (answer(503, refusal(503, trying + "connect: no route to host")), (None, b"", "unreachable")),
        (answer(500, refusal(500, "unexpected EOF")), (None, b"", "reset")),
    ]
    for said, expected in cases:
        async with scripted(said) as script:
            client = ApiClient(script.place, read_only=True)
            found = await client.answer(path)
            assert (found.status, found.body, found.error) == expected
            await client.close()


async def test_a_service_that_does_not_answer_in_time_is_data_and_a_missing_right_is_not():
    async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    path = "/api/v1/namespaces/n/pods/p:8000/proxy/health"
    async with scripted(silent) as script:
        client = ApiClient(script.place, read_only=True)
        found = await client.answer(path, timeout_seconds=0.2)
        assert isinstance(found, Answer)
        assert (found.status, found.error) == (None, "timeout")
        await client.close()
    async with scripted(answer(403, refusal(403, "no", "Forbidden"))) as script:
        client = ApiClient(script.place, read_only=True)
        with pytest.raises(Forbidden) as raised:
            await client.answer(path)
        assert raised.value.rule == Rule("get", "", "pods/proxy", "n", "p:8000")
        await client.close()


async def test_a_401_of_a_service_renews_no_credentials_and_one_of_the_server_does():
    path = "/api/v1/namespaces/n/pods/p:8000/proxy/health"
    rereads: list[int] = []
    async with scripted(
        answer(401, b'{"detail": "who are you?"}'), answer(401, refusal(401, "Unauthorized"))
    ) as script:

        def reread() -> Any:
            rereads.append(1)
            return script.place

        client = ApiClient(script.place, read_only=True, reread=reread)
        assert (await client.answer(path)).status == 401
        assert rereads == []
        with pytest.raises(Unreadable) as raised:
            await client.answer(path)
        assert (raised.value.failure.code, len(rereads)) == ("expired", 1)
        await client.close()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            'pods "p" is forbidden: User "u" cannot create resource "pods/exec" in API group "" in the namespace "n"',
            Rule("create", "", "pods/exec", "n", "p"),
        ),
        ("exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1", None),
    ],
)
def test_the_servers_words_name_the_right_that_was_missing(message, expected):
    said = failures.status(json.dumps(refusal(403, message)).encode())
    assert failures.missing("GET", "/api/v1/namespaces/n/pods/p/exec", None, said) == expected


async def test_a_write_whose_answer_never_came_may_have_been_done():
    async def hang_up(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with scripted(hang_up) as script:
        client = ApiClient(script.place, read_only=False)
        with pytest.raises(ApiError) as raised:
            await client.send("POST", "/api/v1/namespaces/n/secrets", b"{}")
        assert raised.value.status is None
        await client.close()
        place = script.place
    client = ApiClient(place, read_only=False)
    with pytest.raises(Unreadable):  # nothing was sent
        await client.send("POST", "/api/v1/namespaces/n/secrets", b"{}")
    await client.close()


async def test_a_refused_write_tells_the_servers_reasons():
    causes = [{"field": "spec.x", "reason": "FieldValueInvalid", "message": "password: hunter2 is bad\x1b[0m"}]
    async with scripted(answer(422, refusal(422, "invalid", "Invalid", causes=causes))) as script:
        client = ApiClient(script.place, read_only=False)
        with pytest.raises(ApiError) as raised:
            await client.send("PATCH", "/apis/apps/v1/x", b"{}", content_type="application/merge-patch+json")
        error = raised.value
        assert (error.status, error.reason, error.message) == (422, "Invalid", "invalid")
        assert error.causes[0].field == "spec.x"
        assert "hunter2" not in error.causes[0].message
        assert script.requests[0].headers["content-type"] == "application/merge-patch+json"
        await client.close()


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=10))
async def test_read_only_sends_nothing_but_get(method):
    async with scripted(answer(200, b"x")) as script:
        client = ApiClient(script.place, read_only=True)
        if method in {"GET", "HEAD"}:
            await client.send(method, "/api/v1/pods")
        else:
            with pytest.raises(ReadOnly):
                await client.send(method, "/api/v1/pods", b"{}")
            assert script.connections == 0
        await client.close()


async def test_read_only_runs_no_command_and_takes_nothing_over():
    async with scripted(answer(200, b"x")) as script:
        client = ApiClient(script.place, read_only=True)
        with pytest.raises(ReadOnly):
            await client.execute("n", "p", "c", ["ls"])
        for path in ("pods/p/exec", "pods/p/attach", "pods/p/portforward", "pods/p/exec/"):
            with pytest.raises(ReadOnly):
                await client.get(f"/api/v1/namespaces/n/{path}")
        assert script.connections == 0
        await client.close()


async def test_a_stream_that_is_cancelled_ends_at_once():
    closed = asyncio.Event()

    async def log(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nfirst\n")
        await writer.drain()
        await writer.wait_closed()
        closed.set()

    async with scripted(log) as script:
        client = ApiClient(script.place, read_only=True)
        first = asyncio.Event()

        async def follow() -> None:
            async for _ in client.stream("/api/v1/namespaces/n/pods/p/log", {"follow": "true"}):
                first.set()

        task = asyncio.create_task(follow())
        await asyncio.wait_for(first.wait(), 10)
        begun = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert time.monotonic() - begun < 5
        await client.close()


async def test_a_handshake_that_is_cancelled_leaves_no_connection() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def never_shakes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        begun.set()
        while await reader.read(1 << 16):
            pass
        ended.set()
        writer.close()

    server = await asyncio.start_server(never_shakes, "127.0.0.1", 0)
    gc.disable()  # it would close what nobody holds any more
    try:
        place = Scripted().place
        cluster = Cluster(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy="")
        client = ApiClient(type(place)(place.target, "x", None, "default", cluster, place.user), read_only=True)
        asking = asyncio.create_task(client.get("/version", timeout_seconds=60.0))
        await asyncio.wait_for(begun.wait(), 60)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()
        await asyncio.wait_for(ended.wait(), 60)
        await client.close()
    finally:
        gc.enable()
        server.close()
        await server.wait_closed()
