"""Where a host is that a pod names: the cluster's own names, resolved by the cluster's own data.

A Service leads to its pods that are ready, by its selector, or to what its EndpointSlices name; an ``ExternalName`` to
another name. kubernetes.io/docs/concepts/services-networking/dns-pod-service
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from msgspec import field

from probes import text
from probes.base import Failure
from probes.target import Unreadable
from probes.targets.kubernetes import answers, objects
from probes.targets.kubernetes.answers import Params
from probes.targets.kubernetes.kinds import KINDS

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123: a part of a name, and all that may stand in a path of the API."""
_LIMIT = 16 << 20
_MOST_PODS = 500


class Reader(Protocol):
    """What is used of a client."""

    async def get(self, path: str, params: Params | None = None, *, limit: int = ...) -> bytes:
        """The answer to a GET."""


class Name(NamedTuple):
    """A name of the cluster's DNS."""

    service: str
    namespace: str
    pod: str | None = None
    """One pod of a headless Service, by its own name."""


class Spot(NamedTuple):
    """A port that is served."""

    address: str
    port: int
    namespace: str
    pod: str | None
    """``None`` for what is no pod: an address that an EndpointSlice names."""


class _Port(objects.Part, frozen=True):
    name: str | None = None
    port: int | None = None
    target_port: int | str | None = None


class _ServiceSpec(objects.Part, frozen=True):
    type: str | None = None
    external_name: str | None = None
    selector: dict[str, str] | None = None
    ports: tuple[_Port, ...] | None = None
    cluster_ip: str | None = field(default=None, name="clusterIP")


class _Service(objects.Part, frozen=True):
    spec: _ServiceSpec | None = None


class _Services(objects.Part, frozen=True):
    items: tuple[_Service, ...] = ()


class Pods(objects.Part, frozen=True):
    """A list of pods."""

    items: tuple[objects.Pod, ...] = ()


class _Ready(objects.Part, frozen=True):
    ready: bool | None = None


class _Reference(objects.Part, frozen=True):
    kind: str | None = None
    name: str | None = None


class _Endpoint(objects.Part, frozen=True):
    addresses: tuple[str, ...] = ()
    conditions: _Ready | None = None
    target_ref: _Reference | None = None


class _Slice(objects.Part, frozen=True):
    endpoints: tuple[_Endpoint, ...] | None = None
    ports: tuple[_Port, ...] | None = None


class _Slices(objects.Part, frozen=True):
    items: tuple[_Slice, ...] = ()


def names(host: str, namespace: str) -> tuple[tuple[Name, ...], bool]:
    """What a host may be in the cluster, in the order of DNS, and whether it can be nothing else.

    ``namespace``: that of the pod which names it. None for what is no name, or one of more parts.
    """
    parts = host.rstrip(".").lower().split(".")
    qualified = "svc" in parts[2:4]
    if qualified:
        parts = parts[: parts.index("svc", 2)]
    if not all(_LABEL.fullmatch(one) for one in parts) or len(parts) > 3:
        return (), False
    if len(parts) == 3:
        return (Name(parts[1], parts[2], parts[0]),), qualified
    if len(parts) == 1:
        return (Name(parts[0], namespace),), True
    here = Name(parts[0], parts[1])
    return ((here,), True) if qualified else ((Name(parts[1], namespace, parts[0]), here), False)


async def find(client: Reader, name: Name, port: int) -> Spot | str | None:
    """Where a port of a Service is served, another name that it stands for, or ``None`` where there is no such Service.

    Raises :class:`Unreadable` where that may not be read, no pod is ready, or the Service has no such port.
    """
    path = f"/api/v1/namespaces/{name.namespace}/services"
    body = await client.get(path, {"fieldSelector": f"metadata.name={name.service}"}, limit=_LIMIT)
    found = next(iter(answers.decoded(path, body, _Services).items), None)
    if found is None:
        return None
    spec = found.spec or _ServiceSpec()
    if spec.type == "ExternalName":
        return spec.external_name or None
    ports = [one for one in spec.ports or () if one.port == port]
    if not ports and spec.cluster_ip != "None":
        raise Unreadable(_failure(name, f"the Service has no port {port}"))
    wanted = ports[0] if ports else _Port(port=port)
    spots = await (_selected(client, name, spec.selector, wanted) if spec.selector else _named(client, name, wanted))
    if not spots:
        raise Unreadable(_failure(name, "no pod of the Service is ready"))
    return min(spots, key=lambda spot: (spot.pod or "", spot.address))


async def _selected(client: Reader, name: Name, selector: dict[str, str], wanted: _Port) -> list[Spot]:
    path = KINDS["Pod"].path(name.namespace)
    chosen = ",".join(f"{label}={value}" for label, value in sorted(selector.items()))
    body = await client.get(path, {"labelSelector": chosen, "limit": _MOST_PODS}, limit=_LIMIT)
    return [
        Spot(pod.status.pod_ip, port, name.namespace, pod.metadata.name)
        for pod in answers.decoded(path, body, Pods).items
        if pod.metadata is not None
        and pod.metadata.name
        and name.pod in {None, pod.metadata.name}
        and pod.status is not None
        and pod.status.pod_ip
        and is_ready(pod)
        and (port := _number(wanted, pod)) is not None
    ]


async def _named(client: Reader, name: Name, wanted: _Port) -> list[Spot]:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{name.namespace}/endpointslices"
    body = await client.get(path, {"labelSelector": f"kubernetes.io/service-name={name.service}"}, limit=_LIMIT)
    return [
        Spot(address, port, name.namespace, reference.name if reference and reference.kind == "Pod" else None)
        for one in answers.decoded(path, body, _Slices).items
        for port in _slice_ports(one.ports or (), wanted)
        for endpoint in one.endpoints or ()
        if (endpoint.conditions or _Ready()).ready is not False
        for reference in (endpoint.target_ref,)
        for address in endpoint.addresses[:1]
        if name.pod is None or (reference is not None and reference.name == name.pod)
    ]


def _slice_ports(ports: Iterable[_Port], wanted: _Port) -> list[int]:
    return [one.port for one in ports if one.port and (one.name or "") == (wanted.name or "")][:1]


def is_ready(pod: objects.Pod) -> bool:
    """Whether traffic is sent to it."""
    status, meta = pod.status or objects.PodStatus(), pod.metadata or objects.Metadata()
    ready = any(one.type == "Ready" and one.status == "True" for one in status.conditions or ())
    return ready and meta.deletion_timestamp is None


def _number(wanted: _Port, pod: objects.Pod) -> int | None:
    """The container port that a Service's port leads to in a pod."""
    led = wanted.target_port if wanted.target_port is not None else wanted.port
    if not isinstance(led, str):
        return led
    ports = (p for c in (pod.spec or objects.PodSpec()).containers or () for p in c.ports or ())
    return next((one.container_port for one in ports if one.name == led), None)


def _failure(name: Name, why: str) -> Failure:
    what = f"the Service {text.clean(f'{name.namespace}/{name.service}', 250)}"
    return Failure("unreachable", what, why, "see kubectl get endpointslices; it is looked at again by itself")
