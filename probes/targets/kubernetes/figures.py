"""Memory and CPU of containers as ``metrics.k8s.io`` and a kubelet's summary tell them. Pure; figures keep their time.

Sources: the Kubernetes metrics API (metrics.k8s.io/v1beta1 PodMetricsList), kubelet's ``stats/v1alpha1`` Summary.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from probes.base import Frozen, ReplicaId
from probes.targets.kubernetes.quantities import quantity

METRICS = "metrics.k8s.io"
SUMMARY = "kubelet summary"


class Figure(Frozen, frozen=True):
    """Of one container, at one time."""

    at: datetime
    """When the source measured it, which may be a minute ago."""
    working_set_bytes: int | None
    used_cores: float | None
    """The mean over the source's own window."""
    source: str


class _Name(Frozen, frozen=True):
    name: str = ""
    namespace: str = ""


class _Usage(Frozen, frozen=True):
    cpu: str = ""
    memory: str = ""


class _Container(Frozen, frozen=True):
    name: str = ""
    usage: _Usage = _Usage()


class _PodMetrics(Frozen, frozen=True):
    metadata: _Name = _Name()
    timestamp: datetime | None = None
    containers: tuple[_Container, ...] = ()


class _PodMetricsList(Frozen, frozen=True):
    items: tuple[_PodMetrics, ...] = ()


class _SummaryCpu(Frozen, frozen=True):
    time: datetime | None = None
    nanocores: int | None = msgspec.field(default=None, name="usageNanoCores")


class _SummaryMemory(Frozen, frozen=True):
    time: datetime | None = None
    working_set: int | None = msgspec.field(default=None, name="workingSetBytes")


class _SummaryContainer(Frozen, frozen=True):
    name: str = ""
    cpu: _SummaryCpu | None = None
    memory: _SummaryMemory | None = None


class _SummaryPod(Frozen, frozen=True):
    pod: _Name = msgspec.field(default=_Name(), name="podRef")
    containers: tuple[_SummaryContainer, ...] | None = None


class _Summary(Frozen, frozen=True):
    pods: tuple[_SummaryPod, ...] | None = None


_METRICS = msgspec.json.Decoder(_PodMetricsList)
_ONE = msgspec.json.Decoder(_PodMetrics)
_SUMMARY = msgspec.json.Decoder(_Summary)


def pod_metrics(body: bytes, wanted: Collection[ReplicaId]) -> dict[ReplicaId, Figure]:
    """The wanted containers of a PodMetricsList. Raises ``msgspec.DecodeError`` for what is none."""
    return _figures(_METRICS.decode(body).items, wanted)


def one_pod_metrics(body: bytes, wanted: Collection[ReplicaId]) -> dict[ReplicaId, Figure]:
    """The wanted containers of the PodMetrics of one pod. Raises ``msgspec.DecodeError`` for what is none."""
    return _figures((_ONE.decode(body),), wanted)


def _figures(pods: tuple[_PodMetrics, ...], wanted: Collection[ReplicaId]) -> dict[ReplicaId, Figure]:
    found: dict[ReplicaId, Figure] = {}
    for pod in pods:
        for container in pod.containers:
            replica = ReplicaId(f"{pod.metadata.namespace}/{pod.metadata.name}/{container.name}")
            if replica in wanted and pod.timestamp is not None:
                memory = _amount(container.usage.memory)
                found[replica] = Figure(
                    at=pod.timestamp,
                    working_set_bytes=None if memory is None else int(memory),
                    used_cores=_amount(container.usage.cpu),
                    source=METRICS,
                )
    return found


def _amount(text: str) -> float | None:
    """A quantity; the two spellings that metrics-server uses for ten thousand pods are read without a detour."""
    if text.endswith("n") and text[:-1].isdecimal():
        return int(text[:-1]) / 1e9
    if text.endswith("Ki") and text[:-2].isdecimal():
        return float(int(text[:-2]) * 1024)
    return quantity(text)


def summary(body: bytes, wanted: Collection[ReplicaId]) -> dict[ReplicaId, Figure]:
    """The wanted containers of a kubelet's summary. Raises ``msgspec.DecodeError`` for what is none."""
    found: dict[ReplicaId, Figure] = {}
    for pod in _SUMMARY.decode(body).pods or ():
        for container in pod.containers or ():
            replica = ReplicaId(f"{pod.pod.namespace}/{pod.pod.name}/{container.name}")
            memory, cpu = container.memory, container.cpu
            at = (memory.time if memory else None) or (cpu.time if cpu else None)
            if replica in wanted and at is not None:
                found[replica] = Figure(
                    at=at,
                    working_set_bytes=memory.working_set if memory else None,
                    used_cores=cpu.nanocores / 1e9 if cpu and cpu.nanocores is not None else None,
                    source=SUMMARY,
                )
    return found
