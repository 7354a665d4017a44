"""Pods: from the API's answer to what is kept, and from that to a :class:`Replica`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from probes import text
from probes.base import NodeId
from probes.model import UNKNOWN_LIMIT, Cpu, Limit, Memory, Replica, ReplicaState
from probes.orchestrator import Ended, Waiting
from probes.targets.kubernetes import objects
from probes.targets.kubernetes.ids import replica_id
from probes.targets.kubernetes.measured import Measured
from probes.targets.kubernetes.sharing import Sharing
from probes.targets.kubernetes.views import ContainerView, PodView, StatusView

_HASHES = ("pod-template-hash", "controller-revision-hash")
_BEGINNING = frozenset({"PodInitializing", "ContainerCreating"})
_NO_MEASURE = Measured()
_INCOMPLETE = re.compile(r"incomplete status: \[(?P<names>[^\]]*)\]")
"""Source: kubelet, pkg/kubelet/status/generate.go (1.20 to 1.34)."""


def pod(found: objects.Pod, share: Sharing) -> PodView | None:
    """What is kept of a pod; ``None`` for one without a name."""
    meta = found.metadata or objects.Metadata()
    if not meta.name:
        return None
    spec, status = found.spec or objects.PodSpec(), found.status or objects.PodStatus()
    owner = controller(meta)
    labels = share.labels(owner.uid if owner else None, meta.labels)
    said = _said(status)
    return PodView(
        namespace=share.text(meta.namespace) or "default",
        name=meta.name,
        uid=meta.uid or "",
        version=meta.resource_version or "",
        template=share.template(meta.annotations, spec),
        labels=labels,
        owner_kind=share.text(owner.kind) if owner else None,
        owner_name=share.text(owner.name) if owner else None,
        owner_uid=share.text(owner.uid) if owner else None,
        revision=next((labels[one] for one in _HASHES if labels.get(one)), None),
        node=share.text(spec.node_name) or None,
        address=status.pod_ip or None,
        phase=share.text(status.phase),
        reason=said[0],
        message=said[1],
        created_at=meta.creation_timestamp,
        terminating=meta.deletion_timestamp is not None,
        unready=_unready(status),
        unscheduled=_unscheduled(spec, status),
        initialising=_initialising(status, share),
        statuses=tuple(_status(one, share) for one in status.container_statuses or ()),
        starting=_starting(status, share),
    )


def controller(meta: objects.Metadata) -> objects.Owner | None:
    """The owner that made it and keeps it."""
    return next((one for one in meta.owner_references or () if one.controller), None)


def _unscheduled(spec: objects.PodSpec, status: objects.PodStatus) -> Waiting | None:
    for one in status.conditions or ():
        if one.type == "PodScheduled" and one.status == "False":
            gates = ", ".join(gate.name for gate in spec.scheduling_gates or ())
            return Waiting(one.reason or "Unschedulable", gates or one.message, one.last_transition_time)
    return None


def _initialising(status: objects.PodStatus, share: Sharing) -> Waiting | None:
    """Of the init containers that run, sidecars among them, the one that the pod itself says it waits for."""
    for condition in status.conditions or ():
        if condition.type == "Initialized" and condition.status == "False":
            named = _INCOMPLETE.search(condition.message or "")
            unfinished = named["names"].split() if named is not None else ()
            for one in status.init_container_statuses or ():
                running = one.state.running if one.state is not None else None
                if running is not None and one.name in unfinished:
                    return Waiting("PodInitializing", None, running.started_at, share.text(one.name))
    return None


def _said(status: objects.PodStatus) -> tuple[str | None, str | None]:
    """Reason and message of the pod itself; else why it has to go (Kubernetes 1.26: it keeps that if it ends well)."""
    for one in status.conditions or () if not status.reason else ():
        if one.type == "DisruptionTarget" and one.status == "True":
            return one.reason, one.message
    return status.reason, status.message


def _unready(status: objects.PodStatus) -> str | None:
    for one in status.conditions or ():
        if one.type == "Ready":
            known = one.message or one.reason or f"its condition Ready is {one.status.lower()}"
            return known if one.status in {"False", "Unknown"} else None
    return None


def _status(found: objects.ContainerStatus, share: Sharing) -> StatusView:
    state, last = found.state or objects.ContainerState(), found.last_state or objects.ContainerState()
    before = _ended(last.terminated)
    waiting = None
    if state.waiting is not None:
        since = before.at if before else None
        waiting = Waiting(state.waiting.reason or "Waiting", state.waiting.message, since)
    return StatusView(
        name=share.text(found.name) or "",
        ready=found.ready,
        restarts=found.restart_count,
        image_id=share.text(found.image_id) or None,
        container_id=found.container_id or None,
        running=state.running is not None,
        started_at=state.running.started_at if state.running else None,
        waiting=waiting,
        ended=_ended(state.terminated),
        before=before,
    )


def _ended(found: objects.StateTerminated | None) -> Ended | None:
    if found is None:
        return None
    return Ended(
        at=found.finished_at,
        reason=found.reason or None,
        exit_code=found.exit_code,
        signal=found.signal or None,
        started_at=found.started_at,
        message=found.message or None,
    )


def _starting(status: objects.PodStatus, share: Sharing) -> StatusView | None:
    for one in status.init_container_statuses or ():
        found = _status(one, share)
        failed = found.ended is not None and found.ended.exit_code not in {0, None}
        if failed or (found.waiting is not None and found.waiting.reason not in _BEGINNING):
            return found
    return None


def replica(view: PodView, container: str, measured: Measured | None = None, node: NodeId | None = None) -> Replica:
    """One pod's serving container, cleaned and redacted, with what was measured of it."""
    made = view.template.container(container) or ContainerView(name=container)
    status = view.status(container) or StatusView(name=container)
    reading = measured or _NO_MEASURE
    state = _state(view, status)
    last = status.ended or status.before
    well = bool(status.ready) and state == "running"
    return Replica(
        id=replica_id(view.namespace, view.name, container),
        name=text.clean(view.name, 253),
        state=state,
        ready=well and view.unready is None,
        held_by=text.line(view.unready, 300) if well and view.unready is not None else None,
        started_at=status.started_at or (status.ended.started_at if status.ended else None),
        finished_at=status.ended.at if status.ended else None,
        created_at=view.created_at,
        exit_code=status.ended.exit_code if status.ended else None,
        restarts=status.restarts,
        restart_policy=view.template.restart_policy,
        stop_signal_timeout_seconds=view.template.grace_seconds,
        error=_error(view),
        image=made.image,
        image_id=_clean(status.image_id, 300),
        command=made.shown,
        working_dir=made.working_dir,
        environment=made.environment,
        environment_from=made.environment_from,
        memory=_memory(reading.memory, made.memory_limit),
        cpu=_cpu(reading.cpu, made.cpu_limit),
        workers=tuple(one for one in reading.workers if one.beside is None),
        others=tuple(one for one in reading.workers if one.beside is not None),
        listeners=reading.listeners,
        network_mode="host" if view.template.host_network else None,
        addresses=_address(view.address),
        loop_probes=reading.loop_probes,
        health_probes=reading.health_probes,
        stacks=reading.stacks,
        waiting=_waiting(view, status),
        last_end=_clean_end(last),
        probes=made.probes,
        node=node,
        terminating=view.terminating,
        revision=_clean(view.revision, 100),
        declared_ports=made.ports,
        beside=tuple(one.name for one in view.template.containers if one.name != container),
        memory_request_bytes=made.memory_request_bytes,
        cpu_request_cores=made.cpu_request_cores,
        sampled_at=reading.sampled_at,
        unreadable=reading.unreadable,
    )


