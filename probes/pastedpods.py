"""A pod, as the Kubernetes API writes it, as a deployment of one replica per container. Pure; foreign in every part."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from probes import text
from probes.base import DeploymentId, ReplicaId, TargetId
from probes.model import UNKNOWN_LIMIT, Deployment, Event, Replica
from probes.orchestrator import Ended
from probes.pastedinspect import seen_at
from probes.targets.kubernetes import objects, parse
from probes.targets.kubernetes.sharing import Sharing
from probes.targets.kubernetes.views import PodView

_CONTAINERS = 32


def pod(found: Mapping[str, Any]) -> Deployment | None:
    """The pod's containers as replicas; ``None`` where it tells of none, or is none."""
    try:
        thing = msgspec.convert(_named(found), objects.Pod, strict=False)
        view = parse.pod(thing, Sharing())
    except (msgspec.ValidationError, ValueError, OverflowError, TypeError, RecursionError):
        return None
    if view is None:
        return None
    names = dict.fromkeys([*(one.name for one in view.template.containers), *(one.name for one in view.statuses)])
    told = {one.name for one in (thing.spec.containers if thing.spec else None) or () if one.resources is not None}
    replicas = tuple(_replica(view, name, limits_told=name in told) for name in list(names)[:_CONTAINERS])
    if not replicas:
        return None
    name, space = text.clean(view.name, 300), text.clean(view.namespace, 300)
    counts = [r.restarts for r in replicas if r.restarts is not None]
    return Deployment(
        id=DeploymentId(f"k8s/{space}/Pod/{name}"),
        target=TargetId("k8s"),
        name=name,
        kind="container",
        framework="fastapi",
        recognised_by="it was pasted",
        replicas=replicas,
        namespace=space,
        restarts=sum(counts) if counts else None,
    )


def _named(found: Mapping[str, Any]) -> dict[str, Any]:
    """With a name, where the text left it out."""
    metadata = found.get("metadata")
    if not isinstance(metadata, dict):
        return {**found, "metadata": {"name": "pod"}}
    return {**found, "metadata": {**metadata, "name": metadata.get("name") or "pod"}}


def _replica(view: PodView, name: str, *, limits_told: bool) -> Replica:
    """One container. A text may be cut and tell but a part: what it does not say is unknown, not absent."""
    made = parse.replica(view, name)
    ended = made.last_end
    started, finished = made.started_at or (ended.started_at if ended else None), ended.at if ended else None
    said = text.clean(view.name, 300)
    return replace(
        made,
        id=ReplicaId(f"{said}/{made.name if not name else text.clean(name, 300)}"),
        name=text.clean(name, 300) or said,
        started_at=started,
        finished_at=finished,
        exit_code=ended.exit_code if ended else None,
        error=made.waiting.message if made.waiting else made.error,
        memory=made.memory if limits_told else replace(made.memory, limit=UNKNOWN_LIMIT),
        cpu=made.cpu if limits_told else replace(made.cpu, limit=UNKNOWN_LIMIT),
        events=tuple(_events(said, name, ended)),
        waiting=None,
        last_end=None,
        probes=None,
        sampled_at=seen_at(started, finished),
    )


def _events(pod_name: str, name: str, ended: Ended | None) -> list[Event]:
    """The end of a container that the kernel killed for memory, as the kernel's act and the death that followed."""
    if ended is None or ended.reason != "OOMKilled":
        return []
    at = ended.at or datetime.now(UTC)
    code = ended.exit_code
    said = f"{pod_name}/{text.clean(name, 300)} was terminated: OOMKilled"
    said += f", exit code {code}" if code is not None else ""
    return [Event(at, "oom", exit_code=code, text=said), Event(at, "die", exit_code=code, text=said)]
