"""Evidence that a fix would destroy, gathered within seconds and redacted; what cannot be read says why."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from probes import cgroup, text
from probes.model import Replica
from probes.procfs import ProcFs
from probes.target import Unreadable
from probes.targets.docker import logs
from probes.targets.docker.access import DockerAccess
from probes.targets.docker.client import EngineClient
from probes.targets.docker.container import Container

DEADLINE_SECONDS = 9.0
_LOG_LINES = 5000
_LOG_BYTES = 4 << 20
_REPLICAS = 8
_APART_SECONDS = 1.0


async def preserve(access: DockerAccess, containers: list[Container]) -> dict[str, bytes]:
    """File name → content, of eight replicas at most. What did not come in time is left out."""
    found: dict[str, bytes] = {}
    works = [work for one in containers[:_REPLICAS] for work in _works(access, one, found)]
    tasks = [asyncio.create_task(one) for one in works]
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=DEADLINE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return dict(sorted(found.items()))


def _works(access: DockerAccess, container: Container, found: dict[str, bytes]) -> list[Coroutine[Any, Any, None]]:
    name = text.clean(container.base.name, 80).replace("/", "_") or container.id[:12]
    works = [_keep(found, f"{name}.replica.json", _replica(container))]
    client = access.client
    if client is not None:
        works.append(_keep(found, f"{name}.inspect.json", _inspect(client, container)))
        works.append(_keep(found, f"{name}.diff.json", _diff(client, container)))
        works.append(_keep(found, f"{name}.log", _log(client, container)))
    if container.local and container.running:
        works.append(_keep(found, f"{name}.proc.json", asyncio.to_thread(_proc, container)))
        works.append(_keep(found, f"{name}.stacks.json", _stacks(access, container)))
    return works


async def _keep(found: dict[str, bytes], name: str, work: Coroutine[Any, Any, bytes]) -> None:
    try:
        found[name] = await work
    except Unreadable as unreadable:
        found[f"{name}.missing"] = f"{unreadable.failure.what}: {unreadable.failure.why}\n".encode()


async def _replica(container: Container) -> bytes:
    replica: Replica = container.replica(datetime.now(UTC) - timedelta(days=1))
    return msgspec.json.format(msgspec.json.encode(replica))


async def _inspect(client: EngineClient, container: Container) -> bytes:
    document = await client.get(f"/containers/{container.id}/json", dict[str, Any], timeout_seconds=5)
    return msgspec.json.format(msgspec.json.encode(redacted(document)))


async def _diff(client: EngineClient, container: Container) -> bytes:
    rows = msgspec.json.decode(await client.request("GET", f"/containers/{container.id}/changes", timeout_seconds=5))
    return msgspec.json.format(msgspec.json.encode(redacted(list(rows or ())[:2000])))


async def _log(client: EngineClient, container: Container) -> bytes:
    """The latest lines, and what came until they were read."""
    why = logs.unreadable(container.base.log_driver)
    if why is not None:
        raise Unreadable(logs.failure(container.base.name, why))
    gathered = bytearray()
    begin = datetime.fromtimestamp(0, UTC)
    async for chunk in logs.past(client, container.id, begin, tty=container.tty, lines=_LOG_LINES):
        gathered += chunk
        del gathered[:-_LOG_BYTES]
    return text.block(bytes(gathered), _LOG_LINES).encode()


async def _stacks(access: DockerAccess, container: Container) -> bytes:
    """Two stacks of each worker, a second apart: what stands in both is where it stands."""
    workers = [
        one.pid for one in (container.reading.workers if container.reading else None) or () if one.role != "master"
    ]
    samples: list[Any] = []
    for turn in range(2):
        samples += [await access.stacks(container.id, pid) for pid in workers[:4]]
        if turn == 0:
            await asyncio.sleep(_APART_SECONDS)
    return msgspec.json.format(msgspec.json.encode(samples))


def _proc(container: Container) -> bytes:
    procfs = ProcFs()
    tree = procfs.tree()
    facts: dict[str, Any] = {}
    for pid in (container.pid, *tree.descendants(container.pid))[:64]:
        facts[str(pid)] = {
            "argv": text.arguments(procfs.argv(pid) or ()),
            "status": msgspec.to_builtins(procfs.status(pid)),
            "limits": msgspec.to_builtins(procfs.limits(pid)),
            "descriptors": descriptors(pid),
        }
    paths = cgroup.locate(container.pid)
    sample = cgroup.read(paths) if paths is not None else None
    listeners = procfs.listeners(container.pid)
    document = {"processes": facts, "cgroup": msgspec.to_builtins(sample), "listeners": msgspec.to_builtins(listeners)}
    return msgspec.json.format(msgspec.json.encode(document))


def descriptors(pid: int, proc: str = "/proc") -> Mapping[str, int]:
    """Open descriptors by kind, as ``socket``, ``pipe``, ``anon_inode`` and ``file``."""
    kinds: Counter[str] = Counter()
    try:
        with os.scandir(f"{proc}/{pid}/fd") as entries:
            for entry in entries:
                try:
                    target = os.readlink(entry.path)  # noqa: PTH115 - thousands of them
                except OSError:
                    continue
                kinds["file" if target.startswith("/") else text.clean(target.partition(":[")[0], 80)] += 1
    except OSError:
        return {}
    return dict(kinds)


def redacted(value: Any, name: str = "") -> Any:
    """A document of the engine with what looks like a secret replaced, by name or by its looks."""
    if isinstance(value, dict):
        return {text.clean(str(key), 300): redacted(one, str(key)) for key, one in value.items()}
    if isinstance(value, list):
        if name == "Env":
            pairs = dict(one.partition("=")[::2] for one in value if isinstance(one, str))
            return [f"{key}={shown}" for key, shown in text.environment(pairs).items()]
        if name in {"Args", "Cmd", "Entrypoint", "Test"}:
            return list(text.arguments([str(one) for one in value]))
        return [redacted(one, name) for one in value]
    if isinstance(value, str):
        return text.HIDDEN if value and text.is_secret_name(name) else text.line(value)
    return value