def _state(view: PodView, status: StatusView) -> ReplicaState:
    if view.over or status.ended is not None:
        return "exited"
    if status.running:
        return "running"
    return "restarting" if status.waiting and status.waiting.reason == "CrashLoopBackOff" else "created"


def ended_at(view: PodView, container: str) -> datetime | None:
    """When a pod that is over ended, as far as it says."""
    status = view.status(container)
    ended = [one.ended.at for one in view.statuses if one.ended is not None and one.ended.at is not None]
    own = status.ended.at if status is not None and status.ended is not None else None
    return own or max(ended, default=None) or view.created_at


def _waiting(view: PodView, status: StatusView) -> Waiting | None:
    """Why it does not run: the scheduler's word, then an init container's, its own, that of one that runs beside it."""
    if view.over:
        return None
    if view.unscheduled is not None and not view.node:
        return _clean_waiting(view.unscheduled)
    init = view.starting
    if init is not None and not status.running:
        told = init.waiting
        if told is None:
            code = init.ended.exit_code if init.ended else None
            at = init.ended.at if init.ended else None
            told = Waiting("InitContainerFailed", f"it ended with exit code {code}", at)
        return _of_another(init, told, "init container")
    if view.initialising is not None and not status.running:
        told = view.initialising
        message = f"init container {told.container} has not ended"
        return _clean_waiting(Waiting(told.reason, message, told.since, told.container))
    if status.waiting is not None:
        return _clean_waiting(status.waiting)
    # A sidecar among the init containers, or one beside it.
    for one in (*((init,) if init is not None else ()), *view.statuses):
        if one.waiting is not None and one.waiting.reason not in _BEGINNING and one.name != status.name:
            return _of_another(one, one.waiting, "container")
    return None


def _of_another(one: StatusView, told: Waiting, what: str) -> Waiting:
    message = f"{what} {one.name}: {told.message or told.reason}"
    if told.reason == "CrashLoopBackOff" and one.before is not None:
        code = f", exit code {one.before.exit_code}" if one.before.exit_code is not None else ""
        message += f"; its last run ended as {one.before.reason or 'unknown'}{code}"
    return _clean_waiting(Waiting(told.reason, message, told.since, one.name))


def _error(view: PodView) -> str | None:
    """What the pod itself says went wrong, or why it goes (``Evicted: The node was low on resource: memory. …``)."""
    words = ": ".join(one for one in (view.reason, view.message) if one)
    return text.line(words, 600) if words else None


def _clean_waiting(found: Waiting) -> Waiting:
    message = text.line(found.message, 1000) if found.message else None
    return Waiting(text.clean(found.reason, 100), message, found.since, _clean(found.container, 63))


def _clean_end(found: Ended | None) -> Ended | None:
    if found is None:
        return None
    return Ended(
        at=found.at,
        reason=_clean(found.reason, 100),
        exit_code=found.exit_code,
        signal=found.signal,
        started_at=found.started_at,
        message=text.line(found.message, 1000) if found.message else None,
    )


def _clean(value: str | None, cap: int) -> str | None:
    return text.clean(value, cap) if value else None


def _address(value: str | None) -> Mapping[str, str]:
    return {"pod": text.clean(value, 64)} if value else {}


def _memory(measured: Memory | None, limit: Limit) -> Memory:
    if measured is None:
        return Memory(limit=limit)
    if measured.limit != UNKNOWN_LIMIT:
        return measured
    return Memory(measured.used_bytes, limit, measured.peak_bytes, measured.oom_kills, measured.source)


def _cpu(measured: Cpu | None, limit: Limit) -> Cpu:
    if measured is None:
        return Cpu(limit=limit)
    if measured.limit != UNKNOWN_LIMIT:
        return measured
    return replace(measured, limit=limit)
