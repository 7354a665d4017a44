"""Commands in real containers, what services answer through the API server, and logs as they are written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
from msgspec import structs

from probes import servers
from probes.base import Failure, ReplicaId
from probes.model import UNLIMITED, Limit, Memory
from probes.target import ReadOnly, Unreadable
from probes.targets.kubernetes.client import ApiClient, Forbidden
from probes.targets.kubernetes.contexts import resolve
from probes.targets.kubernetes.rules import Rule
from probes.targets.kubernetes.workers import Reader
from tests.cluster import accounts
from tests.cluster.case import KubeCase
from tests.cluster.manifests import CONTAINER
from tests.cluster.runner import KubeLab
from tests.lab.case import Answers, uvicorn

MIB = 1 << 20
CASE = KubeCase("spoken-to", uvicorn("healthy:app"), up=Answers("/health"))


class Running(NamedTuple):
    config: Any
    namespace: str
    pod: str
    api: Any

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}"


@pytest.fixture(scope="module")
def running(cluster: Any, kube_api: Any, make_namespace: Any) -> Iterator[Running]:
    """One healthy pod for all tests of this file."""
    namespace = make_namespace()
    with KubeLab(kube_api, namespace) as lab:
        pods = lab.start(CASE).ready().pods()
        yield Running(cluster, namespace, pods[0]["metadata"]["name"], kube_api)


@pytest.fixture
async def client(running: Running) -> AsyncIterator[ApiClient]:
    made = ApiClient(resolve("k8s", None, {"KUBECONFIG": str(running.config)}), read_only=False)
    yield made
    await made.close()


async def failure(client: ApiClient, running: Running, argv: list[str], **rest: Any) -> Any:
    with pytest.raises(Unreadable) as raised:
        await client.execute(running.namespace, running.pod, CONTAINER, argv, **rest)
    return raised.value.failure


async def test_a_command_gets_its_input_and_gives_its_output(client, running):
    text = bytes(range(256)) * 1000
    found = await client.execute(running.namespace, running.pod, CONTAINER, ["cat"], stdin=text)
    assert found == text
    argv = ["sh", "-c", 'printf "%s|" "$@"; echo ignored >&2', "x", "a b", "ü?&="]
    assert await client.execute(running.namespace, running.pod, CONTAINER, argv) == "a b|ü?&=|".encode()


async def test_a_command_that_fails_is_quoted(client, running):
    found = await failure(client, running, ["sh", "-c", "echo first; echo 'no \x1b[31mway' >&2; exit 3"])
    assert (found.code, found.why) == ("command-failed", "it ended with 3: no way")


async def test_a_program_that_is_not_there_is_named(client, running):
    found = await failure(client, running, ["no-such-program"])
    assert (found.code, found.why) == ("no-command", "there is no program no-such-program in it")


async def test_a_command_has_a_deadline_and_its_output_a_bound(client, running):
    begun = time.monotonic()
    assert (await failure(client, running, ["sleep", "60"], timeout_seconds=1.0)).code == "timeout"
    assert time.monotonic() - begun < 30
    found = await failure(client, running, ["head", "-c", "5000000", "/dev/zero"], limit=1 << 20)
    assert found.code == "too-large"


async def test_a_pod_or_a_container_that_is_not_there_is_named(client, running):
    gone = running._replace(pod="no-such-pod")
    assert (await failure(client, gone, ["true"])).code == "not-found"
    with pytest.raises(Unreadable) as raised:
        await client.execute(running.namespace, running.pod, "no-such-container", ["true"])
    assert raised.value.failure.code == "invalid"


@pytest.mark.parametrize(
    ("memory", "readers"),
    [
        (Memory(limit=UNLIMITED), ["python3"]),
        (Memory(used_bytes=100 * MIB, limit=Limit(True, 200.0 * MIB)), ["python3"]),
        (Memory(limit=Limit(True, 200.0 * MIB)), ["sh", "python3"]),
        (Memory(limit=Limit(True, 100.0 * MIB)), ["sh", "sh"]),
        (Memory(used_bytes=190 * MIB, limit=Limit(True, 200.0 * MIB)), ["sh", "sh"]),
    ],
    ids=["unlimited", "enough", "unknown", "unknown-and-small", "short"],
)
async def test_where_memory_may_be_short_a_shell_reads_until_it_is_known(client, running, memory, readers):
    ran: list[str] = []

    class Noting:
        async def execute(self, namespace: str, pod: str, container: str, argv: Any, **rest: Any) -> bytes:
            ran.append(argv[0])
            return await client.execute(namespace, pod, container, argv, **rest)

    reader = Reader(Noting())  # type: ignore[arg-type]
    replica = ReplicaId(f"{running.namespace}/{running.pod}/{CONTAINER}")
    command = servers.parse(["uvicorn", "healthy:app"], {})
    first = await reader.read(replica, command, memory=memory)
    assert [one.role for one in first.workers] == ["server"]
    assert first.memory is not None
    assert first.memory.used_bytes
    if readers[-1] != "sh":
        memory = structs.replace(memory, used_bytes=first.memory.used_bytes)
    second = await reader.read(replica, command, memory=memory)
    assert ran == (readers if len(readers) == 2 else readers * 2)
    assert (second.workers[0].pss_bytes is not None) == (readers[-1] == "python3")


async def test_a_full_container_without_a_shell_is_not_read(running):
    class Shellless:
        async def execute(self, _namespace: str, _pod: str, _container: str, argv: Any, **_: Any) -> bytes:
            assert argv[0] == "sh"
            raise Unreadable(Failure("no-command", "a command", "there is no program sh in it", ""))

    memory = Memory(used_bytes=190 * MIB, limit=Limit(True, 200.0 * MIB))
    with pytest.raises(Unreadable) as raised:
        await Reader(Shellless()).read(ReplicaId("shop/web/app"), None, memory=memory)  # type: ignore[arg-type]
    assert "too little memory" in raised.value.failure.why


async def test_read_only_runs_nothing(running):
    made = ApiClient(resolve("k8s", None, {"KUBECONFIG": str(running.config)}), read_only=True)
    with pytest.raises(ReadOnly):
        await made.execute(running.namespace, running.pod, CONTAINER, ["touch", "/tmp/x"])
    await made.close()


async def test_a_missing_right_is_named(running, tmp_path):
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    config = accounts.make(running.api, running.namespace, "looker", rules, tmp_path)
    made = ApiClient(resolve("k8s", None, {"KUBECONFIG": str(config)}), read_only=False)
    with pytest.raises(Forbidden) as raised:
        await made.execute(running.namespace, running.pod, CONTAINER, ["true"])
    assert raised.value.rule == Rule("get", "", "pods/exec", running.namespace, running.pod)
    with pytest.raises(Forbidden) as raised:
        await made.answer(f"{running.path}:8000/proxy/health")
    assert raised.value.rule.resource == "pods/proxy"
    await made.close()


async def test_a_service_answers_through_the_api_server(client, running):
    found = await client.answer(f"{running.path}:8000/proxy/health")
    assert (found.status, found.error) == (200, None)
    assert found.body
    assert (await client.answer(f"{running.path}:8000/proxy/no-such-route")).status == 404
    closed = await client.answer(f"{running.path}:8999/proxy/health")
    assert (closed.status, closed.error) == (None, "refused")
    with pytest.raises(Unreadable) as raised:
        await client.answer(f"/api/v1/namespaces/{running.namespace}/pods/no-such-pod:8000/proxy/health")
    assert raised.value.failure.code == "not-found"


async def test_a_log_is_followed_while_it_grows_and_left_at_once(client, running):
    seen = bytearray()
    lines = client.stream(f"{running.path}/log", {"follow": "true", "container": CONTAINER})

    async def follow() -> None:
        async for chunk in lines:
            seen.extend(chunk)

    task = asyncio.create_task(follow())
    async with asyncio.timeout(30):
        while b"no-such-route-in-the-log" not in seen:
            await client.answer(f"{running.path}:8000/proxy/no-such-route-in-the-log")
            await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
