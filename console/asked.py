"""What a remedy has to know of fastops itself, where a person asks for it without a finding."""

from __future__ import annotations

import socket
from ipaddress import IPv4Interface, ip_address

from console.nearby import is_here
from probes.base import Failure, Value
from probes.model import Deployment, TargetState
from probes.otlp.receiver import Place
from probes.target import Collects, Target, Unreadable


async def facts(
    deployment: Deployment, target: Target, state: TargetState, receives: Place | Failure | None
) -> dict[str, Value]:
    """Where telemetry is received or why not, whether the engine is here, and what its containers call this machine.

    In a cluster: the collectors that take it there, or why there is none.
    """
    if isinstance(target, Collects):
        try:
            return {"collectors": " ".join(await target.collectors(deployment.id))}
        except Unreadable as unreadable:
            return {"uncollected": f"{unreadable.failure.what}: {unreadable.failure.why}"}
    here = await is_here(target, state)
    found: dict[str, Value] = {"here": here, "near": gateway(deployment) if here else ""}
    if isinstance(receives, Failure):
        return {**found, "deaf": f"{receives.what}: {receives.why}" + (f" ({receives.hint})" if receives.hint else "")}
    return found if receives is None else {**found, "endpoint": receives.url}


def gateway(deployment: Deployment) -> str:
    """The address of this machine in the network of a deployment's containers; empty where they share none."""
    addresses = {address for replica in deployment.running for address in replica.addresses.values() if address}
    for own, network in _own_networks():
        for address in addresses:
            try:
                inside = ip_address(address) in network.network
            except ValueError:
                continue
            if inside and address != own:
                return own
    return ""


def _own_networks() -> list[tuple[str, IPv4Interface]]:
    import psutil

    every = (one for interfaces in psutil.net_if_addrs().values() for one in interfaces)
    v4 = (one for one in every if one.family == socket.AF_INET and one.netmask)
    return [(one.address, IPv4Interface(f"{one.address}/{one.netmask}")) for one in v4]
