"""What keeps a pod from being ready, in the words of its own status. Pure."""

from __future__ import annotations

from typing import Any

from probes import text
from probes.base import Frozen

Json = dict[str, Any]
_FINAL = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
    }
)
"""Reasons of waiting that another minute does not end: the kubelet has failed and backs off."""


class Trouble(Frozen, frozen=True):
    """Why a pod is not ready."""

    said: str
    final: bool
    """It does not end by waiting."""


def is_ready(pod: Json) -> bool:
    """Whether the pod takes traffic."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def is_going(pod: Json) -> bool:
    """Whether it was told to go, or has ended."""
    return bool(pod["metadata"].get("deletionTimestamp")) or (pod.get("status") or {}).get("phase") in {
        "Succeeded",
        "Failed",
    }


def trouble(pod: Json) -> Trouble | None:
    """Why it is not ready; ``None`` where it is, or merely starts."""
    if is_ready(pod):
        return None
    status = pod.get("status") or {}
    name = text.clean(str(pod["metadata"]["name"]), 200)
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return Trouble(f"{name} has no node: {text.line(str(condition.get('message') or ''), 300)}", final=False)
    for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        found = _container(name, one)
        if found is not None:
            return found
    return None


def _container(pod: str, status: Json) -> Trouble | None:
    container = text.clean(str(status.get("name")), 100)
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    reason = text.clean(str(waiting.get("reason") or ""), 60)
    how = _ended(ended) if ended and (ended.get("exitCode") or status.get("restartCount")) else None
    if reason and reason not in {"ContainerCreating", "PodInitializing"}:
        message = how or text.line(str(waiting.get("message") or ""), 300)
        said = f"{container} of {pod} waits: {reason}" + (f" ({message})" if message else "")
        return Trouble(said, final=reason in _FINAL)
    if how is not None:
        restarts = int(status.get("restartCount") or 0)
        again = f", and was restarted {restarts} times" if restarts > 1 else ""
        return Trouble(f"{container} of {pod} {how}{again}", final=restarts > 2)
    return None


def _ended(ended: Json) -> str:
    reason = text.clean(str(ended.get("reason") or "ended"), 60)
    return f"ended with exit code {ended.get('exitCode')} ({reason})"
