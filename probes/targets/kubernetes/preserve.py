"""Evidence that a fix would destroy, gathered within seconds and redacted; what cannot be read says why."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml

from probes import text
from probes.base import DeploymentId, ReplicaId
from probes.target import Refused, Unreadable
from probes.targets.kubernetes import logs
from probes.targets.kubernetes.client import ApiClient
from probes.targets.kubernetes.failures import Gone
from probes.targets.kubernetes.ids import replica_parts
from probes.targets.kubernetes.kinds import subject_of

DEADLINE_SECONDS = 9.0
_REPLICAS = 8
_LOG_LINES = 5000
_LOG_BYTES = 4 << 20
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_EVENTS = 500


async def preserve(client: ApiClient, deployment: DeploymentId, serving: Mapping[ReplicaId, str]) -> dict[str, bytes]:
    """File name → content, of eight replicas at most; ``serving`` names the container of each that serves.

    Of each pod: its description with its status (``lastState`` is in it) and its logs, that of the container before a
    restart too; the workload's own description and the namespace's events about them. What does not come in time is
    left out.
    """
    found: dict[str, bytes] = {}
    works = [_keep(found, "workload.yaml", _workload(client, deployment))]
    pods = sorted({replica_parts(one)[:2] for one in serving})
    if pods:
        works.append(_keep(found, "events.txt", _events(client, pods[0][0], deployment, [name for _, name in pods])))
    for replica in sorted(serving)[:_REPLICAS]:
        namespace, pod, _ = replica_parts(replica)
        name = text.clean(pod, 100)
        works.append(_keep(found, f"{name}.yaml", _object(client, f"/api/v1/namespaces/{namespace}/pods/{pod}")))
        works.append(_keep(found, f"{name}.log", _log(client, replica, previous=False)))
        works.append(_keep(found, f"{name}.previous.log", _log(client, replica, previous=True)))
    tasks = [asyncio.create_task(one) for one in works]
    _, late = await asyncio.wait(tasks, timeout=DEADLINE_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return dict(sorted(found.items()))


async def _keep(found: dict[str, bytes], name: str, work: Coroutine[Any, Any, bytes]) -> None:
    try:
        found[name] = await work
    except Unreadable as unreadable:
        if name.endswith(".previous.log") and unreadable.failure.code in {"invalid", "not-found"}:
            return  # it never restarted
        found[f"{name}.missing"] = f"{unreadable.failure.what}: {unreadable.failure.why}\n".encode()
    except (Refused, Gone) as refused:
        found[f"{name}.missing"] = f"{refused}\n".encode()


async def _workload(client: ApiClient, deployment: DeploymentId) -> bytes:
    return await _object(client, subject_of(deployment).path)


async def _object(client: ApiClient, path: str) -> bytes:
    document = msgspec.json.decode(await client.get(path, timeout_seconds=5.0))
    return yaml.safe_dump(redacted(document), sort_keys=False, allow_unicode=True, width=120).encode()


async def _log(client: ApiClient, replica: ReplicaId, *, previous: bool) -> bytes:
    """The latest lines of a container's run."""
    gathered = bytearray()
    begin = datetime.fromtimestamp(0, UTC)
    async for chunk in logs.read(client, replica, logs.Lines(), since=begin, tail=_LOG_LINES, previous=previous):
        gathered += chunk
        del gathered[:-_LOG_BYTES]
    return text.block(bytes(gathered), _LOG_LINES).encode()


async def _events(client: ApiClient, namespace: str, deployment: DeploymentId, pods: list[str]) -> bytes:
    """What the namespace's events say of the workload, its ReplicaSets and its pods, oldest first."""
    owner = subject_of(deployment).name
    listed = await client.get(f"/api/v1/namespaces/{namespace}/events", {"limit": 2000}, timeout_seconds=5.0)
    rows: list[tuple[str, str]] = []
    for event in msgspec.json.decode(listed).get("items") or ():
        about = event.get("involvedObject") or {}
        name = str(about.get("name", ""))
        if name in pods or name == owner or name.startswith(f"{owner}-"):
            at = str(event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp") or "")
            source = (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""
            words = (
                event.get("type"),
                event.get("reason"),
                f"{about.get('kind')}/{name}",
                source,
                event.get("message"),
            )
            rows.append((at, text.line(f"{at}  " + "  ".join(str(one or "") for one in words), 2000)))
    return ("\n".join(row for _, row in sorted(rows)[-_EVENTS:]) + "\n").encode()


def redacted(value: Any, name: str = "") -> Any:
    """An object of the API with what looks like a secret replaced, by name or by looks; no bookkeeping."""
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if key not in {"managedFields", _APPLIED}}
        if isinstance(kept.get("name"), str) and isinstance(kept.get("value"), str):  # a variable
            shown = text.environment({kept["name"]: kept["value"]})
            return {**kept, "name": next(iter(shown)), "value": next(iter(shown.values()))}
        return {text.clean(str(key), 300): redacted(one, str(key)) for key, one in kept.items()}
    if isinstance(value, list):
        if name in {"args", "command"}:
            return list(text.arguments([str(one) for one in value]))
        return [redacted(one, name) for one in value]
    if isinstance(value, str):
        return text.HIDDEN if value and text.is_secret_name(name) and name not in _NAMES else text.line(value)
    return value


_NAMES = frozenset({"secretName", "automountServiceAccountToken", "imagePullSecrets", "secretRef", "secretKeyRef"})
"""Fields that are called after secrets and hold their names."""
