"""A pod, as the Kubernetes API writes it, as a deployment of one replica per container. Pure; foreign in every part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from probes import text
from probes.base import DeploymentId, ReplicaId, TargetId
from probes.model import UNLIMITED, Cpu, Deployment, Event, Limit, Memory, Replica, ReplicaState
from probes.pastedinspect import seen_at
from probes.targets.docker.parse import when

_CONTAINERS = 32
_QUANTITY = re.compile(r"(?P<number>\d{1,18}(?:\.\d{1,9})?(?:e\d{1,2})?)(?P<suffix>m|[kMGTPE]|[KMGTPE]i)?")
_SCALE = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {
    f"{letter}i": 1024.0 ** (power + 1) for power, letter in enumerate("KMGTPE")
}


def pod(found: Mapping[str, Any]) -> Deployment | None:
    """The pod's containers as replicas; ``None`` where it tells of none."""
    metadata, spec, status = (_dict(found.get(part)) for part in ("metadata", "spec", "status"))
    name = _said(metadata.get("name")) or "pod"
    specs = {_said(one.get("name")): one for one in _dicts(spec.get("containers"))}
    statuses = {_said(one.get("name")): one for one in _dicts(status.get("containerStatuses"))}
    replicas = tuple(
        _replica(name, each, specs.get(each, {}), statuses.get(each, {})) for each in dict.fromkeys([*specs, *statuses])
    )
    if not replicas:
        return None
    space = _said(metadata.get("namespace")) or "default"
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


def _replica(pod_name: str, name: str, spec: Mapping[str, Any], status: Mapping[str, Any]) -> Replica:
    state, last = _dict(status.get("state")), _dict(status.get("lastState"))
    now, before = _dict(state.get("terminated")), _dict(last.get("terminated"))
    ended = now or before
    started = _time(_dict(state.get("running")).get("startedAt")) or _time(ended.get("startedAt"))
    finished = _time(ended.get("finishedAt"))
    limits = _dict(_dict(spec.get("resources")).get("limits"))
    code = ended.get("exitCode")
    waiting = _dict(state.get("waiting"))
    restarts = status.get("restartCount")
    words = [*_strings(spec.get("command")), *_strings(spec.get("args"))]
    return Replica(
        id=ReplicaId(f"{pod_name}/{name}"),
        name=name or pod_name,
        state=_state(state),
        ready=status.get("ready") if isinstance(status.get("ready"), bool) else None,
        started_at=started,
        finished_at=finished,
        exit_code=code if isinstance(code, int) else None,
        restarts=restarts if isinstance(restarts, int) else None,
        error=text.line(str(waiting["message"]), 600) if isinstance(waiting.get("message"), str) else None,
        image=_said(spec.get("image") or status.get("image")) or None,
        command=text.arguments(words),
        memory=Memory(limit=_limit(limits, "memory", spec)),
        cpu=Cpu(limit=_limit(limits, "cpu", spec)),
        events=tuple(_events(pod_name, name, ended)),
        sampled_at=seen_at(started, finished),
    )


def _events(pod_name: str, name: str, ended: Mapping[str, Any]) -> list[Event]:
    """The end of a container that the kernel killed for memory, as the kernel's act and the death that followed."""
    if ended.get("reason") != "OOMKilled":
        return []
    at = _time(ended.get("finishedAt")) or datetime.now(UTC)
    code = ended.get("exitCode") if isinstance(ended.get("exitCode"), int) else None
    said = f"{pod_name}/{name} was terminated: OOMKilled" + (f", exit code {code}" if code is not None else "")
    return [Event(at, "oom", exit_code=code, text=said), Event(at, "die", exit_code=code, text=said)]


def _state(state: Mapping[str, Any]) -> ReplicaState:
    if "running" in state:
        return "running"
    if "terminated" in state:
        return "exited"
    return "restarting" if _dict(state.get("waiting")).get("reason") == "CrashLoopBackOff" else "created"


def _limit(limits: Mapping[str, Any], name: str, spec: Mapping[str, Any]) -> Limit:
    value = quantity(limits.get(name))
    if value is not None:
        return Limit(limited=True, value=value)
    return UNLIMITED if "resources" in spec else Limit()


def quantity(value: object) -> float | None:
    """A quantity of Kubernetes (``256Mi``, ``500m``, ``1e9``) in its base unit."""
    found = _QUANTITY.fullmatch(str(value)) if isinstance(value, (str, int, float)) else None
    return float(found["number"]) * _SCALE[found["suffix"] or ""] if found else None


def _time(value: object) -> datetime | None:
    if isinstance(value, datetime):  # YAML reads times itself
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return when(value) if isinstance(value, str) else None


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value[:_CONTAINERS] if isinstance(one, dict)] if isinstance(value, list) else []


def _strings(value: object) -> list[str]:
    return [str(one) for one in value[:200]] if isinstance(value, list) else []


def _said(value: object) -> str:
    return text.clean(str(value), 300) if isinstance(value, (str, int)) else ""
